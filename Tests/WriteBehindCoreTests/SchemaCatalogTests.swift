import EventLog
import Testing
import WriteBehindCore

@Suite struct SchemaCatalogTests {
    static let everything = TableSchema(
        "every \"type\"",
        [
            .key("k", .blob), .column("i", .integer, default: .integer(.min)),
            .column("r", .real, default: .real(0.1)),
            .column("t", .text, default: .text("/é\u{1}\"")),
            .column("b", .blob, nullable: true, default: .blob([0, 255])),
            .column("e", .integer, nullable: true),
        ], expiry: "e")

    /// The JSON of a definition, letter by letter: stores in the field hold it.
    @Test func aDefinitionIsThisJSON() {
        let definition = TableDefinition(id: 7, schema: SchemaTests.flight)
        #expect(
            String(decoding: definition.json(), as: UTF8.self) == """
                {"columns":[{"key":true,"name":"day","type":"text"},\
                {"key":true,"name":"number","type":"integer"},\
                {"name":"delay","nullable":true,"type":"integer"},\
                {"default":{"text":"?"},"name":"carrier","type":"text"},\
                {"name":"until","nullable":true,"type":"integer"}],\
                "expiry":"until","id":7,"name":"flight"}
                """)
    }

    @Test func aDefinitionReadsBackAsItself() throws {
        let definition = TableDefinition(id: 9, schema: Self.everything)
        #expect(try TableDefinition(json: definition.json().span) == definition)
    }

    @Test func unknownKeysAreIgnored() throws {
        let json = Array(
            #"{"columns":[{"key":true,"name":"a","type":"text","new":1}],"id":1,"name":"t","x":[]}"#
                .utf8)
        #expect(
            try TableDefinition(json: json.span).schema == TableSchema("t", [.key("a", .text)]))
    }

    @Test(arguments: [
        "", "{", "[]", "\u{0}", #"{"id":-1,"name":"t","columns":[]}"#,
        #"{"id":1,"name":"t","columns":[{"name":"a","type":"date","key":true}]}"#,
        #"{"id":1,"name":"t","columns":[]}"#,
        #"{"id":1,"name":"t","columns":[{"name":"a","type":"text","key":true,"nullable":true}]}"#,
        #"{"id":1,"name":"t","columns":[{"name":"k","type":"text","key":true},"#
            + #"{"name":"a","type":"text","default":{"date":1}}]}"#,
        #"{"id":1,"name":"t","columns":[{"name":"k","type":"text","key":true},"#
            + #"{"name":"a","type":"blob","default":{"blob":"0"}}]}"#,
    ])
    func aDamagedDefinitionIsNamedAsSuch(json: String) {
        let bytes = Array(json.utf8)
        #expect(throws: SchemaError.self) { try TableDefinition(json: bytes.span) }
    }

    @Test func tablesAreNumberedInOrderAndFoundByName() throws {
        var catalog = Catalog()
        let first = try #require(try catalog.definition(for: SchemaTests.flight))
        try catalog.define(first)
        let second = try #require(try catalog.definition(for: Self.everything))
        try catalog.define(second)
        #expect((first.id, second.id, catalog.nextID) == (1, 2, 3))
        #expect(catalog["FLIGHT"] == first)
        #expect(catalog[2] == second)
        #expect(catalog[0] == nil && catalog[3] == nil)
        #expect(try catalog.definition(for: SchemaTests.flight) == nil)
    }

    @Test func aChangeIsLoggedUnderTheSameNumber() throws {
        var catalog = Catalog()
        try catalog.define(TableDefinition(id: 1, schema: SchemaTests.old))
        let wider = TableSchema(
            "t", SchemaTests.old.columns + [.column("c", .real, nullable: true)])
        let change = try #require(try catalog.definition(for: wider))
        let record = Catalog.defineRecord(change)
        var reader = ByteReader(0..<record.count)
        let parsed = try reader.record(record.span)
        #expect(parsed.operation == .define && reader.isAtEnd)
        try catalog.apply(define: parsed.table, body: record.span.extracting(parsed.body))
        #expect(catalog.tables == [TableDefinition(id: 1, schema: wider, revision: 2)])
    }

    @Test(arguments: [
        ("skips a number", TableDefinition(id: 3, schema: everything)),
        ("number zero", TableDefinition(id: 0, schema: everything)),
        ("another table's number", TableDefinition(id: 1, schema: everything)),
        (
            "a name that is taken",
            TableDefinition(id: 2, schema: TableSchema("T", [.key("a", .text)]))
        ),
        ("loses columns", TableDefinition(id: 1, schema: TableSchema("t", [SchemaTests.key]))),
    ])
    func aDefinitionOutOfOrderIsRefused(what: String, definition: TableDefinition) throws {
        var catalog = Catalog()
        try catalog.define(TableDefinition(id: 1, schema: SchemaTests.old))
        let before = catalog
        #expect(throws: SchemaError.self) { try catalog.define(definition) }
        #expect(catalog == before)
    }

    @Test func aPreambleHoldsEveryTable() throws {
        var catalog = Catalog()
        for schema in [SchemaTests.flight, Self.everything, SchemaTests.old] {
            try catalog.define(TableDefinition(id: catalog.nextID, schema: schema))
        }
        for catalog in [Catalog(), catalog] {
            let records = catalog.tables.flatMap(Catalog.defineRecord)
            #expect(try Catalog(defineRecords: records.span) == catalog)
        }
    }

    @Test func aPreambleCutAnywhereIsAnError() throws {
        let records = Catalog.defineRecord(TableDefinition(id: 1, schema: SchemaTests.flight))
        for count in 1..<records.count {
            #expect(throws: SchemaError.self) {
                try Catalog(defineRecords: records.span.extracting(..<count))
            }
        }
        let longer = records + [0]
        #expect(throws: SchemaError.self) { try Catalog(defineRecords: longer.span) }
    }

    @Test(arguments: ["another table", "a column more", "a table without columns to speak of"])
    func definitionsThatASegmentHasNoRoomForAreRefused(what: String) throws {
        var catalog = Catalog()
        let first = TableSchema("a", [.key("id", .integer)])
        let table = try #require(try catalog.definition(for: first))
        try catalog.define(table)
        let taken = Catalog.defineRecord(table).count
        let next =
            switch what {
            case "another table": TableSchema("b", first.columns)
            case "a column more":
                TableSchema("a", first.columns + [.column("n", .text, nullable: true)])
            default: TableSchema("b", [.key("k", .blob)])
            }
        let definition = try #require(try catalog.definition(for: next))
        let record = Catalog.defineRecord(definition).count
        // A definition of the table itself takes the place of the one before it.
        let limit = record + (definition.id == table.id ? 0 : taken)
        #expect(try catalog.definition(for: next, limit: limit) == definition)
        do throws(SchemaError) {
            _ = try catalog.definition(for: next, limit: limit - 1)
            Issue.record("it is accepted")
        } catch {
            #expect(error.problem == .definitionsTooLong(bytes: limit, limit: limit - 1))
        }
        // A reservation of ids is a definition, too.
        let reserved = try catalog.definition(of: table, assigned: 4096)
        let room = Catalog.defineRecord(reserved).count
        #expect(reserved.assigned == 4096 && reserved.revision == table.revision + 1)
        #expect(try catalog.definition(of: table, assigned: 4096, limit: room) == reserved)
        #expect(throws: SchemaError.self) {
            try catalog.definition(of: table, assigned: 4096, limit: room - 1)
        }
        // A schema read from a log counts as a declared one does.
        let read = try Catalog(defineRecords: Catalog.defineRecord(table).span)
        #expect(read == catalog)
        #expect(try catalog.definition(for: first, limit: 0) == nil, "nothing is added")
    }
}
