import EventLog
import TestSupport
import Testing
import WriteBehind

/// Behaviour when the database cannot follow (I8).
@Suite struct BacklogTests {
    private static let busy = SinkError(.busy, "injected")

    /// Writes until it is refused; returns how many rows were taken, and the refusal.
    private func fill(_ players: StoredTable<Player>, from start: Int = 0) -> (Int, StoreError?) {
        for id in start..<start + 200_000 {
            do throws(StoreError) {
                // Nothing that compresses well: the log's bytes on disk count.
                let name = (0..<12).map { _ in String(UInt64.random(in: 0 ... .max)) }.joined()
                try players.put(Player(id: id, name: name))
            } catch {
                return (id - start, error)
            }
        }
        return (200_000, nil)
    }

    @Test func writesAreRefusedAtTheDirtyLimitAndTakenAgainAfterwards() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = Self.busy
        let store = try directory.open(failing: failing) { $0.dirtyLimit = 2 << 20 }
        let players = try store.table(Player.self)
        let (count, error) = fill(players)
        guard case .backlogFull(.dirtyBytes(limit: 2 << 20)) = error else {
            Issue.record("\(String(describing: error)) after \(count) rows")
            return
        }
        #expect(count > 1000)
        #expect(try await players.get(count - 1) != nil, "reads go on")
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        try players.put(Player(id: -1, name: "again"))
        #expect(fill(players, from: count).0 > 1000)
        try await store.close()
    }

    @Test func theRefusalNamesTheLimitThatHolds() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = Self.busy
        let store = try directory.open(failing: failing) { $0.cacheLimit = 8 << 20 }
        let (count, error) = fill(try store.table(Player.self))
        guard case .backlogFull(.dirtyBytes(limit: 6 << 20)) = error else {
            Issue.record("\(String(describing: error)) after \(count) rows")
            return
        }
        failing.now = nil
        try await store.close()
    }

    @Test func writesAreRefusedAtTheBacklogLimitAndTakenAgainAfterwards() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = Self.busy
        let store = try directory.open(failing: failing) {
            // More than the log's buffer takes before it is written.
            $0.cacheLimit = 64 << 20
            $0.backlogLimit = 200_000
            $0.syncInterval = .milliseconds(1)
        }
        let players = try store.table(Player.self)
        let (count, error) = fill(players)
        guard case .backlogFull(.bytesOnDisk(limit: 200_000)) = error else {
            Issue.record("\(String(describing: error)) after \(count) rows")
            return
        }
        #expect(store.health.lag.bytes >= 200_000)
        #expect(try await players.get(0) != nil, "reads go on")
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        try players.put(Player(id: -1, name: "again"))
        try await store.close()
    }

    /// A store with far more than its memory in the log, and no database.
    private func backlog(_ directory: TemporaryStore, rows: Int) async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<rows {
            try players.put(Player(id: id, name: String(repeating: "n", count: 200), score: id))
            if id % 5000 == 0 { try await store.waitForAll(.materialized) }
        }
        try await store.close()
        for suffix in ["", "-wal", "-shm"] {
            let path = directory.database + suffix
            if try PosixDisk().exists(path) { try PosixDisk().remove(path) }
        }
    }

    @Test func openingWithABacklogBeyondMemoryBringsTheDatabaseForwardFirst() async throws {
        let directory = TemporaryStore()
        try await backlog(directory, rows: 20_000)
        let store = try directory.open {
            $0.cacheLimit = 8 << 20
            $0.dirtyLimit = 1 << 20
            $0.batchRecords = 5000
        }
        #expect(store.health.lag.materialized > 0)
        let players = try store.table(Player.self)
        for id in stride(from: 0, to: 20_000, by: 997) {
            #expect(try await players.get(id)?.score == id)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        for id in stride(from: 0, to: 20_000, by: 991) {
            #expect(try await players.get(id)?.score == id)
        }
        try await store.close()
    }

    @Test func openingSaysWhyWhenTheDatabaseDoesNotTakeWhatMemoryCannotHold() async throws {
        let directory = TemporaryStore()
        try await backlog(directory, rows: 20_000)
        let failing = Failing()
        failing.now = Self.busy
        let error = await storeError {
            let store = try directory.open(failing: failing) {
                $0.cacheLimit = 8 << 20
                $0.dirtyLimit = 1 << 20
            }
            try await store.close()
        }
        guard case .database(let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("dirtyLimit") && reason.contains("injected"), "\(reason)")
        try await directory.open().close()
    }
}
