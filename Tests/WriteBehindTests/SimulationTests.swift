import StoreSimulation
import Testing

/// The store against a model, by seeds, on a simulated disk and database: no threads, so that every run
/// repeats exactly. 200 seeds; `crashtest simulate` takes as many as you like.
@Suite struct SimulationTests {
    @Test(arguments: [0, 50, 100, 150])
    func everySeedKeepsThePromises(_ first: UInt64) {
        for seed in first..<first + 50 {
            let failure = Simulation.run(seed: seed).failure
            #expect(failure == nil, "\(failure ?? "")")
        }
    }
}
