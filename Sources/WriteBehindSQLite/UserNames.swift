import GRDB
import WriteBehindCore

/// The names that users have taken in the database, which the store's definitions cannot have.
struct UserNames: Sendable {
    /// The users' objects that have a name that a table would need, by the folded name.
    private var objects: [[UInt8]: String] = [:]
    /// The folded names of columns that a user added to a table of the store.
    private var columns: [UInt32: Set<[UInt8]>] = [:]

    init() {}

    init(_ tables: some Collection<TableSQL>, in db: Database) throws {
        let stores = Set(tables.map { foldedName($0.schema.name) })
        let rows = try Row.fetchCursor(
            db, sql: "SELECT type, name FROM sqlite_master WHERE type <> 'trigger'")
        while let row = try rows.next() {
            let (type, name): (String, String) = (row[0], row[1])
            let folded = foldedName(name)
            if !stores.contains(folded) || type != "table" { objects[folded] = type }
        }
        for table in tables {
            let names = try Row.fetchAll(db, sql: "PRAGMA table_xinfo(\(table.name))").map {
                foldedName($0["name"])
            }
            let added = Set(names).subtracting(table.schema.columns.map { foldedName($0.name) })
            if !added.isEmpty { columns[table.definition.id] = added }
        }
    }

    func objection(to table: WriteBehindCore.TableDefinition, isDefined: Bool) -> SchemaError? {
        let name = table.schema.name
        if !isDefined, let type = objects[foldedName(name)] {
            return SchemaError(table: name, .takenInDatabase(by: article(type)))
        }
        guard let added = columns[table.id] else { return nil }
        return table.schema.columns.first { added.contains(foldedName($0.name)) }.map {
            SchemaError(table: name, column: $0.name, .takenInDatabase(by: "a column"))
        }
    }

    private func article(_ type: String) -> String { type == "index" ? "an index" : "a \(type)" }
}
