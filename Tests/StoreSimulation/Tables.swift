import WriteBehind

/// The tables of the simulated store.
package enum Tables {
    static let names = ["counter", "flag", "lease"]
    static let count = UInt32(names.count)
    static let keyCount: Int64 = 6
    static let addedDefault = Value.integer(7)

    private static let counter = [
        Column.key("id", .integer), .column("n", .integer),
        .column("name", .text, nullable: true),
    ]
    static let schemas = [
        TableSchema("counter", counter),
        TableSchema("flag", [.key("id", .integer), .column("n", .integer)]),
        TableSchema(
            "lease",
            [
                .key("id", .integer), .column("n", .integer),
                .column("until", .integer, nullable: true),
            ], expiry: "until"),
    ]
    /// The first table with a column that a later version adds.
    static let extended = TableSchema(
        "counter", counter + [.column("extra", .integer, default: addedDefault)])

    static func latest(_ table: UInt32) -> TableSchema {
        table == 1 ? extended : schemas[Int(table) - 1]
    }

    /// The wall clock at the start, milliseconds.
    static let start: UInt64 = 1_700_000_000_000

    private static let keys = (0..<keyCount).map { id -> [UInt8] in
        // All tables have a key of one integer.
        guard let key = try? KeyCodec.encode([.integer(id)], schemas[0]) else {
            preconditionFailure("a key cannot be encoded")
        }
        return key
    }

    static func key(_ id: Int64) -> [UInt8] { keys[Int(id)] }

    /// The row that a key means.
    static func row(_ table: UInt32, _ key: Span<UInt8>) throws(SinkError) -> Row {
        for (id, known) in keys.enumerated() where known.span.isEqual(to: key) {
            return Row(table: table, id: Int64(id))
        }
        throw SinkError(.corrupt, "a key that nobody wrote")
    }
}

extension Span<UInt8> {
    fileprivate func isEqual(to other: Span<UInt8>) -> Bool {
        count == other.count && (0..<count).allSatisfy { self[$0] == other[$0] }
    }
}
