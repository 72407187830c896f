import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// SQL statements with values, for any version of the `sqlite3` program.
package struct SQLText {
    private let schema: TableSchema
    private let table: String
    private let keys: [String]
    private let values: [String]

    package init(_ schema: TableSchema) {
        self.schema = schema
        table = quoted(schema.name)
        keys = schema.keyColumns.map { quoted($0.name) }
        values = schema.valueColumns.map { quoted($0.name) }
    }

    /// Puts a row: one value for each column outside the key, or for the first of them.
    package func put(_ key: [StoredValue], _ row: [StoredValue]) -> String {
        put(key, zip(row.indices, row).map { ColumnChange(column: $0, value: $1) })
    }

    /// Puts a row of these columns, or sets them in the row that is there.
    package func put(_ key: [StoredValue], _ changes: [ColumnChange]) -> String {
        let changes = changes.filter { !schema.valueColumns[$0.column].isDropped }
        let columns = changes.map { values[$0.column] }
        let update =
            columns.isEmpty
            ? "NOTHING"
            : "UPDATE SET " + columns.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        let literals = (key + changes.map(\.value)).map(Self.literal)
        // If the table itself is named `excluded`, that word would mean the old row.
        let alias = isSameName(schema.name, "excluded") ? " AS \"the row\"" : ""
        return "INSERT INTO \(table)\(alias) (\((keys + columns).joined(separator: ", "))) "
            + "VALUES (\(literals.joined(separator: ", "))) "
            + "ON CONFLICT (\(keys.joined(separator: ", "))) DO \(update);"
    }

    package func patch(_ key: [StoredValue], _ changes: [ColumnChange]) -> String {
        let set = changes.filter { !schema.valueColumns[$0.column].isDropped }
            .map { "\(values[$0.column]) = \(Self.literal($0.value))" }
        if set.isEmpty { return "-- a patch of columns that are dropped" }
        return "UPDATE \(table) SET \(set.joined(separator: ", ")) WHERE \(matches(key));"
    }

    /// Makes a row of the given values and of the other columns' defaults, unless it is there.
    package func make(_ key: [StoredValue], _ given: [ColumnChange] = []) -> String {
        let places = schema.valueColumns.indices.filter { !schema.valueColumns[$0].isDropped }
        let literals =
            key
            + places.map { place in
                given.first { $0.column == place }?.value ?? schema.valueColumns[place].missingValue
            }
        let columns = keys + places.map { values[$0] }
        return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) "
            + "VALUES (\(literals.map(Self.literal).joined(separator: ", "))) "
            + "ON CONFLICT (\(keys.joined(separator: ", "))) DO NOTHING;"
    }

    /// Adds to columns of a row, if it is there, and the sums fit into 64 bits: of larger ones SQLite makes reals, which the
    /// columns do not take.
    package func add(_ key: [StoredValue], _ amounts: [ColumnAmount]) -> String {
        var (set, conditions): ([String], [String]) = ([], [])
        for amount in amounts where !schema.valueColumns[amount.column].isDropped {
            var missing = schema.valueColumns[amount.column].missingValue
            if missing == .null { missing = .integer(0) }
            let name = values[amount.column]
            let sum =
                "coalesce(\(name), \(Self.literal(missing))) + "
                + Self.literal(.integer(amount.amount))
            set.append("\(name) = \(sum)")
            if amount.amount != 0 { conditions.append(" AND typeof(\(sum)) = 'integer'") }
        }
        if set.isEmpty { return "-- an add to columns that are dropped" }
        return "UPDATE \(table) SET \(set.joined(separator: ", ")) "
            + "WHERE \(matches(key))\(conditions.joined());"
    }

    package func delete(_ key: [StoredValue]) -> String {
        "DELETE FROM \(table) WHERE \(matches(key));"
    }

    package var clear: String { "DELETE FROM \(table);" }

    private func matches(_ key: [StoredValue]) -> String {
        "(\(keys.joined(separator: ", "))) = (\(key.map(Self.literal).joined(separator: ", ")))"
    }

    // MARK: values

    package static func literal(_ value: StoredValue) -> String {
        switch value {
        case .null: "NULL"
        case .integer(.min): "(-9223372036854775807 - 1)"  // SQLite would read its digits as a real
        case .integer(let value): "\(value)"
        case .real(let value): real(value)
        case .text(let value): text(value)
        case .blob(let value): "x'\(hexadecimal(value))'"
        }
    }

    /// A literal that SQLite reads as the same bits. Versions of SQLite round decimals in different ways, but all of them
    /// read a decimal exactly if it has at most 15 digits, at most three of them behind the point. Any other real
    /// is written as a whole number times powers of two, so that nothing is rounded.
    private static func real(_ value: Double) -> String {
        guard value.isFinite else { return value < 0 ? "-9e999" : "9e999" }
        let decimal = "\(value)"
        let parts = decimal.split(separator: ".")
        if !decimal.contains("e"), parts.count == 2, parts[1].count <= 3, decimal.count <= 16 {
            return decimal
        }
        let magnitude = value.magnitude
        var whole = Int64(magnitude.significand * 0x1p52)
        var exponent = Int(magnitude.exponent) - 52
        exponent += whole.trailingZeroBitCount
        whole >>= Int64(whole.trailingZeroBitCount)
        var text = value < 0 ? "-\(whole)" : "\(whole)"
        if exponent == 0 { text += ".0" }
        let sign = exponent < 0 ? "/" : "*"
        var rest = abs(exponent)
        while rest > 0 {
            text += "\(sign)\(Int64(1) << Int64(min(rest, 52))).0"
            rest -= min(rest, 52)
        }
        return "(\(text)) /* \(decimal) */"
    }

    /// Control characters are written as codes, because the program drops a carriage return at the end of a line, SQL ends
    /// at a NUL, and other characters control terminals.
    private static func text(_ text: String) -> String {
        let controls = text.unicodeScalars.count(where: needsEscape)
        if controls == 0 { return quoted(text, "'") }
        // SQLite does not compile an expression that is nested deeper than 1,000.
        guard controls <= 50 else { return "CAST(x'\(hexadecimal([UInt8](text.utf8)))' AS TEXT)" }
        var pieces: [String] = []
        var rest = Substring(text).unicodeScalars
        while let first = rest.first {
            let isControl = needsEscape(first)
            let run = rest.prefix { needsEscape($0) == isControl }
            pieces.append(
                isControl
                    ? "char(\(run.map { "\($0.value)" }.joined(separator: ",")))"
                    : quoted(String(run), "'"))
            rest = rest[run.endIndex...]
        }
        return "(\(pieces.joined(separator: "||")))"
    }
}
