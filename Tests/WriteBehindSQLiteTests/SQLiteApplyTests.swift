import EventLog
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

@Suite struct SQLiteApplyTests {
    @Test func aBatchBecomesRowsWithItsWatermark() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(2, "Bo", 5), .person(1, "Ann"), .visit("mon", 1, person: 2)])
        #expect(try fixture.strings("SELECT name FROM person ORDER BY id") == ["Ann", "Bo"])
        #expect(try fixture.sink.watermark() == fixture.at(3))
        let reopened = try SinkFixture.open(fixture.path)
        #expect(try reopened.watermark() == fixture.at(3))
        #expect(reopened.tables == [SinkFixture.person, SinkFixture.visit])
        try reopened.close()
    }

    @Test func aPutOfAKnownRowUpdatesIt() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE TABLE audit (what TEXT)")
        try fixture.user(
            "CREATE TRIGGER t AFTER DELETE ON person BEGIN INSERT INTO audit VALUES ('gone'); END")
        try fixture.apply([.person(1, "Ann")])
        try fixture.apply([.person(1, "Anna", 2)])
        #expect(try fixture.rows("SELECT * FROM person") == [["id": 1, "name": "Anna", "age": 2]])
        #expect(try fixture.strings("SELECT what FROM audit").isEmpty)
    }

    @Test func aPatchSetsItsColumnsOnly() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", 5)])
        try fixture.apply([.patch(1, [ColumnChange(column: 1, value: .integer(6))])])
        #expect(try fixture.rows("SELECT * FROM person") == [["id": 1, "name": "Ann", "age": 6]])
        try fixture.apply([
            .patch(
                1,
                [
                    ColumnChange(column: 0, value: .null),
                    ColumnChange(column: 1, value: .integer(8)),
                ])
        ])
        #expect(try fixture.rows("SELECT * FROM person") == [["id": 1, "name": nil, "age": 8]])
    }

    @Test func aPatchOfAMissingRowIsRefused() throws {
        let fixture = try SinkFixture()
        let change = try Change.patch(1, [ColumnChange(column: 1, value: .integer(6))])
        #expect(refusal { try fixture.apply([change]) } == .constraint)
        #expect(try fixture.sink.watermark() == fixture.at(2))
    }

    @Test func deleteAndClearRemoveRows() throws {
        let fixture = try SinkFixture()
        try fixture.apply((1...5).map { try .person($0, "x") })
        try fixture.apply([.delete(2), .delete(77)])
        #expect(try fixture.strings("SELECT id FROM person") == ["1", "3", "4", "5"])
        try fixture.apply([.person(9, "y")], cleared: [1])
        #expect(try fixture.strings("SELECT id FROM person") == ["9"])
    }

    @Test func aRefusedBatchLeavesNothingBehind() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE UNIQUE INDEX u ON person (name)")
        try fixture.apply([.person(1, "Ann")])
        let change = try [Change.person(0, "Zoe"), .person(2, "Ann")]
        #expect(refusal { try fixture.apply(change) } == .constraint)
        #expect(try fixture.strings("SELECT id FROM person") == ["1"])
        #expect(try fixture.sink.watermark() == fixture.at(3))
    }

    @Test func aShortRowIsCompletedWithDefaults() throws {
        let fixture = try SinkFixture()
        let short = Change(operation: .put, table: 1, key: try SinkFixture.key(3), body: [0])
        try fixture.apply([short])
        #expect(try fixture.rows("SELECT * FROM person") == [["id": 3, "name": nil, "age": 7]])
    }

    @Test(arguments: [
        [StoredValue.integer(.min), .real(-.infinity), .text(""), .blob([])],
        [.integer(.max), .real(.infinity), .text("a\0b"), .blob([0, 255])],
        [.integer(0), .real(.leastNonzeroMagnitude), .text("🛫 \"'\n"), .blob([0])],
        [.integer(-1), .real(3), .text("x"), .blob([1])],
        [.null, .null, .null, .null],
    ])
    func valuesComeBackAsTheyWere(values: [StoredValue]) throws {
        let columns: [ColumnSchema] = [
            .key("t", .text), .key("b", .blob), .key("r", .real), .key("last", .text),
            .column("i", .integer, nullable: true), .column("v", .real, nullable: true),
            .column("s", .text, nullable: true), .column("x", .blob, nullable: true),
        ]
        let table = TableDefinition(id: 1, schema: TableSchema("all", columns))
        let fixture = try SinkFixture(tables: [table])
        let keys: [[StoredValue]] = [
            [.text("a\0b"), .blob([0, 0]), .real(-1.5), .text("")],
            [.text(""), .blob([]), .real(0), .text("z\0")],
        ]
        for key in keys {
            let put = try Change.put(table, key + values)
            try fixture.apply([put])
            let row = try fixture.sink.read(1, key: put.key.span)
            #expect(row.body == put.body)
            #expect(row.watermark == fixture.sequence)
            // In hexadecimal, since text from GRDB ends at its first NUL.
            let found = try fixture.rows("SELECT hex(t), hex(b), r, hex(last) FROM \"all\"")
            let texts = found.map { "\($0[0] as String) \($0[1] as String) \($0[2] as Double)" }
            #expect(texts.contains(key == keys[0] ? "610062 0000 -1.5" : "  0.0"))
        }
    }

    @Test(arguments: [
        "select", "a\"b", "it's", "new\nline", "e\u{301}\"\u{301}", "1 2;--", "rowid", "ünï🛬",
    ])
    func anyNameWillDo(name: String) throws {
        let schema = TableSchema(
            name,
            [
                .key(name, .text), .column("x" + name, .text, default: .text(name + "'\u{301}'\0")),
                .column("oid" + name, .integer, nullable: true),
            ], expiry: "oid" + name)
        let table = TableDefinition(id: 1, schema: schema)
        let fixture = try SinkFixture(tables: [table])
        let put = try Change.put(table, [.text("k"), .text("v"), .integer(1)])
        try fixture.apply([put])
        #expect(try fixture.sink.read(1, key: put.key.span).body == put.body)
        #expect(try fixture.sink.dueRows(1, before: 1, limit: 9).keys == [put.key])
        try fixture.apply([Change(operation: .put, table: 1, key: [65], body: [0])])
        let defaults = try RowCodec.decodeRow(([0] as [UInt8]).span, schema)
        let row = try #require(try fixture.sink.read(1, key: ([65] as [UInt8]).span).body)
        #expect(try RowCodec.decodeRow(row.span, schema) == defaults)
    }

    @Test func keyOnlyTablesKeepTheirRows() throws {
        let table = TableDefinition(
            id: 1, schema: TableSchema("tag", [.key("a", .text), .key("b", .text)]))
        let fixture = try SinkFixture(tables: [table])
        let put = try Change.put(table, [.text("x"), .text("y")])
        try fixture.apply([put])
        try fixture.apply([put])
        #expect(try fixture.sink.read(1, key: put.key.span).body == [0])
        #expect(try fixture.sink.read(1, key: ([0, 0, 1] as [UInt8]).span).body == nil)
    }

    @Test func aReadIsOfOneSnapshot() async throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        let row = try await fixture.sink.read(1, keys: [SinkFixture.key(1)])[0]
        #expect(row.watermark == 3)
        #expect(row.body == (try Change.person(1, "Ann")).body)
        #expect(refusal { _ = try fixture.sink.read(9, key: ([0] as [UInt8]).span) } == .schema)
    }

    @Test func dueRowsComeEarliestFirst() throws {
        let fixture = try SinkFixture()
        let untils: [StoredValue] = [.integer(50), .integer(10), .null, .integer(30), .integer(31)]
        var visits: [Change] = []
        for (number, until) in untils.enumerated() {
            let values: [StoredValue] = [.text("d"), .integer(Int64(number)), .null, until]
            visits.append(try Change.put(SinkFixture.visit, values))
        }
        try fixture.apply(visits)
        #expect(
            try fixture.sink.dueRows(2, before: 30, limit: 9).keys == [
                visits[1].key, visits[3].key,
            ])
        #expect(try fixture.sink.dueRows(2, before: 99, limit: 1).keys == [visits[1].key])
        #expect(try fixture.sink.dueRows(1, before: 99, limit: 1).keys == [])
    }

    @Test func aKeyMayTakeAllColumnsOfATable() throws {
        let columns = (0..<TableSchema.columnLimit).map { ColumnSchema.key("k\($0)", .integer) }
        let wide = TableDefinition(id: 1, schema: TableSchema("wide", columns))
        let fixture = try SinkFixture(tables: [wide])
        let row = try Change.put(wide, columns.indices.map { .integer(Int64($0)) })
        try fixture.apply([row])
        #expect(try fixture.sink.read(1, key: row.key.span).body != nil)
        try fixture.apply([Change(operation: .delete, table: 1, key: row.key, body: [])])
        #expect(try fixture.sink.read(1, key: row.key.span).body == nil)
    }
}
