package import GRDB
import WriteBehindCore

/// The version of the store's own tables in a database: the column `layout` of `_writebehind_watermark`.
///
/// | version | |
/// |---|---|
/// | 1 | without this column; `_writebehind_quarantine` may lack `is_definition` |
/// | 2 | as it is now |
package enum DatabaseLayout {
    static let version = 2

    /// Throws where a later version has made the tables: they may say what this one does not understand.
    package static func check(_ db: Database) throws {
        let found = try found(db)
        guard found <= version else {
            throw SinkError(
                .schema,
                "a newer version of WriteBehind has made the database (layout \(found), and this one understands "
                    + "\(version)): open the store with that version")
        }
    }

    /// Makes the tables of an earlier version those of this one, in the caller's transaction.
    static func upgrade(_ db: Database) throws {
        try check(db)
        guard try found(db) < version else { return }
        if try !hasColumn("is_definition", of: "_writebehind_quarantine", db) {
            try db.execute(
                sql: """
                    ALTER TABLE _writebehind_quarantine
                    ADD COLUMN is_definition INTEGER NOT NULL DEFAULT 0
                    """)
        }
        try db.execute(
            sql: """
                ALTER TABLE _writebehind_watermark
                ADD COLUMN layout INTEGER NOT NULL DEFAULT \(version)
                """)
    }

    private static func found(_ db: Database) throws -> Int {
        guard try hasColumn("layout", of: "_writebehind_watermark", db) else { return 1 }
        return try Int.fetchOne(db, sql: "SELECT layout FROM _writebehind_watermark") ?? 1
    }

    private static func hasColumn(
        _ column: String, of table: String, _ db: Database
    ) throws -> Bool {
        // `pragma_table_info` is not used, because it may be a table of the store.
        try Row.fetchAll(db, sql: "PRAGMA main.table_info(\(table))").contains {
            $0["name"] == column
        }
    }
}
