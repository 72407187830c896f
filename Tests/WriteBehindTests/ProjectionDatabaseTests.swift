import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// A projection belongs to its database: it is what the rows there are, whatever becomes of either.
@Suite struct ProjectionDatabaseTests {
    private let directory = TemporaryStore()
    private let teams = Teams()

    @Test func aLostDatabaseGetsItAnew() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        for id in 0..<50 { try players.put(Player(id: id, name: "p", score: id)) }
        try await teams.wait(store)
        try FileManager.default.removeItem(atPath: directory.database)
        try players.put(Player(id: 50, name: "p", score: 50))
        try await teams.wait(store)
        #expect(await eventually { store.health.verdict == .healthy }, "\(store.health.causes)")
        #expect(try teams.difference(store) == nil)
        #expect(store.health.causes == [])
        try await store.close(deadline: .hang)
    }

    /// What users made is carried over to the new database; a projection's tables are built anew there.
    @Test func aDatabaseThatIsPutAsideLeavesItsProjectionsBehind() async throws {
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            for id in 0..<50 { try players.put(Player(id: id, name: "p", score: id)) }
            try await teams.wait(store)
            try await store.close(deadline: .hang)
        }
        try directory.user("CREATE TABLE mine (a)")
        try directory.user("UPDATE _writebehind_watermark SET chain = chain + 1")
        let store = try directory.open()
        try teams.declare(store, try store.table(Player.self))
        try await teams.wait(store)
        #expect(await eventually { store.health.verdict == .healthy }, "\(store.health.causes)")
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).map(\.operation).allSatisfy { $0 == "initial" })
        let tables = try await store.database.read {
            try String.fetchAll($0, sql: "SELECT name FROM sqlite_master")
        }
        #expect(tables.contains("mine"))
        try await store.close(deadline: .hang)
    }

    @Test func anOlderCopyOfTheDatabaseIsBroughtForwardWithIt() async throws {
        let copy = directory.path + "/../" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: copy) }
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            for id in 0..<5 { try players.put(Player(id: id, name: "p", score: id)) }
            try await teams.wait(store)
            try await store.close(deadline: .hang)
            try FileManager.default.copyItem(atPath: directory.database, toPath: copy)
        }
        let before: Int
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            before = try teams.calls(store).count
            for id in 5..<9 { try players.put(Player(id: id, name: "p", score: id)) }
            try await teams.wait(store)
            try await store.close(deadline: .hang)
        }
        try FileManager.default.removeItem(atPath: directory.database)
        try FileManager.default.copyItem(atPath: copy, toPath: directory.database)
        let store = try directory.open()
        try teams.declare(store, try store.table(Player.self))
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).count == before + 4)
        try await store.close(deadline: .hang)
    }

    // MARK: quarantine

    /// A store whose database refuses a second player of one name, and a player of that name that it is to refuse.
    private func poisoned() async throws -> (Store, StoredTable<Player>) {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try players.put(Player(id: 0, name: "poison", score: 1))
        try await teams.wait(store)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        try players.put(Player(id: 1, name: "poison", score: 2))
        return (store, players)
    }

    @Test func whatIsRefusedIsSeenWhenItIsSettled() async throws {
        let (store, players) = try await poisoned()
        try await players.update(1) { $0.score = 3 }
        try players.put(Player(id: 2, name: "fine", score: 4))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        #expect(try teams.calls(store).compactMap(\.id).suffix(2) == [0, 2])
        #expect(try teams.difference(store) == nil)

        try directory.user("DROP INDEX unique_name")
        try await store.quarantine.retry()
        #expect(store.quarantine.list().isEmpty)
        #expect(try teams.calls(store).compactMap(\.id).suffix(2) == [1, 1])
        #expect(try teams.calls(store).suffix(2).map(\.new) == [2, 3])
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }

    @Test func whatIsGivenUpIsNotSeen() async throws {
        let (store, players) = try await poisoned()
        try await store.waitForAll(.materialized, timeout: .hang)
        try players.put(Player(id: 1, name: "fine", score: 5))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        #expect(try teams.calls(store).compactMap(\.new).suffix(1) == [5])
        #expect(try !teams.calls(store).compactMap(\.new).contains(2))
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }
}
