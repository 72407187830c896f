import Foundation
import GRDB
import TestSupport
import WriteBehind

/// A projection of the items: their number and the sum of their values, for each thread. A change that is applied twice, or
/// not at all, makes the sums wrong for ever. A table of the projection itself holds an id of its build.
enum Sums {
    private static let name = "sums"

    static func declare(_ tables: Tables) throws {
        try tables.store.project(name, version: 1, of: tables.items) { db in
            try db.execute(
                sql: """
                    CREATE TABLE item_sum (thread INTEGER PRIMARY KEY, count INTEGER, value INTEGER);
                    CREATE TABLE item_sum_build (id TEXT);
                    """)
            try db.execute(
                sql: "INSERT INTO item_sum_build VALUES (?)", arguments: [UUID().uuidString])
        } apply: { change, db in
            if change.operation == .clear { try db.execute(sql: "DELETE FROM item_sum") }
            for (item, sign) in [(change.old, -1), (change.new, 1)] {
                guard let item else { continue }
                try db.execute(
                    sql: """
                        INSERT INTO item_sum VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                        SET count = count + excluded.count, value = value + excluded.value
                        """,
                    arguments: [item.id % Load.threadCount, sign, sign * item.value])
            }
        }
    }

    /// Compares the table and the projection in one snapshot of the database.
    /// - Returns: which build of the projection it is.
    static func check(_ store: Store) async throws -> String {
        try await store.waitForAll(.materialized)
        while store.projections.first?.state == .building {
            try await Task.sleep(for: .milliseconds(5))
        }
        guard let projection = store.projections.first, projection.state == .current else {
            throw Loss("the projection is \(store.projections)")
        }
        let database = try store.database
        return try await database.read { db in
            let right = try Row.fetchAll(
                db,
                sql: """
                    SELECT id % ?, count(*), sum(value) FROM item GROUP BY 1 ORDER BY 1
                    """, arguments: [Load.threadCount])
            let found = try Row.fetchAll(
                db, sql: "SELECT * FROM item_sum WHERE count <> 0 OR value <> 0 ORDER BY thread")
            guard right.map({ "\($0.map(\.1))" }) == found.map({ "\($0.map(\.1))" }) else {
                throw Loss("the projection has \(found), and the table \(right)")
            }
            return try String.fetchOne(db, sql: "SELECT id FROM item_sum_build") ?? ""
        }
    }
}
