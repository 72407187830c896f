package import WriteBehindCore

/// The statements for one table.
///
/// Parameters are in this order: the key columns, then the columns that are set. Names are always
/// quoted, so any name is possible. `OR ABORT` overrides a conflict clause in a user's own constraint: a
/// conflict must be an error, and never replace or drop a row.
package struct TableSQL: Sendable {
    let definition: TableDefinition
    let name: String
    // Quoted once, because a statement for a thousand columns names each of them.
    private let keyNames: [String]
    /// The quoted names by their places in a row; nil for a dropped column.
    private let valueNames: [String?]
    /// Reads the row's columns outside the key, with null for a dropped one; reads 1 if there are none.
    let select: String
    /// Reads the keys of due rows. The parameters are the time and the most rows wanted.
    let due: String?

    package init(definition: TableDefinition) {
        self.definition = definition
        let schema = definition.schema
        let name = quoted(schema.name)
        let keys = schema.keyColumns.map { quoted($0.name) }
        let values = schema.valueColumns.map { $0.isDropped ? nil : quoted($0.name) }
        self.name = name
        keyNames = keys
        valueNames = values
        let columns = values.isEmpty ? "1" : values.map { $0 ?? "NULL" }.joined(separator: ", ")
        select = "SELECT \(columns) FROM \(name) WHERE \(Self.matches(keys))"
        due = schema.expiry.map { expiry in
            """
            SELECT \(keys.joined(separator: ", ")) FROM \(name) \
            WHERE \(quoted(expiry)) <= ?1 ORDER BY \(quoted(expiry)) LIMIT ?2
            """
        }
    }

    var schema: TableSchema { definition.schema }
    /// Whether there are columns outside the key.
    var hasValues: Bool { valueNames.contains { $0 != nil } }

    package var create: String {
        var parts = schema.columns.filter { !$0.isDropped }.map { declaration($0) }
        if !isRowid { parts.append("PRIMARY KEY (\(keyNames.joined(separator: ", ")))") }
        let end = options.isEmpty ? "" : " \(options)"
        return "CREATE TABLE \(name) (\n  \(parts.joined(separator: ",\n  "))\n)\(end)"
    }

    private var isRowid: Bool {
        schema.keyColumns.count == 1 && schema.keyColumns[0].type == .integer
    }

    /// Whether SQLite itself checks the type of each column. A `STRICT` table allows only the four names of stored types. So
    /// a table with a column of a logical type is not `STRICT`, and ``TableWriter`` checks the types instead.
    var isStrict: Bool { schema.columns.allSatisfy { declaredLogicalType($0) == nil } }

    /// The logical type that a column's declaration names. A rowid has none, because its type must be exactly INTEGER.
    private func declaredLogicalType(_ column: ColumnSchema) -> LogicalType? {
        column.isKey && isRowid ? nil : column.logicalType.flatMap { $0.isKnown ? $0 : nil }
    }

    package var options: String {
        [isStrict ? "STRICT" : nil, isRowid ? nil : "WITHOUT ROWID"].compactMap(\.self)
            .joined(separator: ", ")
    }

    package func add(_ column: ColumnSchema) -> String {
        "ALTER TABLE \(name) ADD COLUMN \(declaration(column))"
    }

    /// Whether this table differs from `old` only by more columns, and perhaps another expiry.
    package func onlyGrows(from old: TableSQL) -> Bool {
        options == old.options
            && zip(schema.columns, old.schema.columns).allSatisfy {
                $0.isDropped == $1.isDropped
                    && ($0.isDropped || declaration($0) == old.declaration($1))
            }
    }

    /// The statements that turn the table `old` into this one, for a database without objects of users.
    package func remake(from old: TableSQL) -> [String] {
        let before = quoted("_writebehind_before")  // a name that no table has
        let kept = zip(schema.columns, old.schema.columns).filter { !$0.0.isDropped }
            .map { (quoted($0.name), quoted($1.name)) }
        return [
            "ALTER TABLE \(old.name) RENAME TO \(before)", create,
            "INSERT INTO \(name) (\(kept.map(\.0).joined(separator: ", "))) "
                + "SELECT \(kept.map(\.1).joined(separator: ", ")) FROM \(before)",
            "DROP TABLE \(before)",
        ] + [createExpiryIndex].compactMap(\.self)
    }

    private var expiryIndexName: String { "_writebehind_expiry_\(definition.id)" }
    package var dropExpiryIndex: String { "DROP INDEX IF EXISTS \(expiryIndexName)" }
    package var createExpiryIndex: String? {
        schema.expiry.map { "CREATE INDEX \(expiryIndexName) ON \(name) (\(quoted($0)))" }
    }

    /// The statements that make the declared indices, with the names of the indices in the database. The names consist of the
    /// columns' places, which never change.
    package func indices() -> [(name: String, index: SQLIndexDefinition, sql: String)] {
        schema.sqlIndices.map { index in
            let places = index.columns.compactMap { schema.place(of: $0) }
            let kind = index.isUnique ? "unique" : "index"
            let name =
                "_writebehind_\(kind)_\(definition.id)_"
                + places.map(String.init).joined(separator: "_")
            let columns = index.columns.map { quoted($0) }.joined(separator: ", ")
            let unique = index.isUnique ? "UNIQUE " : ""
            return (name, index, "CREATE \(unique)INDEX \(name) ON \(self.name) (\(columns))")
        }
    }

    package var put: String {
        let valueNames = valueNames.compactMap(\.self)
        let names = keyNames + valueNames
        let parameters = names.indices.map { "?\($0 + 1)" }
        // `excluded` is not used: in a table with that name it would mean the existing row.
        let update =
            valueNames.isEmpty
            ? "NOTHING"
            : "UPDATE SET "
                + zip(valueNames, parameters[keyNames.count...]).map { "\($0) = \($1)" }
                .joined(separator: ", ")
        return """
            INSERT OR ABORT INTO \(name) (\(names.joined(separator: ", "))) \
            VALUES (\(parameters.joined(separator: ", "))) \
            ON CONFLICT (\(keyNames.joined(separator: ", "))) DO \(update)
            """
    }

    /// Sets only the given columns outside the key. None of them is dropped.
    func patch(_ columns: [Int]) -> String {
        let set = columns.compactMap { valueNames[$0] }.enumerated().map { place, name in
            "\(name) = ?\(keyNames.count + 1 + place)"
        }
        return "UPDATE OR ABORT \(name) SET \(set.joined(separator: ", ")) WHERE \(keyMatches)"
    }

    var delete: String { "DELETE FROM \(name) WHERE \(keyMatches)" }
    var exists: String { "SELECT 1 FROM \(name) WHERE \(keyMatches)" }
    var clear: String { "DELETE FROM \(name)" }
    var hasRows: String { "SELECT 1 FROM \(name) LIMIT 1" }

    /// Reads some columns of the rows behind a key, and then their keys. The parameters are that key, then the most rows
    /// wanted.
    func scan(_ columns: [Int], isFromStart: Bool) -> String {
        let names = columns.map { valueNames[$0] ?? "NULL" } + keyNames
        let keys = keyNames.joined(separator: ", ")
        let parameters = keyNames.indices.map { "?\($0 + 1)" }
        let start =
            isFromStart ? "" : "WHERE (\(keys)) > (\(parameters.joined(separator: ", "))) "
        return """
            SELECT \(names.joined(separator: ", ")) FROM \(name) \
            \(start)ORDER BY \(keys) LIMIT ?\(isFromStart ? 1 : parameters.count + 1)
            """
    }

    private var keyMatches: String { Self.matches(keyNames) }

    /// Compares the key as a row value. SQLite compiles it like an AND of the columns, and an AND of a thousand is too deep.
    private static func matches(_ keys: [String]) -> String {
        let parameters = keys.indices.map { "?\($0 + 1)" }
        return "(\(keys.joined(separator: ", "))) = (\(parameters.joined(separator: ", ")))"
    }

    /// `"created" TIMESTAMP TEXT NOT NULL`.
    package func declaration(_ column: ColumnSchema, named name: String? = nil) -> String {
        var text = quoted(name ?? column.name)
        // SQLite accepts any words as a type, and derives the affinity from them. Only the last word means a
        // stored type.
        if let logical = declaredLogicalType(column) {
            text += " \(logical.rawValue.uppercased())"
        }
        text += " \(column.type.rawValue.uppercased())"
        if isRowid, column.isKey { return text + " PRIMARY KEY NOT NULL" }
        if !column.isNullable { text += " NOT NULL" }
        if let value = column.defaultValue { text += " DEFAULT \(Self.literal(value))" }
        return text
    }

    static func literal(_ value: StoredValue) -> String {
        switch value {
        case .null: "NULL"
        case .integer(let value): String(value)
        case .real(.infinity): "9e999"
        case .real(-.infinity): "-9e999"
        case .real(let value): String(value)
        case .text(let value) where value.utf8.contains(0):
            // SQL text ends at its first NUL.
            "(CAST(x'\(hexadecimal([UInt8](value.utf8)))' AS TEXT))"
        case .text(let value): quoted(value, "'")
        case .blob(let value): "x'\(hexadecimal(value))'"
        }
    }
}
