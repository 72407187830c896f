import EventLog
import Foundation
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// Amounts that the database adds to what its rows hold.
@Suite struct SQLiteAddTests {
    /// Adds to it make rows. It is `STRICT`.
    static let counter = TableDefinition(
        id: 1,
        schema: TableSchema(
            "counter",
            [
                .key("id", .integer), .column("likes", .integer, nullable: true),
                .column("views", .integer, default: .integer(5)),
                .column("both", .integer, nullable: true, default: .integer(-3)),
                .column("name", .text, nullable: true),
            ]))
    /// Adds to it make no rows. A column of a logical type keeps it from being `STRICT`.
    static let player = TableDefinition(
        id: 2,
        schema: TableSchema(
            "player",
            [
                .key("team", .text), .key("id", .blob, as: .uuid), .column("name", .text),
                .column("score", .integer), .column("wins", .integer, default: .integer(5)),
            ]))
    static let (blue, red) = (playerKey("blue", 1), playerKey("r\0d", 2))

    static func playerKey(_ team: String, _ number: UInt8) -> [StoredValue] {
        [.text(team), .blob([UInt8](repeating: number, count: 16))]
    }

    /// How changes are applied.
    static let ways = ["as a batch", "in order"]

    private func fixture() throws -> SinkFixture {
        try SinkFixture(tables: [Self.counter, Self.player])
    }

    private func apply(_ changes: [Change], _ way: String, to fixture: SinkFixture) throws {
        guard way == "in order" else { return try fixture.apply(changes) }
        #expect(try fixture.applyInOrder(changes.map { [$0] }).isEmpty)
    }

    private func counters(_ fixture: SinkFixture) throws -> [Row] {
        try fixture.rows("SELECT * FROM counter ORDER BY id")
    }

    @Test(arguments: ways)
    func amountsAreAddedToTheRowThatIsThere(way: String) throws {
        let fixture = try fixture()
        try fixture.apply([
            .put(Self.counter, [.integer(1), .integer(10), .integer(20), .null, .text("Ann")])
        ])
        let adds = try [
            Change.add(Self.counter, [.integer(1)], [(0, 1), (1, -21), (2, Int64.max)])
        ]
        try apply(adds, way, to: fixture)
        // A null counts as the column's default.
        #expect(
            try counters(fixture) == [
                ["id": 1, "likes": 11, "views": -1, "both": Int64.max - 3, "name": "Ann"]
            ])
        try apply([.add(Self.counter, [.integer(1)], [(0, 0)])], way, to: fixture)
        #expect(try fixture.strings("SELECT likes FROM counter") == ["11"])
    }

    @Test(arguments: ways)
    func withoutARowTheDefaultsAndTheAmountsMakeOne(way: String) throws {
        let fixture = try fixture()
        let adds = try [
            Change.add(Self.counter, [.integer(-1)], [(0, 3)]),
            .add(Self.counter, [.integer(2)], [(1, 3), (2, 3)]),
        ]
        try apply(adds, way, to: fixture)
        #expect(
            try counters(fixture) == [
                ["id": -1, "likes": 3, "views": 5, "both": -3, "name": nil],
                ["id": 2, "likes": nil, "views": 8, "both": 0, "name": nil],
            ])
    }

    @Test(arguments: ways)
    func whereNoRowCanBeMadeAnAddChangesNothing(way: String) throws {
        let fixture = try fixture()
        try apply([.add(Self.player, Self.blue, [(1, 3)])], way, to: fixture)
        #expect(try fixture.strings("SELECT team FROM player").isEmpty)
        #expect(fixture.sink.quarantineIsEmpty)
    }

    @Test(arguments: ways)
    func aRowIsFoundByEachColumnOfItsKey(way: String) throws {
        let fixture = try fixture()
        for key in [Self.blue, Self.red, Self.playerKey("blue", 2)] {
            try fixture.apply([
                .put(Self.player, key + [.text("x"), .integer(1), .integer(1)])
            ])
        }
        try apply([.add(Self.player, Self.red, [(1, 3), (2, -3)])], way, to: fixture)
        let sums = try fixture.strings("SELECT score || ' ' || wins FROM player ORDER BY id, team")
        #expect(sums == ["1 1", "1 1", "4 -2"])
    }

    /// Changes of one commit, by their places in the test below, and the row after them.
    static let orders: [(what: String, places: [Int], row: String?)] = [
        ("put", [0, 1], "1 101"), ("delete", [2, 1], "1 6"), ("clear", [3, 1], "1 6"),
        ("add and put", [1, 0, 1], "1 101"), ("add and delete", [1, 2], nil),
        ("add and patch", [1, 4, 1], "1 8"), ("patch and add", [4, 1, 1], "1 9"),
    ]

    @Test(arguments: orders)
    func changesOfOneCommitCountInTheirOrder(
        what: String, places: [Int], row: String?
    ) throws {
        let fixture = try fixture()
        let key: [StoredValue] = [.integer(1)]
        let put = try Change.put(
            Self.counter, key + [.null, .integer(100), .null, .null])
        let keyBytes = put.key
        let patch = try RowCodec.encodePatch(
            [ColumnChange(column: 1, value: .integer(7))], Self.counter.schema)
        try fixture.apply([put])
        let changes: [Change] = try [
            put, .add(Self.counter, key, [(1, 1)]),
            Change(operation: .delete, table: 1, key: keyBytes, body: []), .clear(1),
            Change(operation: .patch, table: 1, key: keyBytes, body: patch),
        ]
        #expect(try fixture.applyInOrder([places.map { changes[$0] }]).isEmpty, "\(what)")
        let rows = try fixture.strings("SELECT id || ' ' || views FROM counter")
        #expect(rows == (row.map { [$0] } ?? []), "\(what)")
    }

    @Test func thousandsOfAddsFitIntoABatch() throws {
        let fixture = try fixture()
        let there = try (0..<3000).map { id in
            try Change.put(
                Self.counter, [.integer(2 * id), .integer(id), .integer(0), .null, .null])
        }
        try fixture.apply(there)
        try fixture.apply(
            (0..<6000).map { try .add(Self.counter, [.integer($0)], [(Int($0 % 3), $0)]) })
        let right = """
            SELECT count(*) FROM counter WHERE
            ifnull(likes, 0) = iif(id % 2, 0, id / 2) + iif(id % 3 = 0, id, 0)
            AND views = iif(id % 2, 5, 0) + iif(id % 3 = 1, id, 0)
            AND ifnull(both, -3) = -3 + iif(id % 3 = 2, id, 0)
            """
        #expect(try fixture.strings(right) == ["6000"])
    }

    /// The commit alone: all others are applied.
    @Test(arguments: [true, false])
    func aSumBeyond64BitsPutsItsCommitIntoQuarantine(isCounter: Bool) throws {
        let fixture = try fixture()
        let (table, name, column) =
            isCounter ? (Self.counter, "likes", 0) : (Self.player, "score", 1)
        let key: [StoredValue] = isCounter ? [.integer(1)] : Self.blue
        let row: [StoredValue] =
            isCounter
            ? [.integer(.max - 1), .integer(0), .null, .null]
            : [.text("x"), .integer(.max - 1), .integer(0)]
        try fixture.apply([.put(table, key + row)])
        let one = try Change.add(table, key, [(column, 1)])
        let many = try Change.add(table, key, [(column, 3)])
        #expect(refusal { try fixture.apply([many]) } == .constraint)
        fixture.sequence -= 1
        let refused = try fixture.applyInOrder([
            [one], [many], [.add(Self.counter, [.integer(7)], [(0, 1)])],
        ])
        #expect(refused.map(\.firstSequence) == [5])
        #expect(refused.first?.error.message.contains("64 bits") == true)
        let sum = "SELECT \(name) FROM \(table.schema.name) WHERE \(name) > 99"
        #expect(try fixture.strings(sum) == ["\(Int64.max)"])
        #expect(try fixture.strings("SELECT likes FROM counter WHERE id = 7") == ["1"])
        // Nothing else than the sum was the reason.
        #expect(try fixture.retry() == 0)
        try fixture.applyInOrder([[.put(table, key + row)]])
        #expect(fixture.sink.quarantineIsEmpty)
        try fixture.applyInOrder([[one]])
        #expect(try fixture.strings(sum) == ["\(Int64.max)"])
    }

    @Test func aBatchThatGoesBeyond64BitsAndBackFits() throws {
        let fixture = try fixture()
        try fixture.apply([
            .put(Self.counter, [.integer(1), .integer(.max), .integer(0), .null, .null])
        ])
        var batch: [UInt8] = []
        let (up, down) = (
            RowCodec.encodeAdd([ColumnAmount(column: 0, amount: .max)], makesRow: true),
            RowCodec.encodeAdd([ColumnAmount(column: 0, amount: .min)], makesRow: true)
        )
        try RowMerge.add(
            up.span, isAdd: true, down.span, isAdd: true,
            defaults: RowCodec.defaults(Self.counter.schema), into: &batch)
        let key = try KeyCodec.encode([.integer(1)], Self.counter.schema)
        try fixture.apply([Change(operation: .add, table: 1, key: key, body: batch)])
        #expect(try fixture.strings("SELECT likes FROM counter") == ["\(Int64.max - 1)"])
    }

    @Test(arguments: [1, 2, 100])
    func retryCountsEachAddOnce(atOnce: Int) throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", 10), .person(2, "Bo", 10)])
        try fixture.user(
            """
            CREATE TABLE small (id INTEGER);
            CREATE TRIGGER t BEFORE UPDATE ON person WHEN new.age > 12 AND NOT EXISTS (SELECT * FROM small)
            BEGIN SELECT RAISE(ABORT, 'too old'); END
            """)
        // The last one would fit, but has to follow.
        let refused = try fixture.applyInOrder([
            [.add(1, 2)], [.add(1, 1), .add(2, 1)], [.add(1, -5)], [.add(2, 1)], [.add(3, 1)],
        ])
        #expect(refused.map(\.firstSequence) == [5])
        #expect(try fixture.quarantined().count == 3)
        let ages = "SELECT age FROM person ORDER BY id"
        #expect(try fixture.strings(ages) == ["12", "10", "8"])
        #expect(try fixture.retry(atOnce: atOnce) == 0)
        #expect(try fixture.strings(ages) == ["12", "10", "8"])
        try fixture.user("INSERT INTO small VALUES (1)")
        #expect(try fixture.retry(atOnce: atOnce) == 3)
        #expect(try fixture.strings(ages) == ["8", "12", "8"])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try fixture.retry(atOnce: atOnce) == 0)
        #expect(try fixture.strings(ages) == ["8", "12", "8"])
    }

    /// It depends on what the row was before.
    @Test func anAddSettlesNothingUnlessItsCommitPutsTheRowBefore() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE UNIQUE INDEX unique_name ON person (name)")
        try fixture.apply([.person(1, "Ann")])
        try fixture.applyInOrder([[.person(2, "Ann")], [.add(2, 1)]])
        #expect(try fixture.quarantined().count == 2)
        try fixture.applyInOrder([[.add(2, 1), .person(2, "Bo")]])
        #expect(try fixture.quarantined().count == 3)
        try fixture.applyInOrder([[.person(2, "Bo", 20), .add(2, 1)]])
        #expect(fixture.sink.quarantineIsEmpty)
        #expect(try fixture.strings("SELECT age FROM person") == ["1", "21"])
    }

    @Test func aUsersTriggerSeesTheRowBeforeAndAfter() throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TABLE audit (what TEXT);
            CREATE TRIGGER u AFTER UPDATE ON person
            BEGIN INSERT INTO audit VALUES (old.age || ' ' || new.age || ' ' || new.name); END;
            CREATE TRIGGER i AFTER INSERT ON person BEGIN INSERT INTO audit VALUES (new.age); END
            """)
        try fixture.apply([.person(1, "Ann", 10)])
        try fixture.apply([.add(1, 5), .add(2, 5)])
        #expect(try fixture.strings("SELECT what FROM audit") == ["10", "10 15 Ann", "12"])
    }

    /// Somebody has written it into the database. A table that is not `STRICT` lets them.
    @Test(arguments: ["'many'", "x'00ff'", "1.5", "9e99"])
    func whatIsNoIntegerPutsAnAddIntoQuarantine(value: String) throws {
        let fixture = try fixture()
        try fixture.apply([
            .put(Self.player, Self.blue + [.text("x"), .integer(1), .integer(1)])
        ])
        try fixture.user("UPDATE player SET score = \(value)")
        // Another column's sum does not need it.
        try fixture.apply([.add(Self.player, Self.blue, [(2, 1)])])
        let refused = try fixture.applyInOrder([[.add(Self.player, Self.blue, [(1, 1)])]])
        #expect(refused.map(\.error.kind) == [.constraint])
        try fixture.user("UPDATE player SET score = '7'")
        #expect(try fixture.retry() == 1)
        #expect(try fixture.strings("SELECT score || ' ' || wins FROM player") == ["8 2"])
    }

    @Test func anAmountForAColumnThatIsDroppedChangesNothing() throws {
        let fixture = try fixture()
        try fixture.apply([
            .put(Self.counter, [.integer(1), .integer(10), .integer(20), .null, .text("Ann")])
        ])
        let add = try Change.add(Self.counter, [.integer(1)], [(0, 1), (1, 1)])
        let other = try Change.add(Self.counter, [.integer(2)], [(0, 1)])
        var columns = Self.counter.schema.columns
        columns[1] = columns[1].dropped
        let dropped = TableDefinition(id: 1, schema: TableSchema("counter", columns))
        try fixture.sink.define(dropped, through: fixture.next())
        try fixture.apply([add, other])
        #expect(
            try counters(fixture) == [
                ["id": 1, "views": 21, "both": nil, "name": "Ann"],
                ["id": 2, "views": 5, "both": -3, "name": nil],
            ])
    }

    /// It was refused before its column became one of reals, or another one.
    @Test func anAmountFromBeforeItsColumnHeldRealsIsAddedToTheReal() throws {
        let fixture = try fixture()
        try fixture.apply([
            .put(Self.counter, [.integer(1), .integer(10), .integer(20), .null, .text("Ann")])
        ])
        let add = try Change.add(Self.counter, [.integer(1)], [(0, 1), (1, 1)])
        var columns = Self.counter.schema.columns
        let real = ColumnSchema.column("likes", .real, nullable: true)
        columns[1] = columns[1].declared(as: real, keepsDefault: true)
        let wider = TableDefinition(id: 1, schema: TableSchema("counter", columns))
        try fixture.sink.define(wider, through: fixture.next())
        try fixture.apply([add])
        try fixture.user("UPDATE counter SET likes = likes + 0.25")
        try fixture.apply([add, .add(Self.counter, [.integer(2)], [(0, 3)])])
        #expect(try fixture.strings("SELECT likes FROM counter") == ["12.25", "3.0"])
    }

    @Test func malformedAddsChangeNothing() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", 10)])
        let whole = try Change.add(1, 300)
        var bodies = (0..<whole.body.count).map { Array(whole.body[..<$0]) }
        bodies += [[9, 1, 1, 5, 2], [1, 1, 1, 7, 2], [1, 1, 9, 5, 2], [1, 2, 1, 5, 2, 1, 5, 2]]
        bodies.append([1, 1, 0, 5, 2])  // a name is no integer
        bodies.append([1, 1, 1, 5] + [UInt8](repeating: 0xFF, count: 18) + [3])
        bodies.append([1, 1, 1, 5] + [UInt8](repeating: 0xFF, count: 18) + [4])
        for body in bodies {
            var change = whole
            change.body = body
            let kind = refusal { try fixture.apply([change]) }
            #expect(kind == .constraint || kind == .corrupt, "\(body)")
        }
        #expect(try fixture.strings("SELECT age FROM person") == ["10"])
    }
}
