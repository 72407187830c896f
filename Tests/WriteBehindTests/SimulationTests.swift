import TestSupport
import Testing
import WriteBehind

/// The store against a model, by seeds, on a simulated disk and database: no threads, so that every run
/// repeats exactly.
@Suite struct SimulationTests {
    /// Runs one seed; returns what went wrong.
    static func run(seed: UInt64, steps: Int = 150) throws -> [String] {
        let store = try SimulatedStore(seed: seed)
        for _ in 0..<steps {
            do {
                try store.step()
            } catch {
                store.fault("\(error)")
            }
            if !store.faults.isEmpty { break }
        }
        if store.faults.isEmpty {
            store.checkReads()
            store.database.withState { $0.failures = [] }
            store.settle()
            store.checkReads()
        }
        guard !store.faults.isEmpty else { return [] }
        return store.faults.prefix(3) + store.trace.suffix(60)
    }

    @Test(arguments: [0, 50, 100, 150])
    func everySeedKeepsTheInvariants(_ first: UInt64) throws {
        for seed in first..<first + 50 {
            let faults = try Self.run(seed: seed)
            #expect(faults.isEmpty, "seed \(seed):\n\(faults.joined(separator: "\n"))")
        }
    }
}
