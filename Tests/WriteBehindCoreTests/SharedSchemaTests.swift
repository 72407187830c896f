import Testing
import WriteBehindCore

/// What a table must be like that several stores count into, and how it may change.
@Suite struct SharedSchemaTests {
    private static let columns: [ColumnSchema] = [
        .key("id", .integer), .column("likes", .integer, default: .integer(0)),
        .column("note", .text, nullable: true),
    ]
    private static let counts = TableSchema("count", columns).shared

    @Test func columnsWithDefaultsAreEnough() throws {
        try Self.counts.validate()
        #expect(Self.counts.isShared)
        #expect(!Self.counts.unshared.isShared)
    }

    @Test(arguments: [
        TableSchema("count", columns + [.column("name", .text)]),
        TableSchema(
            "count", columns + [.column("until", .integer, nullable: true)], expiry: "until"),
        TableSchema("count", columns, dropping: ["views"]),
        TableSchema("count", columns, indices: [IndexDefinition("likes")]),
        TableSchema("count", columns, sqlIndices: [SQLIndexDefinition("likes")]),
        TableSchema("count", columns, changes: .wholeRows),
    ])
    func whatDependsOnTheOrderOfChangesIsRefused(schema: TableSchema) throws {
        try schema.validate()
        #expect(throws: SchemaError.self) { try schema.shared.validate() }
    }

    @Test func theDefinitionInTheLogSaysIt() throws {
        let definition = TableDefinition(id: 3, schema: Self.counts)
        let json = definition.json()
        #expect(String(decoding: json, as: UTF8.self).contains(#""shared":true"#))
        #expect(try TableDefinition(json: json.span) == definition)
        let alone = TableDefinition(id: 3, schema: Self.counts.unshared).json()
        #expect(!String(decoding: alone, as: UTF8.self).contains("shared"))
    }

    @Test func columnsCanBeAddedAndNotChanged() throws {
        let more = TableSchema(
            "count", Self.columns + [.column("views", .integer, default: .integer(0))])
        #expect(try more.shared.change(from: Self.counts) == .extended(addedColumns: 1))
        let others: [[ColumnSchema]] = [
            [
                .key("id", .integer),
                .column("hearts", .integer, formerly: "likes", default: .integer(0)),
                Self.columns[2],
            ],
            [
                .key("id", .integer),
                .column("likes", .integer, nullable: true, default: .integer(0)), Self.columns[2],
            ],
            [
                .key("id", .integer),
                .column("likes", .integer, as: .timestamp, default: .integer(0)), Self.columns[2],
            ],
        ]
        for columns in others {
            let schema = TableSchema("count", columns).shared
            #expect(throws: SchemaError.self, "\(columns)") { try schema.change(from: Self.counts) }
        }
        #expect(throws: SchemaError.self) { try Self.counts.change(from: Self.counts.unshared) }
        #expect(throws: SchemaError.self) { try Self.counts.unshared.change(from: Self.counts) }
    }
}
