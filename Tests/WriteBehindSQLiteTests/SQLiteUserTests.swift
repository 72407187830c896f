import EventLog
import Foundation
import GRDB
import Synchronization
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// Users' objects in the database, allowed and refused.
@Suite struct SQLiteUserTests {
    @Test func aTriggerIntoTheUsersOwnTableWorks() throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TABLE audit (id INTEGER, name TEXT);
            CREATE TRIGGER t AFTER UPDATE OF name ON person
            BEGIN INSERT INTO audit VALUES (new.id, old.name); END
            """)
        try fixture.apply([.person(1, "Ann")])
        try fixture.apply([.person(1, "Anna")])
        #expect(try fixture.strings("SELECT name FROM audit") == ["Ann"])
    }

    @Test(arguments: [
        "AFTER INSERT ON person BEGIN DELETE FROM visit; END",
        "AFTER UPDATE OF age ON person BEGIN UPDATE visit SET until = 1; END",
        "AFTER DELETE ON person BEGIN INSERT INTO visit VALUES ('x', 1, 1, 1); END",
        "AFTER INSERT ON person BEGIN UPDATE person SET age = 1 WHERE id = new.id; END",
        "AFTER INSERT ON visit BEGIN DELETE FROM _writebehind_quarantine; END",
        "BEFORE DELETE ON own BEGIN DELETE FROM VISIT; END",
    ])
    func aTriggerIntoAStoreTableIsRefused(trigger: String) throws {
        let fixture = try SinkFixture()
        // The last case is reached in two steps: person's trigger writes own, own's writes visit.
        try fixture.user(
            """
            CREATE TABLE own (id INTEGER);
            CREATE TRIGGER first AFTER DELETE ON person BEGIN DELETE FROM own; END;
            CREATE TRIGGER "the culprit" \(trigger)
            """)
        let change = try [Change.person(1, "Ann")]
        let running = #expect(throws: SinkError.self) { try fixture.apply(change) }
        #expect(running?.kind == .schema)
        #expect(running?.message.contains("\"the culprit\"") == true)
        try fixture.sink.close()
        let opening = #expect(throws: SinkError.self) { _ = try SinkFixture.open(fixture.path) }
        #expect(opening?.kind == .schema)
        try fixture.user("DROP TRIGGER \"the culprit\"")
        try SinkFixture.open(fixture.path).close()
    }

    @Test func aDefinitionThatATriggerAlreadyWritesIsRefused() throws {
        let fixture = try SinkFixture(tables: [SinkFixture.person])
        try fixture.user(
            """
            CREATE TRIGGER t AFTER INSERT ON person
            BEGIN INSERT INTO visit (day, number) VALUES ('x', new.id); END
            """)
        #expect(
            refusal { try fixture.sink.define(SinkFixture.visit, through: fixture.next()) }
                == .schema)
    }

    @Test func usersIndicesAndViewsStay() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE INDEX by_age ON person (age); CREATE VIEW v AS SELECT 1 AS one")
        try fixture.apply([.person(1, "Ann")])
        var columns = SinkFixture.person.schema.columns
        columns.append(.column("city", .text, default: .text("Ulm")))
        let wider = TableDefinition(id: 1, schema: TableSchema("person", columns))
        try fixture.sink.define(wider, through: fixture.next())
        #expect(try fixture.strings("SELECT city FROM person") == ["Ulm"])
        try fixture.apply([.person(2, "Bo")])
        #expect(try fixture.strings("SELECT city FROM person WHERE id = 2") == ["Ulm"])
        let names = "SELECT name FROM sqlite_master WHERE name IN ('by_age', 'v')"
        #expect(try fixture.strings(names) == ["by_age", "v"])
        try fixture.sink.define(wider, through: fixture.next())
        #expect(fixture.sink.tables == [wider, SinkFixture.visit])
    }

    @Test func anIncompatibleDefinitionIsRefused() throws {
        let fixture = try SinkFixture()
        let other = TableDefinition(
            id: 1,
            schema: TableSchema(
                "person", [.key("id", .integer), .column("name", .integer, nullable: true)]))
        #expect(
            refusal { try fixture.sink.define(other, through: fixture.next()) } == .schema)
        #expect(try fixture.sink.watermark().sequence == 2)
    }

    @Test func aDroppedTableIsNamed() throws {
        let fixture = try SinkFixture()
        try fixture.user("DROP TABLE person")
        let change = try [Change.person(1, "Ann")]
        let error = #expect(throws: SinkError.self) { try fixture.apply(change) }
        #expect(error?.kind == .schema)
        #expect(error?.message.contains("person") == true)
    }

    struct Person: Codable, FetchableRecord, PersistableRecord, Equatable {
        static let databaseTableName = "person"
        var id: Int64
        var name: String?
        var age: Int
    }

    @Test func usersRecordsDecodeRows() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann", 30), .person(2, nil, 4)])
        let people = try fixture.sink.reader.read { try Person.order(sql: "id").fetchAll($0) }
        #expect(people == [Person(id: 1, name: "Ann", age: 30), Person(id: 2, name: nil, age: 4)])
    }

    @Test func theReaderCannotWriteOrClose() throws {
        let fixture = try SinkFixture()
        let reader = fixture.sink.reader
        #expect(!(reader is any DatabaseWriter))
        for sql in ["DELETE FROM person", "PRAGMA query_only = OFF; DELETE FROM person"] {
            #expect(throws: DatabaseError.self) { try reader.read { try $0.execute(sql: sql) } }
            #expect(throws: DatabaseError.self) {
                try reader.unsafeRead { try $0.execute(sql: sql) }
            }
        }
        #expect(throws: DatabaseError.self) { try reader.close() }
        try fixture.apply([.person(1, "Ann")])
        #expect(try fixture.strings("SELECT name FROM person") == ["Ann"])
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["person", "audit", "\"lo\"\"g\""])
    func observationsSeeWhatIsApplied(table: String) async throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TABLE audit (id INTEGER);
            CREATE TABLE "lo""g" (id INTEGER PRIMARY KEY);
            CREATE TRIGGER t AFTER INSERT ON person BEGIN
              INSERT INTO audit VALUES (new.id);
              INSERT INTO "lo""g" VALUES (new.id);
            END
            """)
        let observation = ValueObservation.tracking { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)") ?? -1
        }
        var expected = 0
        for try await count in observation.values(in: fixture.sink.reader) where count == expected {
            if expected == 3 { break }
            expected += 1
            if expected == 2 {
                try fixture.applyInOrder([[.person(Int64(expected), "x")]])
            } else {
                try fixture.apply([.person(Int64(expected), "x")])
            }
        }
        #expect(expected == 3)
    }

    /// Each definition has all tables looked at where there is a trigger; a store may have thousands.
    @Test func whereThereIsNoTriggerADefinitionLooksAtNoOtherTable() throws {
        func secondsToDefine(_ fixture: SinkFixture) throws -> Duration {
            try ContinuousClock().measure {
                for id in 3...UInt32(150) {
                    let schema = TableSchema("table\(id)", [.key("id", .integer)])
                    let table = TableDefinition(id: id, schema: schema)
                    try fixture.sink.define(table, through: fixture.next())
                }
            }
        }
        let (without, with) = (try SinkFixture(), try SinkFixture())
        try with.user(
            """
            CREATE TABLE own (id INTEGER);
            CREATE TRIGGER t AFTER DELETE ON person BEGIN DELETE FROM own; END
            """)
        #expect(try secondsToDefine(without) * 2 < secondsToDefine(with))
    }
}
