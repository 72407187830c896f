import EventLog
import GRDB
import Testing
import WriteBehindCore
import WriteBehindSQLite

@Suite struct SQLiteForeignKeyTests {
    /// A database whose user made visits refer to people.
    private func referring(_ actions: String = "") throws -> SinkFixture {
        let fixture = try SinkFixture()
        try fixture.sink.close()
        try fixture.user(
            """
            PRAGMA foreign_keys = OFF;
            DROP TABLE visit;
            CREATE TABLE visit (
              day TEXT NOT NULL, number INTEGER NOT NULL,
              person INTEGER REFERENCES person (id) \(actions), until INTEGER,
              PRIMARY KEY (day, number)) STRICT, WITHOUT ROWID;
            """)
        return fixture
    }

    @Test func parentAndChildMayComeInAnyOrderWithinABatch() throws {
        let fixture = try referring()
        let sink = try SinkFixture.open(fixture.path)
        let changes = try [Change.visit("mon", 1, person: 5), .person(5, "Flo")]
        let first = TestBatch(through: fixture.at(3), changes: changes)
        try sink.apply(first)
        let dangling = try [Change.visit("tue", 1, person: 6)]
        let second = TestBatch(through: fixture.at(4), changes: dangling)
        #expect(refusal { try sink.apply(second) } == .constraint)
        #expect(try sink.watermark() == fixture.at(3))
        let gone = TestBatch(through: fixture.at(4), changes: [try .delete(5)])
        #expect(refusal { try sink.apply(gone) } == .constraint)
        try sink.close()
    }

    @Test func aCommitThatLeavesAForeignKeyDanglingIsQuarantined() throws {
        let fixture = try referring()
        let sink = try SinkFixture.open(fixture.path)
        let commits = try [
            fixture.commit([.visit("mon", 1, person: 5), .person(5, "Flo")]),  // 3: whole
            fixture.commit([.visit("tue", 1, person: 6)]),  // 5: dangles
            fixture.commit([.person(1, "Ann")]),  // 6
            fixture.commit([.delete(5)]),  // 7: leaves a visit dangling
            fixture.commit([.person(6, "Gus")]),  // 8
        ]
        let refused = try sink.applyInOrder(commits, through: fixture.at(8)).added
        #expect(refused.map(\.firstSequence) == [5, 7])
        #expect(refused.map(\.error.code) == [787, 787])
        var pass = RetryPass()
        _ = try sink.retry(commits, in: &pass, isLast: true)
        #expect(pass.applied == 1)
        #expect(sink.quarantine.all.map(\.firstSequence) == [7])
        try sink.close()
    }

    @Test(arguments: [
        "ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE CASCADE", "ON DELETE SET DEFAULT",
    ])
    func foreignKeyActionsOnStoreTablesAreRefused(actions: String) throws {
        let fixture = try referring(actions)
        let error = #expect(throws: SinkError.self) { _ = try SinkFixture.open(fixture.path) }
        #expect(error?.kind == .schema)
        #expect(error?.message.contains("\"visit\"") == true)
        #expect(error?.message.contains("\"person\"") == true)
    }

    @Test(arguments: ["ON DELETE RESTRICT", "ON UPDATE NO ACTION"])
    func foreignKeysThatOnlyRefuseAreWelcome(actions: String) throws {
        let fixture = try referring(actions)
        try SinkFixture.open(fixture.path).close()
    }

    @Test func aUsersOwnTableMayCascade() throws {
        let fixture = try SinkFixture()
        try fixture.user(
            """
            CREATE TABLE note (person INTEGER REFERENCES person (id) ON DELETE CASCADE, text TEXT)
            """)
        try fixture.apply([.person(1, "Ann")])
        try fixture.user("PRAGMA foreign_keys = ON; INSERT INTO note VALUES (1, 'hello')")
        try fixture.apply([.delete(1)])
        #expect(try fixture.strings("SELECT text FROM note").isEmpty)
    }
}
