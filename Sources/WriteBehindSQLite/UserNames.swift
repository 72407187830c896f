import Foundation
import GRDB
import WriteBehindCore

/// Objects of users in the database that may conflict with the store's definitions: names that they have taken,
/// and objects that use a column.
struct UserNames: Sendable {
    /// The users' objects by their folded names, which a table could need.
    private var objects: [[UInt8]: String] = [:]
    /// The folded names of columns that a user added to a table of the store.
    private var columns: [UInt32: Set<[UInt8]>] = [:]
    /// Objects that may use a column: indices, views and triggers, with the words of their statements.
    private var users: [(what: String, words: Set<[UInt8]>)] = []
    /// All statements that made the schema, in their order.
    private var statements: [String] = []

    init() {}

    init(_ tables: some Collection<TableSQL>, in db: Database) throws {
        let stores = Set(tables.map { foldedName($0.schema.name) })
        let rows = try Row.fetchCursor(
            db, sql: "SELECT type, name, sql FROM sqlite_master ORDER BY rowid")
        while let row = try rows.next() {
            let (type, name): (String, String) = (row[0], row[1])
            let folded = foldedName(name)
            if type != "trigger", !stores.contains(folded) || type != "table" {
                objects[folded] = type
            }
            guard let sql = row[2] as String? else { continue }
            if name.hasPrefix("_writebehind") { continue }
            statements.append(sql)
            if type != "table" {
                users.append(("\(type) \(quoted(name))", Self.words(sql)))
            }
        }
        for table in tables {
            let names = try Row.fetchAll(db, sql: "PRAGMA table_xinfo(\(table.name))").map {
                foldedName($0["name"])
            }
            let added = Set(names).subtracting(table.schema.columns.map { foldedName($0.name) })
            if !added.isEmpty { columns[table.definition.id] = added }
        }
    }

    /// - Parameter known: the table in the database; nil if the database does not have it.
    func objection(
        to table: WriteBehindCore.TableDefinition, after known: WriteBehindCore.TableSchema?
    ) -> SchemaError? {
        let name = table.schema.name
        if known == nil, let type = objects[foldedName(name)] {
            return SchemaError(table: name, .takenInDatabase(by: article(type)))
        }
        if let known, let user = userOfDropped(table, known) { return user }
        guard let added = columns[table.id] else { return nil }
        return table.schema.columns.first { added.contains(foldedName($0.name)) }.map {
            SchemaError(table: name, column: $0.name, .takenInDatabase(by: "a column"))
        }
    }

    /// SQLite does not drop a column that something uses. This is tried in a database in memory with the same
    /// schema. The error names the first object whose statement has the names of table and column in it.
    private func userOfDropped(
        _ table: WriteBehindCore.TableDefinition, _ known: WriteBehindCore.TableSchema
    ) -> SchemaError? {
        for (was, column) in zip(known.columns, table.schema.columns)
        where column.isDropped && !was.isDropped {
            guard !canDrop(was.name, of: table.schema.name) else { continue }
            let names = Set([foldedName(table.schema.name), foldedName(was.name)])
            let user = users.first { names.isSubset(of: $0.words) }
            return SchemaError(
                table: table.schema.name, column: was.name,
                .usedInDatabase(by: user?.what ?? "a column or a CHECK that a user added"))
        }
        return nil
    }

    private func canDrop(_ column: String, of table: String) -> Bool {
        do {
            return try DatabaseQueue().inDatabase { db in
                // A statement that needs a missing function or module fails here. Such an object does no harm.
                for statement in statements { try? db.execute(sql: statement) }
                guard try db.tableExists(table) else { return true }
                try db.execute(
                    sql: "ALTER TABLE \(quoted(table)) DROP COLUMN \(quoted(column))")
                return true
            }
        } catch {
            return false
        }
    }

    /// The names and other words of a statement, folded.
    private static func words(_ sql: String) -> Set<[UInt8]> {
        var words: Set<[UInt8]> = []
        for quote in ["\"", "`", "'"] {
            words.formUnion(sql.components(separatedBy: quote).map(foldedName))
        }
        let plain = sql.utf8.split { byte in
            byte < 0x80 && byte != UInt8(ascii: "_") && byte != UInt8(ascii: "$")
                && !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                && !(UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        return words.union(plain.map { foldedName(String(decoding: $0, as: UTF8.self)) })
    }

    private func article(_ type: String) -> String { type == "index" ? "an index" : "a \(type)" }
}
