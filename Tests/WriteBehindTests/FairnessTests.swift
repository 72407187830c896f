import EventLog
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

/// A row that does not expire.
private struct Counter: TableRow {
    typealias Key = String
    static let schema = WriteBehind.TableSchema(
        "counter", [.key("id", .text), .column("until", .integer, nullable: true)])
    var id: String
    var until: Int?

    init(id: String, until: Int?) {
        (self.id, self.until) = (id, until)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(until)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        until = try decoder.decode()
    }
}

/// Among many transactions that read the same rows and write what depends on them, none loses each time. A line in which
/// nobody's patience ends is served in its order, however busy the machine is.
@Suite struct FairnessTests {
    private func open(
        _ directory: TemporaryStore, patience: Duration = Turns.patience
    ) async throws -> (Store, StoredTable<Counter>) {
        let configuration = StoreConfiguration()
        var environment = StoreEnvironment.machine(configuration)
        environment.turnPatience = patience
        let store = try Store(
            at: directory.path, configuration: configuration, environment: environment)
        let sessions = try store.table(Counter.self)
        for id in ["a", "b"] { try sessions.put(Counter(id: id, until: 0)) }
        return (store, sessions)
    }

    /// Another task commits between reading and writing, as often as it can.
    @Test(arguments: [2, 16, 64])
    func nobodyTriesMuchMoreOftenThanThereAreOthers(tasks: Int) async throws {
        let directory = TemporaryStore()
        let (store, sessions) = try await open(directory, patience: .hang)
        let most = Locked(0)
        let rounds = 20
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<tasks {
                group.addTask {
                    for _ in 0..<rounds {
                        let tries = Locked(0)
                        try await store.transaction { transaction in
                            tries.withLock { $0 += 1 }
                            let first = try await transaction.get("a", in: sessions)
                            await Task.yield()
                            let second = try await transaction.get("b", in: sessions)
                            for row in [first, second].compactMap({ $0 }) {
                                let next = Counter(id: row.id, until: (row.until ?? 0) + 1)
                                try transaction.put(next, in: sessions)
                            }
                        }
                        most.withLock { $0 = max($0, tries.withLock { $0 }) }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await sessions.get("a")?.until == tasks * rounds)
        #expect(try await sessions.get("b")?.until == tasks * rounds)
        #expect(most.withLock { $0 } <= 12, "\(most.withLock { $0 }) tries of one transaction")
        try await store.close(deadline: .hang)
    }

    /// A transaction in a transaction waits for a turn that the outer one has; it must go on all the same.
    @Test func whoWaitsForItselfGoesOn() async throws {
        let directory = TemporaryStore()
        let (store, sessions) = try await open(directory)
        var tries = 0
        try await store.transaction { transaction in
            tries += 1
            _ = try await transaction.get("a", in: sessions)
            if tries < 6 {
                // Makes the outer one fail, so that it has a turn from its third try on.
                _ = try await sessions.update("a") { $0.until = tries }
            }
            try transaction.put(Counter(id: "b", until: tries), in: sessions)
        }
        #expect(tries == 6)
        try await store.close(deadline: .hang)
    }

    @Test func aTransactionThatChangesWhatItReadsEndsWithAnError() async throws {
        let directory = TemporaryStore()
        let (store, sessions) = try await open(directory)
        let error = await storeError {
            try await store.transaction { transaction in
                let row = try await transaction.get("a", in: sessions)
                // Not through the transaction.
                try sessions.put(Counter(id: "a", until: (row?.until ?? 0) + 1))
                try transaction.put(Counter(id: "b", until: 1), in: sessions)
            }
        }
        guard case .contended(let tries)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(tries == 1_000)
        #expect(try await sessions.get("a")?.until == tries)
        #expect(try await sessions.get("b")?.until == 0, "nothing of the transaction was written")
        // Nobody is left waiting for its turn.
        _ = try await sessions.increment("a", "until")
        try await store.close(deadline: .hang)
    }

    @Test func aSlowTransactionBesideQuickIncrementsIsServed() async throws {
        let directory = TemporaryStore()
        let (store, sessions) = try await open(directory, patience: .hang)
        let isDone = Locked(false)
        let tries = Locked(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !isDone.withLock({ $0 }) { _ = try await sessions.increment("a", "until") }
            }
            group.addTask {
                defer { isDone.withLock { $0 = true } }
                try await store.transaction { transaction in
                    tries.withLock { $0 += 1 }
                    let row = try await transaction.get("a", in: sessions)
                    try await Task.sleep(for: .milliseconds(2))
                    try transaction.put(Counter(id: "b", until: row?.until), in: sessions)
                }
            }
            try await group.waitForAll()
        }
        #expect(tries.withLock { $0 } <= 12)
        try await store.close(deadline: .hang)
    }

    /// The last one waits for all others, much longer than a transaction waits in a line that does not move.
    @Test func inALineThatMovesNobodyGoesBeforeItsTurn() async throws {
        let turns = Turns()
        let (now, most) = (Locked(0), Locked(0))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<60 {
                group.addTask {
                    let tickets = try await turns.take([3])
                    let count = now.withLock { now in
                        now += 1
                        return now
                    }
                    most.withLock { $0 = max($0, count) }
                    try await Task.sleep(for: .milliseconds(20))
                    now.withLock { $0 -= 1 }
                    turns.giveBack(tickets)
                }
            }
            try await group.waitForAll()
        }
        // On a busy machine one turn may take so long that the next in the line goes on.
        #expect(most.withLock { $0 } <= 5)
        #expect(!turns.areInUse)
    }

    @Test func aTaskThatIsCancelledWhileItWaitsLeavesTheLine() async throws {
        let turns = Turns()
        let first = try await turns.take([3])
        let waiting = Task { try await turns.take([3, 5]) }
        while !turns.areTaken([3]) { await Task.yield() }
        waiting.cancel()
        await #expect { try await waiting.value } throws: { StoreError.isCancelled($0) }
        turns.giveBack(first)
        #expect(!turns.areInUse && !turns.areTaken([3, 5]))
        let next = try await turns.take([3, 5])
        turns.giveBack(next)
        #expect(!turns.areInUse)
    }
}
