import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// A projection of the table of players: how many a team has and what they score together, and each call that it got.
struct Teams: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String { "the projection fails" }
    }

    struct Call: Equatable {
        var sequence: Int
        var operation: String
        var id: Int?
        var old: Int?
        var new: Int?
    }

    /// The key of the player at which it fails.
    let failing = Locked<Int?>(nil)
    var name = "teams"
    var version = 1
    var table = "team"

    func declare(_ store: Store, _ players: StoredTable<Player>) throws {
        let (failing, table) = (failing, table)
        try store.project(name, version: version, of: players) { db in
            try db.execute(
                sql: """
                    CREATE TABLE \(table) (name TEXT PRIMARY KEY, players INTEGER, score INTEGER);
                    CREATE TABLE \(table)_call (
                      sequence INTEGER, operation TEXT, id INTEGER, old INTEGER, new INTEGER);
                    CREATE INDEX \(table)_byScore ON \(table) (score);
                    """)
        } apply: { change, db in
            if change.operation == .clear { try db.execute(sql: "DELETE FROM \(table)") }
            try Self.add(change.old, -1, to: table, db)
            try Self.add(change.new, 1, to: table, db)
            try db.execute(
                sql: "INSERT INTO \(table)_call VALUES (?, ?, ?, ?, ?)",
                arguments: [
                    Int64(change.sequence),
                    change.isInitial ? "initial" : change.operation.rawValue,
                    change.key, change.old?.score, change.new?.score,
                ])
            // After its statements, so that there is something to take back.
            if let id = change.key, failing.withLock({ $0 == id }) { throw Failure() }
        }
    }

    private static func add(
        _ player: Player?, _ sign: Int, to table: String, _ db: Database
    ) throws {
        guard let player else { return }
        try db.execute(
            sql: """
                INSERT INTO \(table) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
                SET players = players + excluded.players, score = score + excluded.score
                """,
            arguments: [player.team ?? "none", sign, sign * player.score])
    }

    /// Waits until it is up to date with everything that was written.
    func wait(_ store: Store) async throws {
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(
            await eventually { state(store) == .current }, "\(store.projections)")
    }

    func state(_ store: Store) -> Health.Projection.State? {
        store.projections.first { $0.name == name }?.state
    }

    func calls(_ store: Store) throws -> [Call] {
        try store.database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM \(table)_call ORDER BY rowid").map {
                Call(sequence: $0[0], operation: $0[1], id: $0[2], old: $0[3], new: $0[4])
            }
        }
    }

    /// The difference between table and projection in one view of the database; nil if there is none.
    func difference(_ store: Store) throws -> String? {
        try store.database.read { db in
            let right = try Row.fetchAll(
                db,
                sql: """
                    SELECT ifnull(team, 'none'), count(*), sum(score) FROM player GROUP BY 1
                    ORDER BY 1
                    """)
            let found = try Row.fetchAll(
                db, sql: "SELECT * FROM \(table) WHERE players <> 0 OR score <> 0 ORDER BY 1")
            let same = right.map(\.databaseValues) == found.map(\.databaseValues)
            return same ? nil : "\(found), and should be \(right)"
        }
    }
}

extension Row {
    fileprivate var databaseValues: [DatabaseValue] { Array(self.map(\.1)) }
}
