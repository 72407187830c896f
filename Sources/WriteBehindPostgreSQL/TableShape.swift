import WriteBehindCore

/// Compares tables in the server with what the store needs: exactly its columns, and nothing that changes, hides or
/// loses rows behind the log's back.
///
/// One list holds all differences, so that the table can be changed in one go.
struct TableShape {
    private let table: PostgreSQLTable
    private let connection: PostgreSQLConnection
    private var found: [String] = []

    static func exists(
        _ table: PostgreSQLTable, _ connection: PostgreSQLConnection
    ) throws(SinkError) -> Bool {
        try connection.run(
            "SELECT 1 FROM pg_class WHERE oid = to_regclass($1::text)", parameter(table)
        ).rowCount > 0
    }

    static func refusal(_ table: PostgreSQLTable, _ differences: [String]) -> SinkError {
        SinkError(
            state: "42P16",
            "table \(table.name) in the database does not fit: \(differences.joined(separator: "; "))"
        )
    }

    /// What is wrong with a table; nothing if it is as it must be.
    static func differences(
        from table: PostgreSQLTable, _ connection: PostgreSQLConnection
    ) throws(SinkError) -> [String] {
        var shape = TableShape(table, connection)
        try shape.checkKind()
        guard shape.found.isEmpty else { return shape.found }
        try shape.checkColumns()
        try shape.checkKey()
        try shape.checkRelatives()
        try shape.checkTriggers()
        try shape.checkForeignKeys()
        return shape.found
    }

    private init(_ table: PostgreSQLTable, _ connection: PostgreSQLConnection) {
        (self.table, self.connection) = (table, connection)
    }

    private static func parameter(_ table: PostgreSQLTable) -> PostgreSQLParameters {
        var parameters = PostgreSQLParameters()
        parameters.append(table.name)
        return parameters
    }

    private func ask(_ sql: String) throws(SinkError) -> PostgreSQLAnswer {
        try connection.run(sql, Self.parameter(table))
    }

    private static let this = "to_regclass($1::text)::oid"

    private mutating func checkKind() throws(SinkError) {
        let rows = try ask(
            """
            SELECT relkind::text, relpersistence::text, relrowsecurity, relhasrules \
            FROM pg_class WHERE oid = \(Self.this)
            """)
        guard rows.rowCount == 1 else { return found.append("it is missing") }
        let kinds = [
            "v": "a view", "m": "a materialized view", "f": "a foreign table", "i": "an index",
            "S": "a sequence", "c": "a type",
        ]
        let kind = rows.text(0, 0) ?? ""
        guard kind == "r" || kind == "p" else {
            return found.append("it is \(kinds[kind] ?? "no table")")
        }
        let persistence = rows.text(0, 1)
        if persistence == "u" {
            found.append("it is unlogged, so a crash of the server empties it")
        }
        if persistence == "t" { found.append("it is temporary") }
        if rows.boolean(0, 2) { found.append("it has row security, which hides and refuses rows") }
        if rows.boolean(0, 3) { found.append("it has rules, which rewrite changes") }
    }

    private mutating func checkColumns() throws(SinkError) {
        let rows = try ask(
            """
            SELECT attname::text, format_type(atttypid, atttypmod), attnotnull, atthasdef, \
            attidentity::text, attgenerated::text, coalesce(c.collisdeterministic, true) \
            FROM pg_attribute AS a LEFT JOIN pg_collation AS c ON c.oid = a.attcollation \
            WHERE attrelid = \(Self.this) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
            """)
        var needed: [String: ColumnSchema] = [:]
        for column in table.schema.columns where !column.isDropped {
            needed[column.name] = column
        }
        for row in 0..<rows.rowCount {
            let name = rows.text(row, 0) ?? ""
            let (identity, generated) = (rows.text(row, 4) ?? "", rows.text(row, 5) ?? "")
            let said = "column \(quoted(name))"
            guard let column = needed.removeValue(forKey: name) else {
                if rows.boolean(row, 2), !rows.boolean(row, 3), identity.isEmpty {
                    found.append("\(said) is not the store's, must not be null and has no default")
                }
                continue
            }
            let (type, wanted) = (rows.text(row, 1) ?? "", NaturalType(column).name)
            if type != wanted { found.append("\(said) is \(type) and should be \(wanted)") }
            if !generated.isEmpty { found.append("\(said) is generated") }
            if identity == "a" { found.append("\(said) is GENERATED ALWAYS AS IDENTITY") }
            if column.isKey, !rows.boolean(row, 6) {
                found.append("\(said) has a collation in which different texts are equal")
            }
            if column.isNullable, rows.boolean(row, 2) {
                found.append("\(said) is NOT NULL and should be nullable")
            }
        }
        for name in needed.keys.sorted() { found.append("column \(quoted(name)) is missing") }
    }

    private mutating func checkKey() throws(SinkError) {
        let rows = try ask(
            """
            SELECT array_to_string(ARRAY(SELECT attname::text FROM pg_attribute AS a \
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) ORDER BY attname::text), E'\\n'), \
            i.indpred IS NOT NULL, i.indimmediate, i.indexprs IS NOT NULL, i.indnkeyatts = i.indnatts \
            FROM pg_index AS i WHERE i.indrelid = \(Self.this) AND i.indisunique AND i.indisvalid
            """)
        let key = table.keys.map(\.plainName).sorted().joined(separator: "\n")
        let fits = (0..<rows.rowCount).contains { row in
            rows.text(row, 0) == key && !rows.boolean(row, 1) && rows.boolean(row, 2)
                && !rows.boolean(row, 3) && rows.boolean(row, 4)
        }
        if !fits {
            let names = table.keys.map(\.name).joined(separator: ", ")
            found.append(
                "it has no primary key or unique constraint on just (\(names)) that is neither deferrable nor partial"
            )
        }
    }

    /// The table, its partitions, and theirs.
    private static let parts =
        "WITH RECURSIVE parts AS (SELECT \(this)::oid AS part "
        + "UNION SELECT i.inhrelid FROM pg_inherits AS i JOIN parts AS p ON i.inhparent = p.part)"

    /// Partitions are looked at as well; a table that inherits, or is inherited from, has rows of others.
    private mutating func checkRelatives() throws(SinkError) {
        let rows = try ask(
            """
            \(Self.parts) SELECT c.oid::regclass::text, c.relispartition, c.relpersistence = 'u', c.relkind = 'f' \
            FROM parts JOIN pg_class AS c ON c.oid = parts.part WHERE c.oid <> \(Self.this)
            """)
        for row in 0..<rows.rowCount {
            let name = rows.text(row, 0) ?? ""
            if !rows.boolean(row, 1) { found.append("table \(name) inherits from it") }
            if rows.boolean(row, 2) { found.append("its partition \(name) is unlogged") }
            if rows.boolean(row, 3) { found.append("its partition \(name) is a foreign table") }
        }
        let parents = try ask(
            """
            SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = \(Self.this)
            """)
        if parents.rowCount > 0 {
            found.append("it is a part of table \(parents.text(0, 0) ?? "")")
        }
    }

    private mutating func checkTriggers() throws(SinkError) {
        // Bits of tgtype: 1 is of each row, 2 is before, 64 is instead.
        let rows = try ask(
            """
            \(Self.parts) SELECT DISTINCT tgname::text FROM pg_trigger JOIN parts ON tgrelid = part \
            WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 2 <> 0 ORDER BY 1
            """)
        for row in 0..<rows.rowCount {
            found.append(
                "it has a BEFORE trigger, \(quoted(rows.text(row, 0) ?? "")), which may change or lose rows"
            )
        }
    }

    private mutating func checkForeignKeys() throws(SinkError) {
        let rows = try ask(
            """
            \(Self.parts) SELECT DISTINCT conname::text, confrelid::regclass::text \
            FROM pg_constraint JOIN parts ON conrelid = part WHERE contype = 'f' \
            AND (confupdtype IN ('c', 'n', 'd') OR confdeltype IN ('c', 'n', 'd')) ORDER BY 1
            """)
        for row in 0..<rows.rowCount {
            found.append(
                "its foreign key \(quoted(rows.text(row, 0) ?? "")) to \(rows.text(row, 1) ?? "") cascades, sets null or "
                    + "sets a default; use NO ACTION or RESTRICT")
        }
    }
}

extension TableShape {
    /// Why the rows cannot be read as the store defined them: the first column that is missing, or of another type.
    static func obstacle(
        toReading table: PostgreSQLTable, _ connection: PostgreSQLConnection
    ) throws(SinkError) -> String? {
        let rows = try connection.run(
            """
            SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
            WHERE attrelid = \(this) AND attnum > 0 AND NOT attisdropped
            """, parameter(table))
        var types: [String: String] = [:]
        for row in 0..<rows.rowCount { types[rows.text(row, 0) ?? ""] = rows.text(row, 1) }
        for column in table.keys + table.columns() {
            guard let type = types[column.plainName] else {
                return "column \(column.name) is missing"
            }
            guard type == column.type.name else {
                return "column \(column.name) is \(type) and should be \(column.type.name)"
            }
        }
        return nil
    }

    /// The tables in levels, so that each refers only to those in levels before it; empty if no table refers to another.
    /// Tables that refer to each other in a circle are of one level.
    static func levels(
        of tables: [UInt32: PostgreSQLTable], _ connection: PostgreSQLConnection
    ) throws(SinkError) -> [Set<UInt32>] {
        var byName: [String: UInt32] = [:]
        for (id, table) in tables { byName[table.schema.name] = id }
        var parents: [UInt32: Set<UInt32>] = [:]
        var parameters = PostgreSQLParameters()
        parameters.append(tables.values.first?.namespace ?? "")
        let rows = try connection.run(
            """
            SELECT c.relname::text, p.relname::text FROM pg_constraint AS f \
            JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_class AS p ON p.oid = f.confrelid \
            JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.oid = p.relnamespace \
            WHERE f.contype = 'f' AND n.nspname = $1::text
            """, parameters)
        for row in 0..<rows.rowCount {
            guard let child = rows.text(row, 0).flatMap({ byName[$0] }),
                let parent = rows.text(row, 1).flatMap({ byName[$0] }), child != parent
            else { continue }
            parents[child, default: []].insert(parent)
        }
        guard !parents.isEmpty else { return [] }
        var levels: [Set<UInt32>] = []
        var rest = Set(tables.keys)
        while !rest.isEmpty {
            let level = rest.filter { parents[$0, default: []].isDisjoint(with: rest) }
            levels.append(level.isEmpty ? rest : level)
            rest.subtract(levels[levels.count - 1])
        }
        return levels
    }
}
