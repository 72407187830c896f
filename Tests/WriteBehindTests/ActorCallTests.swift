import Synchronization
import TestSupport
import Testing
import WriteBehind

/// Runs jobs at once where they are given to it, and counts them.
private final class CountingExecutor: SerialExecutor {
    private let jobs = Atomic<Int>(0)

    var count: Int { jobs.load(ordering: .relaxed) }

    func enqueue(_ job: consuming ExecutorJob) {
        jobs.add(1, ordering: .relaxed)
        job.runSynchronously(on: asUnownedSerialExecutor())
    }
}

/// A service as an actor. Each call that leaves its executor comes back as another job.
private actor Service {
    private let executor = CountingExecutor()
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// How many jobs the executor got while calls were made.
    func jobs(
        of call: ActorCallTests.Call, _ store: Store, _ players: StoredTable<Player>,
        _ receipt: Receipt
    ) async throws -> Int {
        let before = executor.count
        for _ in 0..<3 { try await call.perform(store, players, receipt) }
        return executor.count - before
    }

    /// How many it got while this actor was left once.
    func jobsOfLeaving() async -> Int {
        let before = executor.count
        await elsewhere()
        return executor.count - before
    }

    /// It does something: leaving for nothing is left out by the compiler.
    @concurrent private nonisolated func elsewhere() async { #expect(Task.basePriority != nil) }
}

@Suite struct ActorCallTests {
    /// The calls that an actor may make for a row in memory.
    enum Call: CaseIterable {
        case get, getWithTTL, getAbsent, update, increment, transaction, waitStaged, waitReached

        nonisolated(nonsending) func perform(
            _ store: Store, _ players: StoredTable<Player>, _ receipt: Receipt
        ) async throws {
            switch self {
            case .get: #expect(try await players.get(1)?.name == "Ada")
            case .getWithTTL:
                #expect(try await players.get(1, cachedFor: .seconds(9))?.name == "Ada")
            case .getAbsent: #expect(try await players.get(2) == nil)
            case .update: try await players.update(1) { $0.score += 1 }
            case .increment: try await players.increment(1, "score")
            case .transaction:
                try await store.transaction { tx in
                    let score = try await tx.get(1, in: players)?.score ?? 0
                    try await tx.update(1, in: players) { $0.score = score + 1 }
                }
            case .waitStaged: try await store.wait(for: .staged, receipt)
            case .waitReached: try await store.wait(for: .durable, receipt)
            }
        }
    }

    /// Leaving it and coming back would take ten times as long as the call itself.
    @Test(arguments: Call.allCases)
    func aCallThatFindsItsRowInMemoryDoesNotLeaveItsActor(_ call: Call) async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        // The delete stays in memory as long as the database lacks it.
        failing.now = SinkError(.busy, "injected")
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        let receipt = try players.put(Player(id: 1, name: "Ada"))
        try players.delete(2)
        try await store.wait(for: .durable, receipt, timeout: .hang)
        #expect(try await Service().jobs(of: call, store, players, receipt) == 0)
        failing.now = nil
        try await store.close()
    }

    /// The check can fail: a call that does leave the actor is counted.
    @Test func aCallThatLeavesItsActorIsCounted() async {
        let jobs = await Service().jobsOfLeaving()
        #expect(jobs == 1)
    }
}
