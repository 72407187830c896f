import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// The possible fates of the database file while the store is closed (its log is whole).
@Suite struct StoreDatabaseTests {
    /// By closing a file a process releases all its locks on it: then another process would take the database for
    /// unused, and its WAL for its own.
    @Test func openingLetsTheProcessKeepItsLocksOnTheDatabase() async throws {
        let directory = TemporaryStore()
        let first = try directory.open()
        try first.table(Player.self).put(Player(id: 1, name: "Ada"))
        try await first.close()
        let descriptor = open(directory.database, O_RDWR)
        // Last of all: closing it releases the locks as well.
        defer { close(descriptor) }
        let mine = try DatabaseQueue(path: directory.database)
        let count = try await mine.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM player") }
        #expect(count == 1)
        #expect(isLocked(descriptor))
        let second = try directory.open()
        #expect(isLocked(descriptor))
        try await second.close()
        try mine.close()
    }

    /// Whether any process has a lock on a file, this one as well: a lock of a descriptor would not be granted.
    private func isLocked(_ descriptor: Int32) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        let ofdGetLock: Int32 = 36  // F_OFD_GETLK, which Glibc's module leaves out
        #expect(fcntl(descriptor, ofdGetLock, &lock) == 0)
        return lock.l_type != Int16(F_UNLCK)
    }

    private func write(_ directory: TemporaryStore, _ ids: Range<Int>) async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in ids { try players.put(Player(id: id, name: "p\(id)", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
    }

    /// Opens the store and compares memory and database with what was written.
    private func check(_ directory: TemporaryStore, _ ids: Range<Int>) async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in ids { #expect(try await players.get(id)?.score == id) }
        #expect(try await players.get(ids.upperBound) == nil)
        try await store.waitForAll(.materialized, timeout: .hang)
        let found = try await store.database.read {
            try Int.fetchAll($0, sql: "SELECT score FROM player ORDER BY id")
        }
        #expect(found == Array(ids))
        #expect(store.health.verdict == .healthy)
        try await store.close()
    }

    private func copyDatabase(from source: String, to target: String) throws {
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: target + suffix)
            guard FileManager.default.fileExists(atPath: source + suffix) else { continue }
            try FileManager.default.copyItem(atPath: source + suffix, toPath: target + suffix)
        }
    }

    @Test func anOlderCopyIsRolledForward() async throws {
        let directory = TemporaryStore()
        let backup = directory.path + "-backup"
        defer { for suffix in ["", "-wal", "-shm"] { unlink(backup + suffix) } }
        try await write(directory, 0..<100)
        try copyDatabase(from: directory.database, to: backup)
        try await write(directory, 100..<200)
        try copyDatabase(from: backup, to: directory.database)
        try await check(directory, 0..<200)
    }

    @Test func aDeletedOneIsRebuilt() async throws {
        let directory = TemporaryStore()
        try await write(directory, 0..<100)
        try FileManager.default.removeItem(atPath: directory.database)
        try await check(directory, 0..<100)
    }

    @Test func aDamagedOneIsKeptAsideAndRebuilt() async throws {
        let directory = TemporaryStore()
        try await write(directory, 0..<100)
        try Data(repeating: 0x55, count: 8192).write(to: URL(filePath: directory.database))
        // Users' objects in it cannot be read, and health says so until the operator removes the file.
        let store = try directory.open()
        #expect(await eventually { store.health.verdict == .degraded })
        try await store.close()
        try FileManager.default.removeItem(atPath: directory.database + ".carry-over")
        try await check(directory, 0..<100)
        let aside = directory.path + "/aside/database.sqlite.damaged"
        #expect(FileManager.default.fileExists(atPath: aside))
    }

    @Test func oneOfAnotherStoreIsRefusedUntouched() async throws {
        let (directory, other) = (TemporaryStore(), TemporaryStore())
        try await write(directory, 0..<10)
        try await write(other, 0..<20)
        try copyDatabase(from: other.database, to: directory.database)
        let before = try Data(contentsOf: URL(filePath: directory.database))
        let error = await storeError { try await directory.open().close() }
        guard case .foreignDatabase(path: directory.database, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try Data(contentsOf: URL(filePath: directory.database)) == before)
    }

    /// Two copies of a store went on by themselves; then one gets the other's database.
    @Test func oneOfAnotherHistoryIsKeptAsideWithWhatItsUserMade() async throws {
        let (directory, fork) = (TemporaryStore(), TemporaryStore())
        try await write(directory, 0..<10)
        try FileManager.default.copyItem(atPath: directory.path, toPath: fork.path)
        try await write(fork, 500..<505)
        try fork.user(
            """
            CREATE INDEX mine ON player (score);
            CREATE VIEW best AS SELECT name FROM player WHERE score > 5;
            CREATE TABLE audit (id INTEGER);
            CREATE TRIGGER log AFTER DELETE ON audit BEGIN DELETE FROM audit; END;
            """)
        try await write(directory, 10..<100)
        try copyDatabase(from: fork.database, to: directory.database)
        try await check(directory, 0..<100)
        let aside = directory.path + "/aside/database.sqlite.other-history"
        #expect(FileManager.default.fileExists(atPath: aside))
        let store = try directory.open()
        let names = try await store.database.read {
            try String.fetchAll(
                $0,
                sql:
                    "SELECT name FROM sqlite_master WHERE name IN ('mine', 'best', 'log') ORDER BY 1"
            )
        }
        #expect(names == ["best", "log", "mine"])
        try await store.close()
    }

    @Test func whatUsersMadeIsCarriedOverThoughRebuildingIsInterrupted() async throws {
        let directory = TemporaryStore()
        try await write(directory, 0..<10)
        let fork = TemporaryStore()
        try FileManager.default.copyItem(atPath: directory.path, toPath: fork.path)
        try await write(fork, 500..<505)
        try fork.user("CREATE INDEX mine ON player (score)")
        try await write(directory, 10..<100)
        try copyDatabase(from: fork.database, to: directory.database)
        let failing = Failing()
        failing.now = SinkError(.busy, "somebody has it")
        for _ in 0..<2 {
            let report = try await directory.open(failing: failing).close(deadline: .zero)
            #expect(report.materialized == 0)
        }
        try await check(directory, 0..<100)
        let queue = try DatabaseQueue(path: directory.database)
        let index = try await queue.read {
            try String.fetchOne($0, sql: "SELECT name FROM sqlite_master WHERE name = 'mine'")
        }
        #expect(index == "mine")
        try queue.close()
        // Once it is made, it is the users' again.
        try directory.user("DROP INDEX mine")
        try await check(directory, 0..<100)
        #expect(
            try await DatabaseQueue(path: directory.database).read {
                try String.fetchAll($0, sql: "SELECT name FROM sqlite_master WHERE name = 'mine'")
            } == [])
    }

    /// The log does not reach back to its refused commits, though it does to its watermark.
    @Test func aBackupWhoseQuarantineTheLogHasNoMoreIsPutAside() async throws {
        let directory = TemporaryStore()
        let backup = directory.path + "-backup"
        defer { unlink(backup) }
        var store = try directory.open {
            $0.segmentSize = 64 << 10
            $0.logKept = .zero
            $0.logBytesKept = 0
        }
        var players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "same"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX one ON player (name)")
        try players.put(Player(id: 1, name: "same", score: 1))
        for id in 2..<5000 { try players.put(Player(id: id, name: UUID().uuidString, score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        let copy = try DatabaseQueue(path: backup)
        try store.database.backup(to: copy)
        try copy.close()
        try directory.user("DROP INDEX one")
        try await store.quarantine.retry()
        for id in 5000..<5002 {
            try players.put(Player(id: id, name: "n\(id)", score: id))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.snapshot()
        }
        let first = StoreLayout(root: directory.path).segment(1)
        #expect(await eventually { !FileManager.default.fileExists(atPath: first) })
        try await store.close()
        try copyDatabase(from: backup, to: directory.database)
        store = try directory.open()
        players = try store.table(Player.self)
        #expect(try await players.get(1)?.score == 1)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count <= 1)
        for id in 0..<5002 { #expect(try await players.get(id)?.score == id) }
        try await store.close()
    }

    @Test func aStoreThatCanOnlyBeReadCarriesNothingOver() async throws {
        let directory = TemporaryStore()
        try await write(directory, 0..<10)
        try await write(directory, 10..<20)
        let log = StoreLayout(root: directory.path).log
        let last = try #require(FileManager.default.contentsOfDirectory(atPath: log).max())
        try FileManager.default.removeItem(atPath: log + "/" + last)
        let file = directory.database + ".carry-over"
        let json = #"{"path":"old","statements":["CREATE INDEX mine ON player (score)"]}"#
        try Data(json.utf8).write(to: URL(filePath: file))
        let store = try directory.open()
        #expect(store.health.verdict == .failed)
        try await store.close()
        #expect(FileManager.default.fileExists(atPath: file))
    }
}
