import EventLog
import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// The possible fates of the database file while the store is open.
@Suite struct StoreDatabaseLossTests {
    /// Rows of some length, so that the table has pages of its own.
    private func put(_ players: StoredTable<Player>, _ ids: Range<Int>) throws {
        for id in ids {
            try players.put(Player(id: id, name: String(repeating: "n", count: 100), score: id))
        }
    }

    /// Everything is there: through the store, from the database, and by what verifies them.
    private func check(
        _ directory: TemporaryStore, _ store: Store, _ players: StoredTable<Player>,
        _ ids: Range<Int>
    ) async throws {
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(await eventually { store.health.verdict == .healthy }, "\(store.health.causes)")
        for id in ids { try players.evict(id) }
        for id in ids { #expect(try await players.get(id)?.score == id) }
        try await store.close()
        let inspection = try StoreInspection(path: directory.path)
        var differing: [String] = []
        let database = try DatabaseVerification(inspection) { row, _ in differing.append(row) }
        #expect(database.fault == nil && differing.isEmpty, "\(differing)")
        #expect(database.rowCount == ids.count)
        #expect(try LogVerification(inspection).findings.isEmpty)
    }

    private func removeDatabase(_ directory: TemporaryStore) throws {
        for suffix in ["", "-wal", "-shm"] {
            try FileManager.default.removeItem(atPath: directory.database + suffix)
        }
    }

    @Test(arguments: ["file", "file and WAL"])
    func aDeletedOneIsRebuiltWithoutReopening(what: String) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try put(players, 0..<100)
        try await store.waitForAll(.materialized, timeout: .hang)
        if what == "file" {
            try FileManager.default.removeItem(atPath: directory.database)
        } else {
            try removeDatabase(directory)
        }
        try put(players, 100..<110)
        try await check(directory, store, players, 0..<110)
    }

    @Test func aDeletedOneIsRebuiltFromASnapshotWhereTheLogIsDeleted() async throws {
        let directory = TemporaryStore()
        let store = try directory.open {
            $0.segmentSize = 64 << 10
            $0.snapshotAfter = 64 << 10
            $0.logKept = .zero
            $0.logBytesKept = 0
        }
        let players = try store.table(Player.self)
        let first = StoreLayout(root: directory.path).segment(1)
        var count = 0
        while FileManager.default.fileExists(atPath: first), count < 200_000 {
            for id in count..<count + 500 {
                try players.put(Player(id: id, name: UUID().uuidString, score: id))
            }
            count += 500
            try await store.waitForAll(.materialized, timeout: .hang)
        }
        try #require(!FileManager.default.fileExists(atPath: first), "the log's start is deleted")
        try FileManager.default.removeItem(atPath: directory.database)
        try put(players, count..<count + 1)
        try await check(directory, store, players, 0..<count + 1)
    }

    @Test func anOlderCopyPutInItsPlaceIsRolledForward() async throws {
        let directory = TemporaryStore()
        let copy = directory.path + "-copy"
        defer { unlink(copy) }
        let store = try directory.open()
        let players = try store.table(Player.self)
        try put(players, 0..<100)
        try await store.waitForAll(.materialized, timeout: .hang)
        let backup = try DatabaseQueue(path: copy)
        try store.database.backup(to: backup)
        try backup.close()
        try put(players, 100..<200)
        try await store.waitForAll(.materialized, timeout: .hang)
        try removeDatabase(directory)
        try FileManager.default.moveItem(atPath: copy, toPath: directory.database)
        try put(players, 200..<210)
        try await check(directory, store, players, 0..<210)
    }

    @Test func oneOfAnotherStoreIsNotTouchedAndTold() async throws {
        let (directory, other) = (TemporaryStore(), TemporaryStore())
        try await other.open().close()
        let store = try directory.open { $0.retryLimit = .milliseconds(50) }
        let players = try store.table(Player.self)
        try put(players, 0..<100)
        try await store.waitForAll(.materialized, timeout: .hang)
        try removeDatabase(directory)
        try FileManager.default.copyItem(atPath: other.database, toPath: directory.database)
        let foreign = try Data(contentsOf: URL(filePath: directory.database))
        try put(players, 100..<110)
        let isTold = await eventually {
            store.health.causes.contains { $0.contains("another store") }
        }
        #expect(isTold, "\(store.health.causes)")
        #expect(store.health.lag.materialized == 0, "nothing is in the store's database")
        #expect(try Data(contentsOf: URL(filePath: directory.database)) == foreign)
        #expect(try await players.get(109)?.score == 109, "what is in memory can be read")
        try FileManager.default.removeItem(atPath: directory.database)
        try await check(directory, store, players, 0..<110)
    }

    @Test func aReadOfItThatIsUnderWaySaysThatItIsBeingRebuilt() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try put(players, 0..<10)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        let lost = store.engine.sink
        failing.nextRead = SinkError(.gone, "the database is closed")
        failing.beforeNextRead = {
            try removeDatabase(directory)
            try put(players, 10..<11)
            while store.engine.sink === lost { usleep(1000) }
        }
        let error = await storeError { _ = try await players.get(1) }
        guard case .database(let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("it is being rebuilt"))
        try await check(directory, store, players, 0..<11)
    }

    @Test func untilItIsBackNoRowIsReadOlderThanItWas() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try put(players, 0..<100)
        try await store.waitForAll(.materialized, timeout: .hang)
        for id in 0..<50 { #expect(try players.evict(id)) }
        try FileManager.default.removeItem(atPath: directory.database)
        failing.now = SinkError(.gone, "the file is not there")
        try put(players, 100..<101)
        #expect(await eventually { store.health.causes.contains { $0.contains("being rebuilt") } })
        let error = await storeError { _ = try await players.get(1) }
        guard case .database(let what)? = error, what.contains("being rebuilt") else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await players.get(100)?.score == 100, "what is in memory can be read")
        failing.now = nil
        try await check(directory, store, players, 0..<101)
    }

    /// No batch of the log comes behind it, and so nothing else that would wake them.
    @Test(arguments: ["who waits for a row", "who waits for all", "who waits for ever"])
    func aDatabaseFilledFromASnapshotOfEverythingWakesWhoWaits(who: String) async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try put(players, 0..<100)
        try await store.waitForAll(.materialized, timeout: .hang)
        try FileManager.default.removeItem(atPath: directory.database)
        failing.now = SinkError(.gone, "the file is not there")
        let receipt = try players.put(Player(id: 100, name: "last", score: 100))
        #expect(await eventually { store.health.causes.contains { $0.contains("being rebuilt") } })
        try await store.snapshot()
        let waiting = Task {
            switch who {
            case "who waits for a row":
                try await store.wait(for: .materialized, receipt, timeout: .hang)
            case "who waits for all": try await store.waitForAll(.materialized, timeout: .hang)
            default: try await store.waitForAll(.materialized)
            }
        }
        try await Task.sleep(for: .milliseconds(100))
        failing.now = nil
        try await waiting.value
        #expect(store.health.lag.bytes == 0 && store.health.lag.records == 0)
        #expect(try players.evict(100), "it is in the database, so memory need not hold it")
        try await check(directory, store, players, 0..<101)
    }

    /// A database that is behind has not refused yet what it is going to: until then these rows are in memory alone.
    @Test func untilItIsBackWhatIsInQuarantineStaysInMemory() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "same"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX one_name ON player (name)")
        try players.put(Player(id: 2, name: "same", score: 2))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        try FileManager.default.removeItem(atPath: directory.database)
        failing.now = SinkError(.gone, "the file is not there")
        try put(players, 100..<101)
        #expect(await eventually { store.health.causes.contains { $0.contains("being rebuilt") } })
        let error = await storeError { try await store.quarantine.retry() }
        guard case .database(let what)? = error, what.contains("being rebuilt") else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try !players.evict(2))
        #expect(try await players.get(2)?.score == 2)
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await players.get(2)?.score == 2)
        try await store.close()
    }

    /// Commits that the first database took are in quarantine with the second, which has a constraint that it lacked.
    @Test func whatOnlyTheNewDatabaseRefusesIsReadAsItWasAcknowledged() async throws {
        let directory = TemporaryStore()
        let copy = directory.path + "-copy"
        defer { unlink(copy) }
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "same"))
        try players.put(Player(id: 4, name: "gone"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let backup = try DatabaseQueue(path: copy)
        try store.database.backup(to: backup)
        try await backup.write { try $0.execute(sql: "CREATE UNIQUE INDEX one ON player (name)") }
        try backup.close()
        try players.put(Player(id: 2, name: "same", score: 2))
        try players.put(Player(id: 3, name: "same", score: 3))
        try await players.increment(3, "score", by: 4)
        try store.transaction {
            try $0.put(Player(id: 5, name: "same"), in: players)
            try $0.delete(4, in: players)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        for id in 1...5 { #expect(try players.evict(id)) }
        try removeDatabase(directory)
        try FileManager.default.moveItem(atPath: copy, toPath: directory.database)
        try players.put(Player(id: 6, name: "other"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.quarantined == 4)
        for id in 1...5 { try players.evict(id) }
        #expect(try await players.get(1)?.score == 0)
        #expect(try await players.get(2)?.score == 2)
        #expect(try await players.get(3)?.score == 7)
        #expect(try await players.get(4) == nil)
        #expect(try await players.get(5)?.name == "same")
        try await store.close()
    }

    /// A store after its database, which had everything, was found damaged. The new one takes nothing yet.
    private func losing(_ directory: TemporaryStore, _ failing: Failing) async throws -> Store {
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try put(players, 0..<101)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        failing.now = SinkError(.busy, "somebody has it")
        failing.nextRead = SinkError(.corrupt, code: 11, "a page is damaged")
        #expect(await storeError { _ = try await players.get(1) } != nil)
        #expect(await eventually { store.health.causes.contains { $0.contains("being rebuilt") } })
        return store
    }

    @Test func closingWaitsForADatabaseThatIsBeingRebuilt() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try await losing(directory, failing)
        let closing = Task { try await store.close(deadline: .hang) }
        try await Task.sleep(for: .milliseconds(100))
        failing.now = nil
        let report = try await closing.value
        #expect(report.pending == 0)
        let rows = try await DatabaseQueue(path: directory.database).read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
        }
        #expect(rows == 101)
    }

    @Test func whatALostDatabaseHeldIsNotReportedAsMaterialized() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try await losing(directory, failing)
        #expect(store.health.lag.materialized == 0)
        let report = try await store.close(deadline: .zero)
        #expect(report.materialized == 0 && report.pending == report.durable)
    }

    /// Damages pages of rows that are not in memory, so that a write or a read meets them first.
    private func damageLeaves(_ directory: TemporaryStore) throws {
        try directory.user("PRAGMA wal_checkpoint(TRUNCATE)")
        let handle = try FileHandle(forUpdating: URL(filePath: directory.database))
        let size = try handle.seekToEnd()
        // Behind the schema and the store's own tables, which come first.
        var offset: UInt64 = 24 * 4096
        try #require(size > offset + 4096)
        while offset < size {
            try handle.seek(toOffset: offset)
            try handle.write(contentsOf: Data(repeating: 0x5A, count: 4096))
            offset += 4096
        }
        try handle.close()
    }

    private func damaged(_ directory: TemporaryStore, _ lines: Locked<[String]>) async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try put(players, 0..<4000)
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
        try directory.user("CREATE INDEX mine ON player (score)")
        try damageLeaves(directory)
    }

    @Test(arguments: ["write", "read"])
    func aDamagedPageIsNamedSetAsideAndRebuilt(who: String) async throws {
        let directory = TemporaryStore()
        let lines = Locked<[String]>([])
        try await damaged(directory, lines)
        let store = try directory.open {
            $0.logger = Logger(label: "test") { _ in CapturingLog(lines) }
        }
        let players = try store.table(Player.self)
        let aside = directory.path + "/aside/database.sqlite.damaged"
        if who == "write" {
            try put(players, 0..<4000)
        } else {
            var refused = 0
            for id in 0..<4000 where await storeError({ _ = try await players.get(id) }) != nil {
                refused += 1
            }
            #expect(refused > 0, "the damage was met")
        }
        #expect(await eventually { FileManager.default.fileExists(atPath: aside) })
        #expect(await eventually { store.health.verdict == .healthy }, "\(store.health.causes)")
        let isCarriedOver = try await eventually {
            try await store.database.read {
                try String.fetchOne($0, sql: "SELECT name FROM sqlite_master WHERE name = 'mine'")
            } == "mine"
        }
        #expect(isCarriedOver, "what users made")
        #expect(lines.withLock { $0.contains { $0.contains("malformed") && $0.contains(aside) } })
        try await check(directory, store, players, 0..<4000)
    }

    /// As with `.restore` of SQLite's shell. Nothing is written after it, which would notice.
    @Test func aDatabaseThatIsPutBackInPlaceIsRolledForwardForWhoeverReads() async throws {
        let (directory, elsewhere) = (TemporaryStore(), TemporaryStore())
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let (database, backup) = (
            try DatabaseQueue(path: directory.database), try DatabaseQueue(path: elsewhere.path)
        )
        try database.backup(to: backup)
        try players.put(Player(id: 2, name: "Bo"))
        try await store.waitForAll(.materialized, timeout: .hang)
        for id in [1, 2] { #expect(try players.evict(id)) }
        try backup.backup(to: database)
        let found = Locked<String?>(nil)
        Task {
            while found.withLock({ $0 }) == nil {
                let name = try? await players.get(2)?.name
                found.withLock { $0 = name }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        #expect(await eventually(within: 60) { found.withLock { $0 } == "Bo" })
        #expect(await eventually { store.health.verdict == .healthy })
        try await store.close()
    }
}
