import WriteBehindCore

/// The tables of the simulated store, each with the versions of its declaration.
package enum Tables {
    static let names = declarations.map { $0[0].name }
    static let count = UInt32(declarations.count)
    /// How many tables a store has from its first life on; the others are declared by a step.
    static let earlyCount = 4

    /// Later ones add columns, and then rename, widen and drop some, or let them be null.
    static let declarations: [[TableSchema]] = [
        [
            table("counter", [.column("n", .integer), .column("name", .text, nullable: true)]),
            table(
                "counter",
                [
                    .column("n", .integer), .column("name", .text, nullable: true),
                    // Two columns at once: a patch of the second leaves the first at its default in an older row.
                    .column("extra", .integer, default: .integer(7)),
                    .column("note", .text, default: .text("-")),
                ]),
            table(
                "counter",
                [
                    .column("n", .integer), .column("name", .text, nullable: true),
                    .column("extra", .integer, default: .integer(7)),
                    .column("note", .text, default: .text("-")),
                    .column("rate", .integer, nullable: true),
                ]),
            table(
                "counter",
                [
                    .column("n", .integer), .column("name", .text, nullable: true),
                    .column("weight", .real, formerly: "extra", default: .real(7)),
                    .column("note", .text, nullable: true, default: .text("-")),
                    .column("rate", .integer, nullable: true),
                ]),
            table(
                "counter",
                [
                    .column("n", .integer), .column("weight", .real, default: .real(7)),
                    .column("note", .text, nullable: true, default: .text("-")),
                    .column("pace", .integer, formerly: "rate", nullable: true),
                ], dropping: ["name"]),
        ],
        [
            // No two may have the same code, later not the same number either, and in the end they may again.
            table(
                "flag", [.column("n", .integer), .column("code", .integer, nullable: true)],
                sqlIndices: [SQLIndexDefinition("code", unique: true)]),
            table(
                "flag",
                [
                    .column("n", .integer), .column("code", .integer, nullable: true),
                    .column("level", .integer, default: .integer(-1)),
                    .column("kind", .integer, nullable: true, default: .integer(3)),
                ],
                sqlIndices: [
                    SQLIndexDefinition("code", unique: true), SQLIndexDefinition("level"),
                    SQLIndexDefinition("n", unique: true),
                    SQLIndexDefinition("kind", "level", unique: true),
                ]),
            table(
                "flag",
                [
                    .column("n", .integer), .column("code", .integer, nullable: true),
                    .column("level", .real, nullable: true, default: .real(-1)),
                ], dropping: ["kind"], sqlIndices: [SQLIndexDefinition("level")]),
        ],
        [
            table(
                "lease", [.column("n", .integer), .column("until", .integer, nullable: true)],
                expiry: "until"),
            table(
                "lease",
                [
                    .column("n", .integer), .column("until", .integer, nullable: true),
                    .column("holder", .text, nullable: true, default: .text("nobody")),
                ], expiry: "until"),
            table(
                "lease",
                [
                    .column("n", .integer),
                    .column("deadline", .integer, formerly: "until", nullable: true),
                ], expiry: "deadline", dropping: ["holder"]),
        ],
        // This table is shared, though the store is its only one: it gets adds alone, and memory never has its rows.
        [
            [
                .column("n", .integer, default: .integer(3)),
                .column("label", .text, nullable: true),
            ],
            [
                .column("n", .integer, default: .integer(3)),
                .column("label", .text, nullable: true),
                .column("more", .integer, nullable: true, default: .integer(5)),
            ],
        ].map { table("tally", $0).shared },
        // This table has more rows than the others. An add makes its rows.
        [
            table("crowd", [.column("n", .integer, default: .integer(3))]),
            table(
                "crowd",
                [
                    .column("n", .integer, default: .integer(3)),
                    .column("mark", .integer, nullable: true, default: .integer(5)),
                ]),
            table(
                "crowd",
                [
                    .column("n", .integer, default: .integer(3)),
                    .column("mark", .integer, nullable: true, default: .integer(5)),
                    .column("size", .integer, default: .integer(.min)),
                ]),
            table(
                "crowd",
                [
                    .column("n", .integer, default: .integer(3)),
                    .column("mark", .real, nullable: true, default: .real(5)),
                    .column("size", .integer, nullable: true, default: .integer(.min)),
                ]),
        ],
        [
            table("session", [.column("n", .integer)]),
            table(
                "session",
                [
                    .column("n", .integer), .column("user", .text, default: .text("")),
                    .column("until", .integer, nullable: true),
                ], expiry: "until"),
            table(
                "session",
                [
                    .column("n", .integer),
                    .column("who", .text, formerly: "user", nullable: true, default: .text("")),
                ], dropping: ["until"]),
        ],
    ]

    /// Whether several stores may add to a table.
    static func isShared(_ table: UInt32) -> Bool { table == 4 }

    private static func table(
        _ name: String, _ columns: [ColumnSchema], expiry: String? = nil, dropping: [String] = [],
        sqlIndices: [SQLIndexDefinition] = []
    ) -> TableSchema {
        // Of the first one, which has a consumer, the log has whole rows.
        TableSchema(
            name, [.key("id", .integer)] + columns, expiry: expiry, dropping: dropping,
            sqlIndices: sqlIndices, changes: name == "counter" ? .wholeRows : .columns)
    }

    /// The declarations in the form that the log holds.
    private static let versions: [[TableSchema]] = declarations.map { declarations in
        var catalog = Catalog()
        return declarations.map { declaration in
            guard let definition = try? catalog.definition(for: declaration),
                (try? catalog.define(definition)) != nil
            else { preconditionFailure("\(declaration) does not follow the one before") }
            return definition.schema
        }
    }

    /// A table's schema after all changes.
    static func latest(_ table: UInt32) -> TableSchema {
        let versions = versions[Int(table) - 1]
        return versions[versions.count - 1]
    }

    static func first(_ table: UInt32) -> TableSchema { declarations[Int(table) - 1][0] }

    /// All columns outside the key that the table ever has, by their places in a row, each as it is first; it may be null
    /// if it may at any time.
    static func columns(_ table: UInt32) -> [ColumnSchema] { everyColumn[Int(table) - 1] }

    private static let everyColumn: [[ColumnSchema]] = versions.map { versions in
        (versions.last?.valueColumns.indices ?? 0..<0).map { place in
            let all = versions.filter { $0.valueColumns.count > place }.map {
                $0.valueColumns[place]
            }
            return .column(
                all[0].name, all[0].type,
                nullable: all.contains { $0.isNullable && !$0.isDropped },
                default: all[0].defaultValue)
        }
    }

    /// The place of a column outside the key, by any name that it ever has.
    static func place(of name: String, _ table: UInt32) -> Int? {
        versions[Int(table) - 1].lazy.compactMap { $0.valueIndex(of: name) }.first
    }

    /// The declaration that follows this schema of a table; nil after the latest.
    static func next(after schema: TableSchema, _ table: UInt32) -> TableSchema? {
        let next = (versions[Int(table) - 1].firstIndex(of: schema) ?? -1) + 1
        return next < declarations[Int(table) - 1].count ? declarations[Int(table) - 1][next] : nil
    }

    /// A value as a program of this version writes it into a column.
    static func fitting(_ value: StoredValue, _ column: ColumnSchema) -> StoredValue {
        if column.isDropped { return .null }
        switch value {
        case .integer(let number) where column.type == .real: return .real(Double(number) / 4)
        case .null where !column.isNullable:
            switch column.type {
            case .integer: return .integer(0)
            case .real: return .real(0)
            case .text: return .text("")
            case .blob: return .blob([])
            }
        default: return value
        }
    }

    /// A value as a column holds it by now.
    static func present(_ value: StoredValue, _ column: ColumnSchema) -> StoredValue {
        if column.isDropped { return .null }
        return column.wasInteger ? value.asReal : value
    }

    /// A row as it is by now: with the defaults of columns that were added since, and without those that were dropped.
    static func completed(_ values: [StoredValue], _ schema: TableSchema) -> [StoredValue] {
        let columns = schema.valueColumns
        let known = zip(values, columns).map { present($0, $1) }
        guard values.count < columns.count else { return known + values[columns.count...] }
        return known + columns[values.count...].map(\.missingValue)
    }

    static func keyCount(_ table: UInt32) -> Int64 { table == 5 ? 40 : 6 }

    /// The wall clock at the start, milliseconds.
    static let start: UInt64 = 1_700_000_000_000

    /// The table whose new rows are given ids.
    static let assigned: UInt32 = 3

    private static let keys = (0..<Int64(200)).map(encodedKey)

    private static func encodedKey(_ id: Int64) -> [UInt8] {
        // All tables have a key of one integer.
        guard let key = try? KeyCodec.encode([.integer(id)], declarations[0][0]) else {
            preconditionFailure("a key cannot be encoded")
        }
        return key
    }

    static func key(_ id: Int64) -> [UInt8] {
        id >= 0 && id < keys.count ? keys[Int(id)] : encodedKey(id)
    }

    /// The row that a key means.
    static func row(_ table: UInt32, _ key: Span<UInt8>) throws(SinkError) -> Row {
        if key.count == 8 {
            // Negative numbers, which have the first bit clear, are no ids.
            var id = Int64(key[0] & 0x7F)
            for index in 1..<8 { id = id << 8 | Int64(key[index]) }
            if key[0] & 0x80 != 0 { return Row(table: table, id: id) }
        }
        throw SinkError(.corrupt, "a key that nobody wrote")
    }
}
