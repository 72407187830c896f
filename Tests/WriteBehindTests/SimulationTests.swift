import Foundation
import StoreSimulation
import Testing

/// The store against a model, by seeds, on a simulated disk and database: no threads, so that every run
/// repeats exactly. 15 crashes a seed on average; `crashtest simulate` takes as many seeds as you like.
@Suite struct SimulationTests {
    #if DEBUG
        private static let seedCount = repeats(100)
    #else
        private static let seedCount = repeats(2000)
    #endif

    @Test func everySeedKeepsThePromises() async {
        let failures = await onThreadOfItsOwn {
            (0..<UInt64(Self.seedCount)).compactMap { Simulation.run(seed: $0).failure }
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    /// The seeds cause the events that they exist for, as the store's log and its callers' answers show.
    @Test func everyKindOfWorkAndTroubleHappens() async {
        let expected = [
            "took a snapshot", "merged small segments", "deleted a file", "the database was filled",
            "it is in quarantine",
            "the database could not be updated", "the log refuses writes",
            "the log takes writes again", "recovered after an unclean end", "recovery ends",
            "closing ends", "the disk has stopped", "the row has changed", "(backlogLimit)",
            "(dirtyLimit, ", "bytes left: no space", "the next version of counter", "add a table",
            "puts of", "replaced by its backup under the store", "a second writer is refused",
            "the stream goes on behind", "acknowledged through", "was removed or moved while",
            "was replaced by something else while", "the file of positions is spoiled",
            "indices are added", "is new", "is taken",
        ]
        let missing = await onThreadOfItsOwn {
            var missing = expected
            for seed in UInt64(1000)..<1500 where !missing.isEmpty {
                let trace = SimulatedStore.run(StepGenerator.steps(seed: seed), isTraced: true)
                    .trace.joined(separator: "\n")
                missing.removeAll { trace.contains($0) }
            }
            return missing
        }
        #expect(missing == [])
    }

    /// The disk or the database breaks a promise now and then, which no seed may pass over for long, and what is
    /// left of its up to 200 steps is a few that break the same one.
    @Test(arguments: Flaw.allCases)
    func aMistakeIsFoundAndItsStepsAreMadeFew(_ flaw: Flaw) async throws {
        let found = try #require(await onThreadOfItsOwn { Found(flaw) })
        #expect(found.shortest.count <= 12, "\(found.shortest)")
        #expect(found.shortest.count < found.count)
        #expect(found.rules.allSatisfy { $0 == found.rules[0] }, "\(found.rules)")
        #expect(found.needless == [])
        #expect(found.isOfTheMistake)
    }
}

/// The first seed that finds a mistake, and what is left of it.
private struct Found {
    let count: Int
    let shortest: [StoreSimulation.Step]
    /// The rules that the whole seed and the rest of it break.
    let rules: [String?]
    /// Steps of the rest without which it breaks the same.
    let needless: [StoreSimulation.Step]
    let isOfTheMistake: Bool

    init?(_ flaw: Flaw) {
        func rule(_ steps: [StoreSimulation.Step]) -> String? {
            SimulatedStore.run(steps, flaw: flaw).fault?.rule
        }
        let seeds = (UInt64(0)..<100).lazy.map(StepGenerator.steps)
        guard let steps = seeds.first(where: { rule($0) != nil }), let broken = rule(steps) else {
            return nil
        }
        let shortest = Simulation.shortened(steps, keeping: broken, flaw: flaw)
        count = steps.count
        self.shortest = shortest
        rules = [broken, rule(shortest)]
        needless = shortest.indices.compactMap { index in
            var fewer = shortest
            let step = fewer.remove(at: index)
            return rule(fewer) == broken ? step : nil
        }
        isOfTheMistake = SimulatedStore.run(shortest).fault == nil
    }
}

/// How many of what chance makes different are tried: a tenth with `SANITIZED` set in the environment, since a
/// sanitizer takes that much longer, and looks at what each of them does alike.
func repeats(_ count: Int) -> Int { isSanitized ? count / 10 : count }

let isSanitized = ProcessInfo.processInfo.environment["SANITIZED"] != nil

/// Long work may not take the threads that tasks need.
func onThreadOfItsOwn<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}
