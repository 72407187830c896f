import Testing
import WriteBehindCore

/// What columns mean beside what they store: in definitions, and as text.
@Suite struct LogicalTypeTests {
    private static let plain = TableSchema(
        "t",
        [
            .key("id", .blob), .column("is_on", .integer), .column("at", .text, nullable: true),
            .column("price", .text, default: .text("0")),
        ])
    private static let meaning = TableSchema(
        "t",
        [
            .key("id", .blob, as: .uuid), .column("is_on", .integer, as: .boolean),
            .column("at", .text, as: .timestamp, nullable: true),
            .column("price", .text, as: .decimal, default: .text("0")),
        ])

    @Test func aDefinitionHoldsThemAndWhichOneOfItsTableItIs() throws {
        let definition = TableDefinition(id: 1, schema: Self.meaning, revision: 3)
        let json = String(decoding: definition.json(), as: UTF8.self)
        #expect(
            json == """
                {"columns":[{"key":true,"logical":"uuid","name":"id","type":"blob"},\
                {"logical":"boolean","name":"is_on","type":"integer"},\
                {"logical":"timestamp","name":"at","nullable":true,"type":"text"},\
                {"default":{"text":"0"},"logical":"decimal","name":"price","type":"text"}],\
                "id":1,"name":"t","revision":3}
                """)
        #expect(try TableDefinition(json: definition.json().span) == definition)
        // One that this version does not know stays as it is.
        let newer = Array(json.replacing("decimal", with: "money").utf8)
        #expect(try TableDefinition(json: newer.span).json() == newer)
    }

    @Test func anotherMeaningIsLoggedAndASilentDeclarationKeepsTheOldOne() throws {
        var catalog = Catalog()
        try catalog.define(TableDefinition(id: 1, schema: Self.plain))
        let change = try #require(try catalog.definition(for: Self.meaning))
        #expect(change == TableDefinition(id: 1, schema: Self.meaning, revision: 2))
        try catalog.define(change)
        #expect(try catalog.definition(for: Self.meaning) == nil)
        // A program from before opens the table, and changes nothing.
        #expect(try catalog.definition(for: Self.plain) == nil)
        let older = TableSchema("t", Array(Self.plain.columns.dropLast()))
        #expect(try catalog.definition(for: older) == nil)
        let other = TableSchema(
            "t",
            Self.plain.columns.dropLast() + [
                .column("price", .text, as: .json, default: .text("0"))
            ])
        let next = try #require(try catalog.definition(for: other))
        #expect(next.schema.columns.map(\.logicalType) == [.uuid, .boolean, .timestamp, .json])
        #expect(next.revision == 3)
    }

    @Test(arguments: [
        (LogicalType.boolean, ColumnType.text), (.timestamp, .real), (.timestamp, .blob),
        (.uuid, .integer), (.json, .blob), (.decimal, .real),
    ])
    func aMeaningThatTheStorageCannotHaveIsRefused(logical: LogicalType, type: ColumnType) {
        let schema = TableSchema("t", [.key("id", .integer), .column("c", type, as: logical)])
        #expect(
            throws: SchemaError(table: "t", column: "c", .unfitLogicalType(logical, type))
        ) { try schema.validate() }
    }

    static let shown: [(StoredValue, LogicalType, String, String)] = [
        (.integer(1), .boolean, "true", "true"), (.integer(0), .boolean, "false", "false"),
        (.integer(2), .boolean, "2", "2"), (.null, .boolean, "NULL", "null"),
        (
            .text("2013-01-01 05:15:00.123"), .timestamp, "2013-01-01T05:15:00.123Z",
            "\"2013-01-01T05:15:00.123Z\""
        ),
        (.text("tomorrow"), .timestamp, "\"tomorrow\"", "\"tomorrow\""),
        (.integer(-1), .timestamp, "1969-12-31T23:59:59Z", "\"1969-12-31T23:59:59Z\""),
        (.integer(.max), .timestamp, "\(Int64.max)", "\(Int64.max)"),
        (
            .blob([UInt8](0..<16)), .uuid, "00010203-0405-0607-0809-0A0B0C0D0E0F",
            "\"00010203-0405-0607-0809-0A0B0C0D0E0F\""
        ),
        (.blob([1]), .uuid, "x'01'", #"{"blob":"01"}"#),
        (.text(#"{"a":[1,2.50]}"#), .json, #""{\"a\":[1,2.50]}""#, #"{"a":[1,2.50]}"#),
        (.text("{\n}"), .json, #""{\n}""#, #""{\n}""#), (.text("{"), .json, #""{""#, #""{""#),
        (.text("1.50"), .decimal, "1.50", #""1.50""#),
        (.text("1; x"), .decimal, #""1; x""#, #""1; x""#),
    ]

    @Test(arguments: shown)
    func aValueIsShownAsWhatItMeans(
        value: StoredValue, logical: LogicalType, text: String, json: String
    ) {
        #expect(value.text(as: logical) == text)
        #expect(value.json(as: logical) == json)
    }

    @Test func whatIsShownIsReadAgain() {
        for (value, logical, text, _) in Self.shown {
            guard let type = value.type, let read = StoredValue(text, as: logical, type) else {
                continue
            }
            #expect(read == value, "\(text)")
        }
        #expect(StoredValue("true", as: .boolean, .integer) == .integer(1))
        #expect(
            StoredValue("2013-01-01T05:15Z", as: .timestamp, .text)
                == .text("2013-01-01 05:15:00.000"))
        #expect(StoredValue("1970-01-02", as: .timestamp, .integer) == .integer(86_400))
    }
}
