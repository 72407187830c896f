import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// Somebody else's locks and reads, and what health says of them.
@Suite struct StoreDatabaseLockTests {
    /// A connection that may keep a transaction open.
    private static func other(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    @Test func whoHoldsALockIsNamedAndAFreedLockIsNoticedSoon() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.retryLimit = .seconds(600) }
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let other = try Self.other(directory.database)
        try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        try players.put(Player(id: 2, name: "Bo"))
        let isTold = await eventually {
            store.health.causes.contains { $0.contains("process has the write lock") }
        }
        #expect(isTold, "\(store.health.causes)")
        // Long enough for pauses of minutes, were they to grow.
        try await Task.sleep(for: .seconds(3))
        let freed = ContinuousClock.now
        try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(ContinuousClock.now - freed < .seconds(60))
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        try other.close()
        try await store.close()
    }

    @Test(arguments: [
        ("1: POSIX  ADVISORY  WRITE 812 fe:01:4711 120 120", 812),
        ("1: POSIX  ADVISORY  READ  812 fe:01:4711 120 120", nil),
        ("1: POSIX  ADVISORY  WRITE 812 fe:01:4711 124 124", nil),
        ("1: POSIX  ADVISORY  WRITE 812 fe:01:14711 120 120", nil),
        ("1: -> POSIX  ADVISORY  WRITE 812 fe:01:4711 120 120", nil), ("", nil),
    ])
    func theKernelsListIsReadToTheInode(line: String, process: Int32?) {
        #expect(LockHolder.holder(in: "\(line)\n", inode: 4_711) == process)
    }

    @Test func aReaderThatKeepsTheWALFromBeingEmptiedIsTold() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        let other = try Self.other(fixture.path)
        try other.inDatabase { db in
            try db.execute(sql: "BEGIN")
            _ = try Row.fetchOne(db, sql: "SELECT 1 FROM person")
        }
        try fixture.apply([.person(2, "Bo")])
        #expect(fixture.sink.concern() == nil)
        _ = try fixture.sink.checkpoint()
        #expect(fixture.sink.concern()?.contains("reader") == true)
        try other.inDatabase { try $0.execute(sql: "COMMIT") }
        _ = try fixture.sink.checkpoint()
        #expect(fixture.sink.concern() == nil)
        try other.close()
    }
}
