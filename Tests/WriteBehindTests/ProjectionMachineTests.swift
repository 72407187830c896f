import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// Errors that look like the machine's, and come from what a projection does.
@Suite struct ProjectionMachineTests {
    private let directory = TemporaryStore()
    private let teams = Teams()

    /// To SQLite, a table that has no key left is a full disk, however often it is tried.
    @Test func anErrorOfTheMachineThatStaysStopsIt() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try store.project("keys", version: 1, of: players) { db in
            try db.execute(
                sql: "CREATE TABLE own (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER)")
        } apply: { change, db in
            let last = change.key == 1 ? Int64.max : nil
            try db.execute(
                sql: "INSERT INTO own VALUES (?, ?)", arguments: [last, change.key])
        }
        #expect(await eventually { store.projections.allSatisfy { $0.state == .current } })
        for id in 0..<4 { try players.put(Player(id: id, name: "p", score: id)) }
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).count == 4)
        let keys = try #require(store.projections.first)
        #expect(keys.name == "keys" && keys.state == .stopped)
        #expect(keys.cause?.contains("database or disk is full") == true, "\(keys.cause ?? "")")
        #expect(keys.cause?.contains("it ended the transaction") == false)
        let own = try await store.database.read { db in
            try Int.fetchAll(db, sql: "SELECT n FROM own ORDER BY id")
        }
        #expect(own == [0, 1])
        #expect(store.quarantine.list().isEmpty)
        try await store.close(deadline: .hang)
    }

    /// A few of them are endured, and nothing is lost.
    @Test func anErrorOfTheMachineThatPassesStopsNothing() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        let left = Locked(3)
        let seen = Locked<[Int?]>([])
        try store.project("tried", version: 1, of: players) { _ in
        } apply: { change, _ in
            let fails = left.withLock { left in
                left -= 1
                return left >= 0
            }
            if fails { throw DatabaseError(resultCode: .SQLITE_IOERR) }
            seen.withLock { $0.append(change.key) }
        }
        #expect(await eventually { store.projections.first?.state == .current })
        for id in 0..<2 {
            try players.put(Player(id: id, name: "p", score: id))
            try await store.waitForAll(.materialized, timeout: .hang)
            left.withLock { $0 = 5 }
        }
        #expect(store.projections.first?.state == .current)
        #expect(seen.withLock { $0 } == [0, 1])
        try await store.close(deadline: .hang)
    }

    /// A closure that opens a file of its own: what is wrong with that is nothing to the store's database.
    @Test(arguments: [ResultCode.SQLITE_NOTADB, .SQLITE_CANTOPEN, .SQLITE_CORRUPT])
    func whatAClosureOpensIsNotTheStoresDatabase(_ code: ResultCode) async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try store.project("opens", version: 1, of: players) { _ in
        } apply: { change, _ in
            if change.key == 1 { throw DatabaseError(resultCode: code) }
        }
        #expect(await eventually { store.projections.first?.state == .current })
        let file = try number(of: directory.database)
        for id in 0..<3 { try players.put(Player(id: id, name: "p", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.projections.first?.state == .stopped)
        #expect(try number(of: directory.database) == file)
        let count = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
        }
        #expect(count == 3)
        try await store.close(deadline: .hang)
    }

    /// If it is the store's database indeed, that is rebuilt, and the projection with it.
    @Test func aDatabaseThatIsDamagedIsReplacedAlsoWhereAClosureNoticesIt() async throws {
        var store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        var players = try store.table(Player.self)
        let name = String(repeating: "n", count: 1000)
        for id in 1000..<5000 { try players.put(Player(id: id, name: name)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close(deadline: .hang)

        store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        players = try store.table(Player.self)
        let file = try number(of: directory.database)
        let isWhole = Locked(true)
        try store.project("notices", version: 1, of: players) { db in
            try db.execute(sql: "CREATE TABLE noticed (id INTEGER)")
        } apply: { [path = directory.database] change, db in
            if change.key == 1,
                isWhole.withLock({ isWhole in
                    defer { isWhole = false }
                    return isWhole
                })
            {
                let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
                try handle.seek(toOffset: 100 * 4096)
                try handle.write(contentsOf: Data(repeating: 0xA5, count: 500 * 4096))
                throw DatabaseError(resultCode: .SQLITE_CORRUPT)
            }
            try db.execute(sql: "INSERT INTO noticed VALUES (?)", arguments: [change.key])
        }
        #expect(await eventually { store.projections.first?.state == .current })
        for id in 0..<3 { try players.put(Player(id: id, name: "p", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try number(of: directory.database) != file)
        #expect(await eventually { store.projections.first?.state == .current })
        let counts = try await store.database.read { db in
            try ["player", "noticed"].map {
                try Int.fetchOne(db, sql: "SELECT count(*) FROM \($0)")
            }
        }
        #expect(counts == [4003, 4003])
        try await store.close(deadline: .hang)
    }

    private func number(of file: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file)[.systemFileNumber] as? Int
    }

    // MARK: building

    /// One that cannot be built yet waits for its own next attempt, and no other one does.
    @Test func oneThatCannotBeBuiltKeepsNoOtherFromIt() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "p", score: 1))
        try await store.waitForAll(.materialized, timeout: .hang)
        let isFull = Locked(true)
        try store.project("a", version: 1, of: players) { db in
            if isFull.withLock(\.self) { throw DatabaseError(resultCode: .SQLITE_FULL) }
        } apply: { _, _ in
        }
        #expect(await eventually { store.projections.first?.cause != nil })
        try teams.declare(store, players)
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        let first = try #require(store.projections.first)
        #expect(first.name == "a" && first.state == .building)
        #expect(store.health.causes.contains { $0.contains("\"a\"") && $0.contains("full") })
        isFull.withLock { $0 = false }
        #expect(await eventually { store.projections.first?.state == .current })
        #expect(store.projections.first?.cause == nil)
        try await store.close(deadline: .hang)
    }

    /// A key into a table of the store's would have changes of that table refused.
    @Test func aForeignKeyIntoATableOfTheStoresIsRefused() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        for (name, parent) in [("own", "OWN"), ("strange", "player")] {
            try store.project(name, version: 1, of: players) { db in
                try db.execute(
                    sql: "CREATE TABLE \(name) (id INTEGER PRIMARY KEY REFERENCES \(parent) (id))")
            } apply: { change, db in
                try db.execute(
                    sql: change.new == nil
                        ? "DELETE FROM \(name) WHERE id = ?" : "INSERT INTO \(name) VALUES (?)",
                    arguments: [change.key])
            }
        }
        #expect(await eventually { store.projections.last?.state == .stopped })
        #expect(await eventually { store.projections.first?.state == .current })
        let cause = store.projections.last?.cause ?? ""
        #expect(cause.contains("\"player\"") && cause.contains("leave the foreign key out"))
        try players.put(Player(id: 1, name: "p", score: 1))
        try players.delete(1)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        try await store.close(deadline: .hang)
    }
}
