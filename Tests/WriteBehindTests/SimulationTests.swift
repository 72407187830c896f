import StoreSimulation
import Testing

/// The store against a model, by seeds, on a simulated disk and database: no threads, so that every run
/// repeats exactly. 100 seeds, with 15 crashes each on average; `crashtest simulate` takes as many as you like.
@Suite struct SimulationTests {
    @Test(arguments: [0, 25, 50, 75])
    func everySeedKeepsThePromises(_ first: UInt64) {
        for seed in first..<first + 25 {
            let failure = Simulation.run(seed: seed).failure
            #expect(failure == nil, "\(failure ?? "")")
        }
    }
}
