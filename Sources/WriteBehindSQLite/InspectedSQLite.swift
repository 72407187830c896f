package import EventLog
import Foundation
import GRDB
package import WriteBehindCore

/// An SQLite database as another process sees it than its writer.
package struct InspectedSQLite: InspectedDatabase {
    package let name: String
    private let isLive: Bool

    /// - Parameter isLive: whether a writer has the store open.
    package init(_ path: String, isLive: Bool) {
        (name, self.isLive) = (path, isLive)
    }

    package func state(of store: StoreID) -> DatabaseState {
        guard FileManager.default.fileExists(atPath: name) else { return .missing }
        do throws(SinkError) {
            let access = try DatabaseAccess(name, isLive: isLive)
            return try throwingSinkError {
                try access.queue.read { db in
                    let state = try Self.read(db, store)
                    // Otherwise a WAL from another time would count as evidence of what the log had held.
                    if case .readable = state, !isLive { try DatabaseAccess.checkFiles(db, name) }
                    return state
                }
            }
        } catch {
            return .unreadable(error)
        }
    }

    private static func read(_ db: Database, _ store: StoreID) throws -> DatabaseState {
        guard try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0 > 0 else {
            return .missing  // the process that created it was killed before it made the tables
        }
        guard try db.tableExists("_writebehind_watermark"),
            let row = try Row.fetchOne(
                db, sql: "SELECT log, sequence, chain, applied_at FROM _writebehind_watermark"),
            [UInt8](row[0] as Data) == store.bytes
        else { return .foreign }
        try DatabaseLayout.check(db)
        let json = try String.fetchAll(db, sql: "SELECT schema FROM _writebehind_table ORDER BY id")
        let tables = try json.map { try WriteBehindCore.TableDefinition(json: Array($0.utf8).span) }
        return .readable(
            DatabaseContents(
                watermark: try Watermark(stored: row[1], chain: row[2]),
                appliedAt: row[3], tables: tables,
                quarantine: try QuarantineTable.load(db),
                projections: try ProjectionTable.load(db).values.sorted { $0.name < $1.name }))
    }

    package func read<Result>(
        _ store: StoreID, _ body: (any InspectedTransaction) throws -> Result
    ) throws -> Result {
        let access = try DatabaseAccess(name, isLive: isLive)
        do {
            return try access.queue.read { try body(Transaction(db: $0)) }
        } catch let error as DatabaseError {
            throw SinkError(wrapping: error)
        }
    }

    /// Looks for damage of the file's structure; returns what it finds first.
    package func fault() throws(SinkError) -> String? {
        let access = try DatabaseAccess(name, isLive: isLive)
        let found = try throwingSinkError {
            try access.queue.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        }
        return found == "ok" ? nil : found ?? ""
    }

    package func sizes(_ store: StoreID) throws(SinkError) -> DatabaseSizes {
        let access = try DatabaseAccess(name, isLive: isLive)
        return try throwingSinkError {
            try access.queue.read { db in
                let rows = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT coalesce(tbl_name, s.name) AS owner, sum(pgsize) AS bytes
                        FROM dbstat s LEFT JOIN sqlite_schema m ON m.name = s.name
                        WHERE aggregate = TRUE GROUP BY owner ORDER BY bytes DESC, owner
                        """)
                // `pragma_freelist_count` is not used, because it may be a table of the store.
                let pages = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
                let pageSize = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0
                return DatabaseSizes(
                    tables: rows.map { DatabaseSizes.Size(table: $0[0], bytes: $0[1]) },
                    free: pages * pageSize)
            }
        }
    }

    private struct Transaction: InspectedTransaction {
        let db: Database

        func watermark() throws -> Watermark? {
            let row = try Row.fetchOne(
                db, sql: "SELECT sequence, chain FROM _writebehind_watermark")
            return row.map { row in
                Watermark(
                    sequence: UInt64(bitPattern: row[0] as Int64),
                    chain: UInt64(bitPattern: row[1] as Int64))
            }
        }

        func quarantine() throws -> QuarantineIndex { try QuarantineTable.load(db) }

        func rows(of table: WriteBehindCore.TableDefinition) throws -> InspectedTable {
            guard try db.tableExists(table.schema.name) else { return .missing }
            return .rows(try StoredRows(table, db))
        }
    }
}
