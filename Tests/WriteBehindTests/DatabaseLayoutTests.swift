import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// The store's own tables in the database have a version: an earlier one is upgraded, and a later one is refused.
@Suite struct DatabaseLayoutTests {
    private let directory = TemporaryStore()

    /// A closed store with a commit in quarantine.
    private func makeStore() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        try players.put(Player(id: 1, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        try await store.close(deadline: .hang)
    }

    private func isInspected() throws -> Bool {
        let inspection = try StoreInspection(path: directory.path)
        return inspection.database.contents?.quarantined.count == 1
    }

    @Test(arguments: [
        "ALTER TABLE _writebehind_quarantine DROP COLUMN is_definition;", "",
    ])
    func anEarlierOneIsUpgradedWithWhatItHolds(alsoWithout column: String) async throws {
        try await makeStore()
        try directory.user(column + "ALTER TABLE _writebehind_watermark DROP COLUMN layout")
        #expect(try isInspected())
        for _ in 0..<2 {
            let store = try directory.open()
            #expect(store.quarantine.list().count { $0.rows == ["player[1]"] } == 1)
            // A definition that is refused goes into the upgraded table, unless the store sees beforehand that the name is
            // taken.
            try directory.user("CREATE TABLE IF NOT EXISTS badge (a)")
            _ = try? store.table(Badge.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
        }
        try directory.user("DROP INDEX unique_name; DROP TABLE badge")
        let store = try directory.open()
        #expect(try await store.quarantine.retry().left == 0)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        let layout = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT layout FROM _writebehind_watermark")
        }
        #expect(layout == 2)
        try await store.close(deadline: .hang)
    }

    @Test func aLaterOneIsRefusedAndLeftAsItIs() async throws {
        try await makeStore()
        try directory.user("UPDATE _writebehind_watermark SET layout = 3")
        let error = await storeError { _ = try directory.open() }
        #expect("\(error as Any)".contains("a newer version of WriteBehind"), "\(error as Any)")
        let aside = try? FileManager.default.contentsOfDirectory(atPath: directory.path + "/aside")
        #expect(aside?.isEmpty ?? true)
        #expect(try !isInspected())
        try directory.user("UPDATE _writebehind_watermark SET layout = 2")
        let store = try directory.open()
        #expect(store.quarantine.list().count == 1)
        try await store.close(deadline: .hang)
    }
}
