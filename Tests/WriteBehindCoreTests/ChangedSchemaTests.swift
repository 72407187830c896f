import Testing
import WriteBehindCore

/// Declarations that rename, drop, let be null and widen columns of a table, and rows from before.
@Suite struct ChangedSchemaTests {
    private static let first = TableSchema(
        "t",
        [
            .key("id", .integer), .column("a", .text), .column("b", .integer, default: .integer(7)),
            .column("c", .integer), .column("until", .integer, nullable: true),
        ], expiry: "until")

    private func changed(_ schema: TableSchema, byName: Bool = false) throws -> Catalog {
        var catalog = Catalog()
        try catalog.define(TableDefinition(id: 1, schema: Self.first, assigned: 7))
        let change = try #require(try catalog.definition(for: schema, byName: byName))
        try catalog.define(change)
        #expect(change.revision == 2 && change.assigned == 7)
        // What the log holds is the same, and the declaration says it once.
        #expect(try TableDefinition(json: change.json().span) == change)
        #expect(try catalog.definition(for: schema, byName: byName) == nil)
        return catalog
    }

    private static let second = TableSchema(
        "t",
        [
            .key("number", .integer, formerly: "id"), .column("name", .text, formerly: "a"),
            .column("c", .real), .column("until", .integer, nullable: true),
            .column("d", .text, nullable: true),
        ], expiry: "until", dropping: ["b"])

    @Test(arguments: [false, true])
    func columnsKeepTheirPlaces(byName: Bool) throws {
        let catalog = try changed(Self.second, byName: byName)
        let columns = try #require(catalog["t"]).schema.columns
        #expect(columns.map(\.name) == ["number", "name", "", "c", "until", "d"])
        #expect(columns.map(\.isDropped) == [false, false, true, false, false, false])
        #expect(columns.map(\.wasInteger) == [false, false, false, true, false, false])
        #expect(columns.map(\.formerNames) == [["id"], ["a"], [], [], [], []])
        #expect(catalog["t"]?.schema.expiryIndex == 3)
    }

    @Test func rowsFromBeforeAreReadAsTheTableIsNow() throws {
        let schema = try #require(changed(Self.second)["t"]).schema
        let row = try RowCodec.encodeRow(
            [.text("x"), .integer(5), .integer(9), .null], Self.first)
        let values: [StoredValue] = [.text("x"), .null, .real(9), .null, .null]
        #expect(try RowCodec.decodeRow(row.span, schema) == values)
        let current = try #require(try RowCodec.completed(row.span, schema))
        #expect(try RowCodec.encodeRow(values, schema) == current)
        #expect(try RowCodec.completed(current.span, schema) == nil)
        let patch = try RowCodec.encodePatch(
            [
                ColumnChange(column: 1, value: .integer(1)),
                ColumnChange(column: 2, value: .integer(2)),
            ],
            Self.first)
        #expect(
            try RowCodec.decodePatch(patch.span, schema) == [
                ColumnChange(column: 1, value: .null), ColumnChange(column: 2, value: .real(2)),
            ])
    }

    @Test func aNewNameWinsOverAnOldOne() throws {
        // `a` is called `b` now, and what was called `b` is called `a`.
        let exchanged = TableSchema(
            "t",
            [
                .key("id", .integer), .column("x", .text, formerly: "a"),
                .column("b", .integer, default: .integer(7)), .column("c", .integer),
                .column("until", .integer, nullable: true),
                .column("a", .text, nullable: true),
            ], expiry: "until")
        let columns = try #require(changed(exchanged, byName: true)["t"]).schema.columns
        #expect(columns.map(\.name) == ["id", "x", "b", "c", "until", "a"])
    }

    @Test func aChainOfNamesIsFollowed() throws {
        let chain = TableSchema(
            "t",
            [
                .key("id", .integer), .column("b", .text, formerly: "a"),
                .column("c", .integer, formerly: "b", default: .integer(7)),
                .column("d", .integer, formerly: "c"),
                .column("until", .integer, nullable: true),
            ], expiry: "until")
        let columns = try #require(changed(chain, byName: true)["t"]).schema.columns
        #expect(columns.map(\.name) == ["id", "b", "c", "d", "until"])
        #expect(columns.map(\.type) == [.integer, .text, .integer, .integer, .integer])
    }

    /// It would be read as no change at all.
    @Test func twoColumnsDoNotExchangeTheirNamesAtOnce() throws {
        func table(_ x: String, _ y: String, xWas: String = "x", yWas: String = "y")
            -> TableSchema
        {
            TableSchema(
                "t",
                [
                    .key("id", .integer), .column(x, .text, formerly: xWas),
                    .column(y, .text, formerly: yWas),
                ])
        }
        var catalog = Catalog()
        func declare(_ schema: TableSchema) throws(SchemaError) -> [String]? {
            let definition = try catalog.definition(for: schema, byName: true)
            if let definition { try? catalog.define(definition) }
            return catalog["t"]?.schema.columns.map(\.name)
        }
        _ = try declare(table("a", "b"))
        #expect(throws: SchemaError(table: "t", column: "a", .namesExchanged(with: "b"))) {
            try declare(table("b", "a", xWas: "a", yWas: "b"))
        }
        // Over a third name it is possible, and stays so.
        #expect(try declare(table("tmp", "a", xWas: "a", yWas: "b")) == ["id", "tmp", "a"])
        #expect(try declare(table("b", "a", xWas: "tmp", yWas: "b")) == ["id", "b", "a"])
        #expect(try declare(table("b", "a", xWas: "a", yWas: "b")) == ["id", "b", "a"])
    }

    private func refusal(_ columns: [ColumnSchema], dropping: [String] = []) -> SchemaError.Problem?
    {
        var catalog = Catalog()
        try? catalog.define(TableDefinition(id: 1, schema: Self.first))
        let schema = TableSchema("t", columns, expiry: "until", dropping: dropping)
        do throws(SchemaError) {
            _ = try catalog.definition(for: schema, byName: true)
            return nil
        } catch {
            return error.problem
        }
    }

    @Test func whatRowsCannotFollowIsRefused() {
        let old = Self.first.columns
        #expect(refusal(Array(old.dropFirst()), dropping: ["id"]) == .noKeyColumn)
        #expect(
            refusal([.key("id", .real)] + old.dropFirst())
                == .typeChanged(from: .integer, to: .real))
        #expect(
            refusal([old[0], old[1], .column("b", .text)] + old.dropFirst(3))
                == .typeChanged(from: .integer, to: .text))
        #expect(
            refusal(Array(old.dropLast()) + [.column("until", .integer)])
                == .nullabilityChanged(.integer, nowNullable: false))
        #expect(refusal([old[0], old[1], old[3], old[4]]) == .removed(.integer))
        #expect(refusal(old, dropping: ["a"]) == .droppedButDeclared)
        #expect(refusal(Array(old.dropLast()), dropping: ["until"]) == .noSuchExpiryColumn)
    }
}
