import Foundation
import StoreSimulation
import Testing

/// The store against a model, by seeds, on a simulated disk and database: no threads, so that every run
/// repeats exactly. 60 seeds, with 15 crashes each on average; `crashtest simulate` takes as many as you like.
@Suite struct SimulationTests {
    @Test(arguments: [0, 20, 40])
    func everySeedKeepsThePromises(_ first: UInt64) async {
        let failures = await onThreadOfItsOwn {
            (first..<first + 20).compactMap { Simulation.run(seed: $0).failure }
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
}

/// A simulation waits for tasks, so it may not take the threads that these need.
private func onThreadOfItsOwn<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}
