import WriteBehindCore

/// The tables of the simulated store, each with the versions of its schema: a later one has more columns.
package enum Tables {
    static let names = versions.map { $0[0].name }
    static let count = UInt32(versions.count)
    /// How many tables a store has from its first life on; the others are declared by a step.
    static let earlyCount = 3

    static let versions: [[TableSchema]] = [
        growing(
            "counter", [.column("n", .integer), .column("name", .text, nullable: true)],
            // Two at once: a patch of the second leaves the first of an older row to its default.
            [
                .column("extra", .integer, default: .integer(7)),
                .column("note", .text, default: .text("-")),
            ],
            [.column("rate", .integer, nullable: true)]),
        growing(
            "flag", [.column("n", .integer)],
            [
                .column("level", .integer, default: .integer(-1)),
                .column("kind", .integer, nullable: true, default: .integer(3)),
            ]),
        growing(
            "lease", [.column("n", .integer), .column("until", .integer, nullable: true)],
            [.column("holder", .text, nullable: true, default: .text("nobody"))], expiry: "until"),
        // With more rows than the others.
        growing(
            "crowd", [.column("n", .integer)],
            [.column("mark", .integer, nullable: true, default: .integer(5))],
            [.column("size", .integer, default: .integer(.min))]),
        growing(
            "session", [.column("n", .integer)],
            [
                .column("user", .text, default: .text("")),
                .column("until", .integer, nullable: true),
            ], expiry: "until"),
    ]

    /// A schema, and then the same with one group of added columns after the other. It expires by a column that it has.
    private static func growing(
        _ name: String, _ columns: [ColumnSchema], _ added: [ColumnSchema]...,
        expiry: String? = nil
    ) -> [TableSchema] {
        (0...added.count).map { count in
            let columns = columns + added[..<count].joined()
            let hasExpiry = columns.contains { $0.name == expiry }
            return TableSchema(
                name, [.key("id", .integer)] + columns, expiry: hasExpiry ? expiry : nil)
        }
    }

    /// With all columns that the table may ever have.
    static func latest(_ table: UInt32) -> TableSchema {
        let versions = versions[Int(table) - 1]
        return versions[versions.count - 1]
    }

    static func first(_ table: UInt32) -> TableSchema { versions[Int(table) - 1][0] }

    /// The schema that follows this one; nil after the latest.
    static func next(after schema: TableSchema, _ table: UInt32) -> TableSchema? {
        versions[Int(table) - 1].first { $0.columns.count > schema.columns.count }
    }

    /// A row from before columns were added, with their defaults in it.
    static func completed(_ values: [StoredValue], _ schema: TableSchema) -> [StoredValue] {
        let columns = schema.valueColumns
        guard values.count < columns.count else { return values }
        return values + columns[values.count...].map(\.missingValue)
    }

    static func keyCount(_ table: UInt32) -> Int64 { table == 4 ? 40 : 6 }

    /// The wall clock at the start, milliseconds.
    static let start: UInt64 = 1_700_000_000_000

    private static let keys = (0..<Int64(40)).map { id -> [UInt8] in
        // All tables have a key of one integer.
        guard let key = try? KeyCodec.encode([.integer(id)], versions[0][0]) else {
            preconditionFailure("a key cannot be encoded")
        }
        return key
    }

    static func key(_ id: Int64) -> [UInt8] { keys[Int(id)] }

    /// The row that a key means.
    static func row(_ table: UInt32, _ key: Span<UInt8>) throws(SinkError) -> Row {
        // Small numbers differ in their last byte.
        if key.count == 8, key[7] < UInt8(keys.count) {
            let known = keys[Int(key[7])]
            if known.span.isEqual(to: key) { return Row(table: table, id: Int64(key[7])) }
        }
        throw SinkError(.corrupt, "a key that nobody wrote")
    }
}

extension Span<UInt8> {
    fileprivate func isEqual(to other: Span<UInt8>) -> Bool {
        count == other.count && (0..<count).allSatisfy { self[$0] == other[$0] }
    }
}
