import EventLog
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// Adds in a database: amounts become values there.
@Suite struct AddedRowTests {
    /// Its add makes no row.
    private static let poll = TableDefinition(
        id: 3,
        schema: TableSchema(
            "poll",
            [
                .key("day", .text), .key("number", .integer), .column("title", .text),
                .column("votes", .integer, nullable: true),
            ]))
    /// It is not STRICT, because of the logical type.
    private static let loose = TableDefinition(
        id: 4,
        schema: TableSchema(
            "loose",
            [
                .key("id", .integer), .column("open", .integer, as: .boolean, default: .integer(1)),
                .column("n", .integer, default: .integer(0)),
            ]))

    private func add(
        _ id: Int64, _ amounts: [Int: Int64], makesRow: Bool = true, table: UInt32 = 1
    ) throws -> Change {
        Change(
            operation: .add, table: table, key: try SinkFixture.key(id),
            body: RowCodec.encodeAdd(
                amounts.sorted { $0.key < $1.key }.map {
                    ColumnAmount(column: $0.key, amount: $0.value)
                }, makesRow: makesRow))
    }

    private func ages(_ fixture: SinkFixture) throws -> [String] {
        try fixture.strings("SELECT id || ' ' || age FROM person ORDER BY id")
    }

    @Test(arguments: [true, false])
    func amountsAreAddedToWhatIsThere(inOrder: Bool) throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", 5), .person(2, "Bo", 5)])
        let changes = try [add(1, [1: 3]), add(2, [1: -9]), add(3, [1: 1])]
        if inOrder {
            try fixture.applyInOrder(changes.map { [$0] } + [[try add(1, [1: 100])]])
        } else {
            try fixture.apply(changes)
            try fixture.apply([add(1, [1: 100])])
        }
        #expect(try ages(fixture) == ["1 108", "2 -4", "3 8"])
        #expect(try fixture.strings("SELECT name FROM person WHERE id = 1") == ["Ann"])
    }

    @Test func aNullCountsAsZeroAndARowThatIsNotMadeIsNotThere() throws {
        let fixture = try SinkFixture(tables: [Self.poll])
        func change(_ day: String, _ amount: Int64) throws -> Change {
            let key = try KeyCodec.encode([.text(day), .integer(1)], Self.poll.schema)
            return Change(
                operation: .add, table: 3, key: key,
                body: RowCodec.encodeAdd(
                    [ColumnAmount(column: 1, amount: amount)], makesRow: false))
        }
        try fixture.apply([
            .put(Self.poll, [.text("mon"), .integer(1), .text("?"), .null])
        ])
        try fixture.apply([change("mon", 4), change("tue", 4)])
        #expect(try fixture.rows("SELECT day, votes FROM poll") == [["day": "mon", "votes": 4]])
    }

    /// SQLite itself would make a real of it.
    @Test func aSumThatExceeds64BitsIsRefusedAndLaterOnesFollow() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", .max), .person(2, "Bo", 1)])
        #expect(refusal { try fixture.apply([add(1, [1: 1])]) } == .constraint)
        fixture.sequence = 4
        let refused = try fixture.applyInOrder([
            [add(1, [1: 1])], [add(2, [1: 1])], [add(1, [1: -5])],
        ])
        #expect(refused.map(\.firstSequence) == [5])
        #expect(try ages(fixture) == ["1 \(Int64.max)", "2 2"])
        #expect(try fixture.quarantined() == [5, 7])
        // Both orders end within 64 bits only if the database had less before.
        try fixture.user("UPDATE person SET age = 10 WHERE id = 1")
        #expect(try fixture.retry() == 2)
        #expect(try ages(fixture) == ["1 6", "2 2"])
    }

    @Test func aTextInAnIntegerColumnIsAReasonForQuarantineAndNoTrap() throws {
        let fixture = try SinkFixture(tables: [Self.loose])
        try fixture.apply([add(1, [1: 5], table: 4)])
        #expect(try fixture.rows("SELECT * FROM loose") == [["id": 1, "open": 1, "n": 5]])
        try fixture.user("UPDATE loose SET n = 'many'")
        let refused = try fixture.applyInOrder([[add(1, [1: 1], table: 4)]])
        #expect(refused.count == 1)
        #expect(refused.first?.error.message.contains("no number") == true)
    }

    /// What is applied twice would count twice.
    @Test func aRetryInAnOlderDatabaseIsRefused() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", 1)])
        try fixture.user("CREATE UNIQUE INDEX one ON person (age)")
        try fixture.apply([.person(2, "Bo", 2)])
        let refused = try fixture.applyInOrder([[add(1, [1: 1])]])
        #expect(refused.count == 1)
        try fixture.user(
            """
            DROP INDEX one; UPDATE _writebehind_watermark SET sequence = sequence - 1
            """)
        #expect(refusal { try fixture.retry() } == .gone)
        #expect(try ages(fixture) == ["1 1", "2 2"])
    }

    @Test func aTriggerSeesTheSums() throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TABLE audit (was, is_now);
            CREATE TRIGGER t AFTER UPDATE ON person
            BEGIN INSERT INTO audit VALUES (old.age, new.age); END
            """)
        try fixture.apply([.person(1, "Ann", 5)])
        try fixture.apply([add(1, [1: 3])])
        #expect(try fixture.strings("SELECT was || ' ' || is_now FROM audit") == ["5 8"])
    }
}
