import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// Locks and reads of other processes, and what health reports about them.
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
}
