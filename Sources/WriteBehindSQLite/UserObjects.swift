import GRDB
import WriteBehindCore

/// The users' objects in a database, beside the store's tables.
struct UserObjects {
    /// CREATE TABLE, INDEX, VIEW and TRIGGER statements, in the order in which they were run.
    private(set) var statements: [String] = []
    /// Names of ordinary tables. A virtual table has no rows of its own, or cannot be copied row by row.
    private(set) var tables: [String] = []

    /// Reads them without a checkpoint, because the WAL may not belong to the database.
    init(_ path: String) throws {
        let queue = try DatabaseQueue(
            path: path, configuration: .brief(readonly: true, timeout: 1))
        defer { try? queue.close() }
        try queue.read { db in try read(db) }
    }

    private mutating func read(_ db: Database) throws {
        var stores: Set<[UInt8]> = []
        if try db.tableExists("_writebehind_table") {
            let names = try String.fetchAll(db, sql: "SELECT name FROM _writebehind_table")
            stores = Set(names.map(foldedName))
        }
        // Objects of projections are left out, because a projection is built again from the rows.
        let built = Set(try ProjectionTable.allObjects(db).map { foldedName($0.name) })
        let kinds = try Row.fetchAll(db, sql: "PRAGMA main.table_list").reduce(into: [:]) {
            $0[$1["name"] as String] = $1["type"] as String
        }
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT type, name, sql, tbl_name FROM sqlite_master
                WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                  AND name NOT LIKE '\\_writebehind\\_%' ESCAPE '\\'
                ORDER BY rowid
                """)
        for row in rows {
            let (type, name): (String, String) = (row[0], row[1])
            if built.contains(foldedName(name)) || built.contains(foldedName(row[3])) { continue }
            if type == "table" {
                // A shadow table is made by the virtual table to which it belongs.
                guard !stores.contains(foldedName(name)), kinds[name] != "shadow" else { continue }
                if kinds[name] == "table" { tables.append(name) }
            }
            statements.append(row[2])
        }
    }
}
