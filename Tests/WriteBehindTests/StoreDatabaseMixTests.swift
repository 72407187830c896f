import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// Files of the database that a person put together wrongly.
@Suite struct StoreDatabaseMixTests {
    private func copy(_ directory: TemporaryStore, to target: String) throws {
        try? FileManager.default.removeItem(atPath: target)
        try FileManager.default.copyItem(atPath: directory.path, toPath: target)
    }

    @Test func anOlderFileBesideANewerWALIsPutAsideAndRebuilt() async throws {
        let (directory, killed) = (TemporaryStore(), TemporaryStore())
        var store = try directory.open()
        var players = try store.table(Player.self)
        for id in 0..<2_000 { try players.put(Player(id: id, name: "old", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
        let lastWeek = try Data(contentsOf: URL(filePath: directory.database))
        store = try directory.open()
        players = try store.table(Player.self)
        for id in 0..<2_000 { try players.put(Player(id: id, name: "new", score: -id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
        store = try directory.open()
        players = try store.table(Player.self)
        for id in 0..<500 { try players.put(Player(id: id, name: "newest", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try copy(directory, to: killed.path)
        try await store.close()

        try lastWeek.write(to: URL(filePath: killed.database))
        store = try killed.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        let names = try await store.database.read {
            try String.fetchAll($0, sql: "SELECT DISTINCT name FROM player ORDER BY name")
        }
        #expect(names == ["new", "newest"])
        #expect(
            FileManager.default.fileExists(atPath: killed.path + "/aside/database.sqlite.damaged"))
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        try await store.close()
    }

    /// It says nothing of the log, which is whole.
    @Test(arguments: ["-1", "-9223372036854775808"])
    func aDatabaseWithAWatermarkThatNoStoreWritesIsPutAsideAndRebuilt(sequence: String) async throws
    {
        let directory = TemporaryStore()
        var store = try directory.open()
        for id in 0..<10 { try store.table(Player.self).put(Player(id: id, name: "p")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
        let queue = try DatabaseQueue(path: directory.database)
        try await queue.write {
            try $0.execute(sql: "UPDATE _writebehind_watermark SET sequence = \(sequence)")
        }
        try queue.close()
        let judgement = try DatabaseJudgement(
            withoutRowsOf: StoreInspection(path: directory.path, disk: PosixDisk()))
        guard case .damaged(let reason) = judgement else {
            Issue.record("it is judged as \(judgement)")
            return
        }
        #expect(reason.contains("watermark is \(sequence)"))
        store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        let count = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
        }
        #expect(count == 10 && store.health.verdict == .healthy, "\(store.health.causes)")
        try await store.close()
    }

    /// The WAL names a later watermark than the log reaches, but it is not this database's.
    @Test(arguments: [["-wal"], ["-wal", "-shm"]])
    func aWALOfALaterTimeIsNoEvidenceOfALongerLog(suffixes: [String]) async throws {
        let (directory, early, late) = (TemporaryStore(), TemporaryStore(), TemporaryStore())
        var store = try directory.open()
        try store.table(Player.self).put(Player(id: 1, name: "first"))
        try await store.waitForAll(.materialized, timeout: .hang)
        // The file has the tables: with a later WAL it could be read.
        try await store.close()
        store = try directory.open()
        try store.table(Player.self).put(Player(id: 1, name: "early"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try copy(directory, to: early.path)
        try await store.close()
        store = try directory.open()
        for id in 2..<100 { try store.table(Player.self).put(Player(id: id, name: "late")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try copy(directory, to: late.path)
        try await store.close()
        for suffix in ["-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: early.database + suffix)
            guard suffixes.contains(suffix) else { continue }
            try FileManager.default.copyItem(
                atPath: late.database + suffix, toPath: early.database + suffix)
        }
        let inspection = try StoreInspection(path: early.path)
        #expect(inspection.damage == nil)
        let plan = try RecoveryPlan(inspection, jobs: 1, progress: { _ in }, differs: { _, _ in })
        let isReplacing = plan.steps.contains {
            if case .setDatabaseAside = $0 { true } else { false }
        }
        #expect(isReplacing, "\(plan.steps)")
        store = try early.open()
        #expect(store.health.verdict != .failed, "\(store.health.causes)")
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await store.table(Player.self).get(1)?.name == "early")
        #expect(try await store.table(Player.self).get(50) == nil)
        try await store.close()
    }

    @Test func aWholeOlderDatabaseWithItsWALIsRolledForward() async throws {
        let (directory, early) = (TemporaryStore(), TemporaryStore())
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<100 { try players.put(Player(id: id, name: "p\(id)")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try copy(directory, to: early.path)
        for id in 100..<200 { try players.put(Player(id: id, name: "p\(id)")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: directory.database + suffix)
            try FileManager.default.copyItem(
                atPath: early.database + suffix, toPath: directory.database + suffix)
        }
        let reopened = try directory.open()
        try await reopened.waitForAll(.materialized, timeout: .hang)
        let count = try await reopened.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
        }
        #expect(count == 200)
        let aside = directory.path + "/aside"
        #expect(try FileManager.default.contentsOfDirectory(atPath: aside).isEmpty)
        try await reopened.close()
    }

    private static let endless = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n
        """

    @Test(.timeLimit(.minutes(5)))
    func usersQueriesHoldUpNeitherReadsNorClosing() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.readers = 2 }
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let database = try store.database
        let started = Locked(0)
        let queries = (0..<4).map { _ in
            Task {
                await storeErrorOrNot {
                    _ = try await database.read { db in
                        started.withLock { $0 += 1 }
                        return try Int.fetchOne(db, sql: Self.endless)
                    }
                }
            }
        }
        #expect(await eventually { started.withLock { $0 } >= 2 })
        #expect(try players.evict(1))
        #expect(try await players.get(1)?.name == "Ada")
        try await store.close(deadline: .milliseconds(100))
        for query in queries { #expect(await query.value, "the query ended with an error") }
    }

    private func storeErrorOrNot(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return false
        } catch {
            return true
        }
    }
}
