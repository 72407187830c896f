import EventLog
import WriteBehindCore

/// The statements for one table. All names are qualified and quoted.
///
/// Rows come as arrays, one of each column, as many rows a statement as there are. A plan for them is the same for one
/// row and for ten thousand, and the answer counts the rows that were changed.
final class PostgreSQLTable: Sendable {
    struct Column: Sendable {
        /// Quoted.
        var name: String
        var plainName: String
        var type: NaturalType
        var stored: ColumnType
    }

    let definition: TableDefinition
    let namespace: String
    let name: String
    let keyColumns: [ColumnSchema]
    let keys: [Column]
    /// By place in a row; nil where a column was dropped.
    let values: [Column?]
    /// The defaults of the columns outside the key, in the form of a row body.
    let missing: [[UInt8]]

    init(_ definition: TableDefinition, in namespace: String) {
        self.definition = definition
        self.namespace = namespace
        name = "\(quoted(namespace)).\(quoted(definition.schema.name))"
        func column(_ column: ColumnSchema) -> Column {
            Column(
                name: quoted(column.name), plainName: column.name, type: NaturalType(column),
                stored: column.type)
        }
        keyColumns = definition.schema.keyColumns
        keys = keyColumns.map(column)
        values = definition.schema.valueColumns.map { $0.isDropped ? nil : column($0) }
        missing = RowCodec.defaults(definition.schema)
    }

    var schema: TableSchema { definition.schema }

    /// The columns of a statement that are not of the key: all, or the ones in these places.
    func columns(_ places: [Int]? = nil) -> [Column] {
        (places ?? Array(values.indices)).compactMap { values[$0] }
    }

    // MARK: changes

    /// `unnest($1::bigint[], …) AS u(c0, …)`: the rows of a statement.
    func rows(_ columns: [Column], from first: Int = 1, place: Bool = false) -> String {
        let arrays = columns.enumerated().map { "$\($0 + first)::\($1.type.parameter.name)[]" }
        let names = columns.indices.map { "c\($0)" } + (place ? ["place"] : [])
        return "unnest(\(arrays.joined(separator: ", ")))\(place ? " WITH ORDINALITY" : "") "
            + "AS u(\(names.joined(separator: ", ")))"
    }

    func parameter(_ place: Int, of column: Column) -> String {
        column.type.converted("u.c\(place)")
    }

    var keysMatch: String {
        keys.enumerated().map { "t.\($1.name) = u.c\($0)" }.joined(separator: " AND ")
    }

    /// Puts whole rows: parameters are the columns of the key, then the others.
    var put: String {
        let columns = keys + columns()
        let update = (self.columns().isEmpty ? keys : self.columns()).map {
            "\($0.name) = excluded.\($0.name)"
        }
        return """
            INSERT INTO \(name) AS t (\(columns.map(\.name).joined(separator: ", "))) \
            SELECT \(columns.enumerated().map(parameter).joined(separator: ", ")) \
            FROM \(rows(columns)) \
            ON CONFLICT (\(keys.map(\.name).joined(separator: ", "))) \
            DO UPDATE SET \(update.joined(separator: ", "))
            """
    }

    /// Sets the columns in some places. Without any, it says how many of the rows are there.
    func patch(_ places: [Int]) -> String {
        let columns = columns(places)
        let set =
            columns.isEmpty
            ? ["\(keys[0].name) = t.\(keys[0].name)"]
            : columns.enumerated().map { "\($1.name) = \(parameter(keys.count + $0, of: $1))" }
        return """
            UPDATE \(name) AS t SET \(set.joined(separator: ", ")) \
            FROM \(rows(keys + columns)) WHERE \(keysMatch)
            """
    }

    /// Sets the columns in some places, and makes rows that are not there: with the defaults of all other columns.
    func patchMaking(_ places: [Int]) -> String {
        let columns = columns(places)
        let others = values.indices.filter { !places.contains($0) }.compactMap { place in
            values[place].map { ($0, schema.valueColumns[place].missingValue) }
        }
        let names = (keys + columns + others.map(\.0)).map(\.name)
        let given = (keys + columns).enumerated().map(parameter)
        let update = (columns.isEmpty ? keys : columns).map { "\($0.name) = excluded.\($0.name)" }
        return """
            INSERT INTO \(name) AS t (\(names.joined(separator: ", "))) \
            SELECT \((given + others.map { $0.type.literal($1) }).joined(separator: ", ")) \
            FROM \(rows(keys + columns)) \
            ON CONFLICT (\(keys.map(\.name).joined(separator: ", "))) \
            DO UPDATE SET \(update.joined(separator: ", "))
            """
    }

    var delete: String { "DELETE FROM \(name) AS t USING \(rows(keys)) WHERE \(keysMatch)" }
    /// Whether one of some rows is there.
    var anyExists: String {
        "SELECT 1 FROM \(name) AS t, \(rows(keys)) WHERE \(keysMatch) LIMIT 1"
    }
    var clear: String { "DELETE FROM \(name)" }
    var hasRows: String { "SELECT 1 FROM \(name) LIMIT 1" }

    // MARK: reads

    /// Every read's first columns: the watermark and the version in its snapshot, and the revision of the table's
    /// definition there, which decides what the names of columns mean. Parameters are the store, then the table.
    private static let snapshot = """
        FROM writebehind.watermark AS w \
        JOIN writebehind.tables AS d ON d.store = w.store AND d.id = $2
        """
    private static let marks = "w.sequence, w.version, d.revision"

    /// Some rows by their keys, in the order of these.
    var select: String {
        let columns = ["t.\(keys[0].name) IS NOT NULL"] + readValues(Array(values.indices), "t")
        return """
            SELECT \(Self.marks), \(columns.joined(separator: ", ")) \(Self.snapshot) \
            CROSS JOIN \(rows(keys, from: 3, place: true)) \
            LEFT JOIN \(name) AS t ON \(keysMatch) WHERE w.store = $1 ORDER BY u.place
            """
    }

    /// Some columns of some rows, inside the transaction of the session that writes.
    func select(_ places: [Int]) -> String {
        let columns = ["t.\(keys[0].name) IS NOT NULL"] + readValues(places, "t")
        return """
            SELECT \(columns.joined(separator: ", ")) FROM \(rows(keys, place: true)) \
            LEFT JOIN \(name) AS t ON \(keysMatch) ORDER BY u.place
            """
    }

    func readValues(_ places: [Int], _ alias: String) -> [String] {
        places.map { place in
            values[place].map { $0.type.read("\(alias).\($0.name)") } ?? "NULL::bigint"
        }
    }

    /// Some columns of the rows behind a key, and then the key. Parameters behind the first two are that key, then the
    /// most rows wanted.
    func scan(_ places: [Int], isFromStart: Bool) -> String {
        let order = keys.map { $0.type.ordered("t.\($0.name)") }.joined(separator: ", ")
        let bounds = keys.enumerated().map { "$\($0 + 3)::\($1.type.parameter.name)" }
        let start =
            isFromStart ? "" : "WHERE (\(order)) > (\(bounds.joined(separator: ", "))) "
        return list(
            readValues(places, "t"),
            "\(start)ORDER BY \(order) LIMIT $\(isFromStart ? 3 : keys.count + 3)::bigint",
            order: "(r.place)")
    }

    /// All rows in the order of their keys: the key, then the other columns.
    var everything: String {
        let columns =
            keys.map { $0.type.read("t.\($0.name)") } + readValues(Array(values.indices), "t")
        let order = keys.map { $0.type.ordered("t.\($0.name)") }.joined(separator: ", ")
        return "SELECT \(columns.joined(separator: ", ")) FROM \(name) AS t ORDER BY \(order)"
    }

    /// The keys of due rows. Parameters behind the first two are the time and the most rows wanted.
    var due: String? {
        guard let place = schema.expiryIndex, let column = values[place] else { return nil }
        return list(
            [],
            """
            WHERE t.\(column.name) <= $3::\(column.type.parameter.name) \
            ORDER BY t.\(column.name) LIMIT $4::bigint
            """, order: "(r.place)")
    }

    /// One row at least, for the marks; if there is nothing else, the rest of it is null.
    private func list(_ columns: [String], _ end: String, order: String) -> String {
        let all = columns + keys.map { $0.type.read("t.\($0.name)") }
        let named = all.enumerated().map { "\($1) AS c\($0)" }.joined(separator: ", ")
        let names = all.indices.map { "r.c\($0)" }.joined(separator: ", ")
        return """
            SELECT \(Self.marks), r.place IS NOT NULL, \(names) \(Self.snapshot) \
            LEFT JOIN LATERAL (SELECT i.*, row_number() OVER () AS place \
            FROM (SELECT \(named) FROM \(name) AS t \(end)) AS i) AS r ON true \
            WHERE w.store = $1 ORDER BY \(order)
            """
    }

    // MARK: definitions

    var create: String {
        var parts = schema.columns.filter { !$0.isDropped }.map { declaration($0) }
        parts.append("PRIMARY KEY (\(keys.map(\.name).joined(separator: ", ")))")
        // Room on each page for the rows that are changed: then they stay there, and no index changes.
        return
            "CREATE TABLE \(name) (\n  \(parts.joined(separator: ",\n  "))\n) WITH (fillfactor = 80)"
    }

    func declaration(_ column: ColumnSchema) -> String {
        let type = NaturalType(column)
        var text = "\(quoted(column.name)) \(type.declaration)"
        if !column.isNullable { text += " NOT NULL" }
        if let value = column.defaultValue { text += " DEFAULT \(type.literal(value))" }
        return text
    }

    /// The server's names of indices are of a schema, and several stores may have tables in one.
    private func indexName(_ kind: String, _ store: [UInt8]) -> String {
        "writebehind_\(kind)_\(hexadecimal(Array(store.prefix(4))))_\(definition.id)"
    }

    func dropIndex(_ index: String) -> String {
        "DROP INDEX IF EXISTS \(quoted(namespace)).\(quoted(index))"
    }

    func expiryIndex(_ store: [UInt8]) -> (name: String, sql: String?) {
        let index = indexName("expiry", store)
        let column = schema.expiryIndex.flatMap { values[$0] }
        return (
            index, column.map { "CREATE INDEX \(quoted(index)) ON \(name) (\($0.name))" }
        )
    }

    /// The statements that make the declared indices, by their names, which are of the columns' places: these stay.
    func indices(
        _ store: [UInt8]
    ) -> [(name: String, index: SQLIndexDefinition, sql: String)] {
        schema.sqlIndices.map { index in
            let places = index.columns.compactMap { schema.place(of: $0) }
            let kind = index.isUnique ? "unique" : "index"
            // The server cuts a name off behind 63 bytes; two must not become one.
            let suffix = places.map(String.init).joined(separator: "_")
            var name = "\(indexName(kind, store))_\(suffix)"
            if name.utf8.count > 63 { name = "\(name.prefix(46))_\(hash(of: suffix))" }
            let columns = index.columns.map { quoted($0) }.joined(separator: ", ")
            return (
                name, index,
                "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX \(quoted(name)) ON \(self.name) (\(columns))"
            )
        }
    }

    private func hash(of text: String) -> String {
        String(Checksum.of(Array(text.utf8).span, seed: 0), radix: 16)
    }
}

extension PostgreSQLTable {
    /// The places of the columns that some adds change.
    func places(ofAdds bodies: [[UInt8]]) throws(SinkError) -> [Int] {
        var places: Set<Int> = []
        do throws(MalformedRecord) {
            for body in bodies {
                let there = try RowMerge.parts(body.span).there
                places.formUnion(try RowMerge.columns(of: body.span.extracting(there)))
            }
        } catch {
            throw SinkError(malformed: error)
        }
        return places.filter { $0 < values.count && values[$0] != nil }.sorted()
    }

    /// The row body of what ``select(_:)`` answers: other columns are null in it.
    func row(_ places: [Int], _ row: Int, _ answer: PostgreSQLAnswer) throws(SinkError) -> [UInt8] {
        var values = Array(repeating: StoredValue.null, count: self.values.count)
        for (index, place) in places.enumerated() {
            guard let column = self.values[place] else { continue }
            values[place] = try column.type.value(
                answer.bytes(row, index + 1), stored: column.stored)
        }
        return RowCodec.body(values)
    }

    /// The row body of some columns of an answer's row.
    ///
    /// - Parameter first: how many columns of the answer are before these.
    func body(
        _ places: [Int], _ row: Int, behind first: Int, _ answer: PostgreSQLAnswer
    ) throws(SinkError) -> [UInt8] {
        var values: [StoredValue] = []
        for (index, place) in places.enumerated() {
            guard let column = self.values[place] else {
                values.append(.null)
                continue
            }
            values.append(
                try column.type.value(answer.bytes(row, first + index), stored: column.stored))
        }
        return RowCodec.body(values)
    }
}
