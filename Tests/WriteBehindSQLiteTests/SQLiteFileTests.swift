import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// The database as a file: locked, read-only, moved, of another store, put aside.
@Suite struct SQLiteFileTests {
    @Test func aNewDatabaseIsTheOwnersOnly() throws {
        let fixture = try SinkFixture()
        let attributes = try FileManager.default.attributesOfItem(atPath: fixture.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try fixture.strings("PRAGMA journal_mode") == ["wal"])
    }

    @Test func aLockHeldByAnotherIsBusyAndNothingIsHalfDone() throws {
        let fixture = try SinkFixture()
        let changes = try [Change.person(1, "Ann")]
        let batch = TestBatch(through: fixture.at(3), changes: changes)
        let other = try DatabaseQueue(path: fixture.path)
        try other.write { db in
            try db.execute(sql: "CREATE TABLE other (id)")
            #expect(refusal { try fixture.sink.apply(batch) } == .busy)
        }
        #expect(try fixture.sink.watermark() == fixture.at(2))
        try fixture.sink.apply(batch)
        #expect(try fixture.strings("SELECT name FROM person") == ["Ann"])
        try other.close()
    }

    @Test func aWatermarkThatSomebodyElseMovedIsNoticed() throws {
        let fixture = try SinkFixture()
        try fixture.user("UPDATE _writebehind_watermark SET sequence = 77")
        let changes = try [Change.person(1, "Ann")]
        #expect(refusal { try fixture.apply(changes) } == .gone)
        #expect(try fixture.strings("SELECT name FROM person").isEmpty)
    }

    @Test(arguments: [true, false])
    func aDatabaseOfAnotherStoreIsRefusedUntouched(isAStores: Bool) throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        try fixture.sink.close()
        if !isAStores { try fixture.user("DROP TABLE _writebehind_watermark") }
        let before = try Data(contentsOf: URL(fileURLWithPath: fixture.path))
        let otherID = [UInt8](repeating: isAStores ? 9 : 0, count: 16)
        let kind = refusal { _ = try SinkFixture.open(fixture.path, storeID: otherID) }
        #expect(kind == .foreignDatabase)
        #expect(try Data(contentsOf: URL(fileURLWithPath: fixture.path)) == before)
    }

    /// SQLite opens it by a name, which may mean something else for a moment.
    @Test(arguments: [1, 2], ["another database", "nothing"])
    func aDatabaseThatIsReplacedWhileItIsOpenedIsNotWritten(opening: Int, by what: String) throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        try fixture.sink.close()
        let file = URL(fileURLWithPath: fixture.path)
        let aside = URL(fileURLWithPath: fixture.path + ".aside")
        let before = try Data(contentsOf: file)
        // It is asked how long the file is. Then two connections are opened, and after each the fence is asked twice.
        let calls = Locked(0)
        let disk = FailingDisk(PosixDisk()) {
            guard
                calls.withLock({
                    $0 += 1
                    return $0
                }) == 2 * opening
            else { return }
            try? FileManager.default.moveItem(at: file, to: aside)
            if what == "another database" { try? before.write(to: file) }
        }
        let kind = refusal { _ = try SinkFixture.open(fixture.path, disk: disk) }
        #expect(kind == .gone)
        #expect(try Data(contentsOf: aside) == before)
        if what == "another database" { #expect(try Data(contentsOf: file) == before) }
    }

    @Test func whatIsNoDatabaseIsCorrupt() throws {
        let fixture = try SinkFixture()
        try fixture.sink.close()
        let noise = Data(repeating: 0x5A, count: 8_192)
        try noise.write(to: URL(fileURLWithPath: fixture.path))
        #expect(refusal { _ = try SinkFixture.open(fixture.path) } == .corrupt)
    }

    /// A new database becomes one with a WAL through a rollback journal. A kill just then leaves a
    /// journal that only a connection that may write can roll back.
    @Test func aKillWhileTheDatabaseIsMadeIsRolledBackByOpening() throws {
        let fixture = try SinkFixture()
        try fixture.sink.close()
        let path = fixture.path + ".killed"
        let page = try Data(contentsOf: URL(fileURLWithPath: fixture.path)).prefix(4096)
        // No page is saved in it yet, and the file was empty before.
        var journal = Data([0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7])
        for field in [0, 1, 0, 512, 4096] as [UInt32] {
            withUnsafeBytes(of: field.bigEndian) { journal.append(contentsOf: $0) }
        }
        journal.append(Data(repeating: 0, count: 512 - journal.count))
        try page.write(to: URL(fileURLWithPath: path))
        try journal.write(to: URL(fileURLWithPath: path + "-journal"))
        let sink = try SinkFixture.open(path)
        #expect(try sink.watermark() == SinkFixture.origin)
        try sink.close()
        #expect(!FileManager.default.fileExists(atPath: path + "-journal"))
    }

    @Test(arguments: ["remove", "rename"])
    func aFileTakenAwayIsNoticedBeforeTheNextCommit(how: String) throws {
        let fixture = try SinkFixture()
        if how == "remove" {
            try FileManager.default.removeItem(atPath: fixture.path)
        } else {
            try FileManager.default.moveItem(atPath: fixture.path, toPath: fixture.path + ".old")
        }
        let changes = try [Change.person(1, "Ann")]
        #expect(refusal { try fixture.apply(changes) } == .gone)
    }

    @Test(.enabled(if: WriteProtection.isPossible, "root writes to any file here"))
    func aDatabaseThatMayNotBeWrittenIsReadOnly() throws {
        let fixture = try SinkFixture()
        try fixture.sink.close()
        try WriteProtection.set(fixture.path, true)
        defer { try? WriteProtection.set(fixture.path, false) }
        #expect(refusal { try SinkFixture.open(fixture.path).close() } == .readOnly)
    }

    @Test(arguments: [
        (5, SinkError.Kind.busy), (261, .busy), (517, .busy), (6, .busy), (9, .busy),
        (13, .diskFull), (10, .io), (1_034, .io), (7, .io), (8, .readOnly), (1_032, .gone),
        (3, .readOnly), (11, .corrupt), (26, .corrupt), (19, .constraint), (787, .constraint),
        (2_067, .constraint), (3_091, .constraint), (18, .constraint), (1, .schema),
        (14, .gone), (21, .gone), (267, .constraint), (523, .constraint), (779, .corrupt),
        (518, .constraint), (262, .busy), (513, .busy), (769, .busy), (257, .schema),
        (270, .io), (526, .gone), (1_294, .gone), (264, .readOnly), (776, .readOnly),
        (2_323, .constraint), (1_811, .constraint), (3_082, .io), (4_874, .io), (6_410, .io),
        (516, .busy), (773, .busy), (279, .readOnly),
    ])
    func resultCodesHaveTheirKind(code: Int, kind: SinkError.Kind) {
        #expect(SinkError(code: Int32(code), "x").kind == kind)
    }

    @Test func aClosedSinkIsGone() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        try fixture.sink.close()
        try fixture.sink.close()
        let changes = try [Change.person(1, "Ann")]
        #expect(refusal { try fixture.apply(changes) } == .gone)
        #expect(refusal { _ = try fixture.sink.watermark() } == .gone)
        #expect(refusal { _ = try fixture.sink.checkpoint() } == .gone)
        let key = try SinkFixture.key(1)
        #expect(refusal { _ = try fixture.sink.read(1, key: key.span) } == .gone)
        #expect(!FileManager.default.fileExists(atPath: fixture.path + "-wal"))
    }

    @Test func checkpointEmptiesTheWALUnlessSomebodyReadsIt() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        #expect(try fixture.sink.checkpoint() == fixture.at(3))
        let wal = try FileManager.default.attributesOfItem(atPath: fixture.path + "-wal")
        #expect(wal[.size] as? Int == 0)
        let other = try DatabaseQueue(path: fixture.path)
        try other.read { db in
            _ = try Row.fetchAll(db, sql: "SELECT * FROM person")
            try fixture.apply([.person(2, "Bo")])
            #expect(try fixture.sink.checkpoint() == fixture.at(4))
        }
        try other.close()
        let reopened = try SinkFixture.open(fixture.path)
        #expect(try reopened.watermark() == fixture.at(4))
        try reopened.close()
    }

    @Test func setAsideKeepsTheDatabaseAndWhatItsUsersMade() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        try fixture.user(
            """
            CREATE TABLE audit (id INTEGER);
            CREATE INDEX by_age ON person (age);
            CREATE VIEW old AS SELECT * FROM person WHERE age > 60;
            CREATE TRIGGER into_audit AFTER INSERT ON person
            BEGIN INSERT INTO audit VALUES (new.id); END;
            CREATE TRIGGER harmless AFTER INSERT ON person BEGIN SELECT 1; END;
            """)
        try fixture.sink.close()
        try fixture.user(
            "CREATE TRIGGER bad AFTER INSERT ON person BEGIN DELETE FROM visit; END")
        let aside = try SQLiteSink.putAside(
            path: fixture.path, reason: "history-3", into: fixture.path + "-aside",
            disk: PosixDisk())
        #expect(
            aside.path.hasPrefix(fixture.path + "-aside/") && aside.path.hasSuffix(".history-3"))
        #expect(aside.problem == nil)
        #expect(aside.statements.count == 6 && aside.tables == ["audit"])
        let old = try DatabaseQueue(path: aside.path)
        #expect(try old.read { try String.fetchAll($0, sql: "SELECT name FROM person") } == ["Ann"])
        try old.close()

        let rebuilt = try SinkFixture.open(fixture.path)
        #expect(try rebuilt.watermark() == SinkFixture.origin)
        #expect(try rebuilt.aside() == aside)
        try rebuilt.define(SinkFixture.person, through: fixture.at(1))
        try rebuilt.define(SinkFixture.visit, through: fixture.at(2))
        let failures = try rebuilt.carryOver()
        #expect(failures.map { $0.statement.contains("bad") } == [true])
        #expect(try rebuilt.aside()?.statements == failures.map(\.statement))
        let changes = try [Change.person(1, "Ann", 61)]
        try rebuilt.apply(TestBatch(through: fixture.at(3), changes: changes))
        #expect(try rebuilt.reader.read { try Int.fetchOne($0, sql: "SELECT id FROM old") } == 1)
        try rebuilt.close()
        let again = try SQLiteSink.putAside(
            path: fixture.path, reason: "history-3", into: fixture.path + "-aside",
            disk: PosixDisk())
        #expect(again.path == aside.path + ".2")
    }

    @Test func whatUsersMadeIsKeptWhileTheNewDatabaseTakesNothing() throws {
        let fixture = try SinkFixture()
        try fixture.user("CREATE INDEX by_person ON visit (person)")
        try fixture.sink.close()
        _ = try SQLiteSink.putAside(
            path: fixture.path, reason: "damaged", into: fixture.path + "-aside",
            disk: PosixDisk())
        let rebuilt = try SinkFixture.open(fixture.path)
        try rebuilt.define(SinkFixture.person, through: fixture.at(1))
        let other = try DatabaseQueue(path: fixture.path)
        try other.inTransaction(.immediate) { _ in
            #expect(throws: SinkError.self) { try rebuilt.carryOver() }
            return .rollback
        }
        #expect(try rebuilt.aside()?.statements.count == 1)
        try rebuilt.define(SinkFixture.visit, through: fixture.at(2))
        #expect(try rebuilt.carryOver().isEmpty)
        #expect(try rebuilt.aside() == nil)
        try other.close()
        try rebuilt.close()
    }
}
