import EventLog
import Foundation
import GRDB
import Testing
import WriteBehindCore

/// Users' virtual tables, kept up to date by triggers, which have troubles of their own.
@Suite struct SQLiteVirtualTableTests {
    /// A full-text index that never heard of the rows there were, so that taking one out of it fails.
    private static let text = """
        CREATE VIRTUAL TABLE search USING fts5(name, content='person', content_rowid='id');
        CREATE TRIGGER person_search AFTER UPDATE ON person BEGIN
          INSERT INTO search(search, rowid, name) VALUES ('delete', old.id, old.name);
          INSERT INTO search(rowid, name) VALUES (new.id, new.name);
        END;
        """
    /// Boxes whose left side is right of their right one if a person is older than 100.
    private static let box = """
        CREATE VIRTUAL TABLE box USING rtree(id, low, high);
        CREATE TRIGGER person_box AFTER UPDATE ON person BEGIN
          INSERT OR REPLACE INTO box VALUES (new.id, new.age, 100);
        END;
        """
    /// The index's own table was emptied beneath it.
    private static let emptied = """
        CREATE VIRTUAL TABLE area USING rtree(id, low, high);
        INSERT INTO area VALUES (1, 1, 2);
        DELETE FROM area_node;
        CREATE TRIGGER person_area AFTER UPDATE ON person BEGIN
          INSERT OR REPLACE INTO area VALUES (new.id, 1, 2);
        END;
        """

    @Test(arguments: [text, box, emptied])
    func whatAUsersIndexRefusesIsThatCommitsAlone(sql: String) throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann"), .person(2, "Bob")])
        try fixture.user(sql)
        let change = try Change.person(1, "Eve", 200)
        #expect(refusal { try fixture.apply([change]) } == .constraint)
        fixture.sequence -= 1
        let refused = try fixture.applyInOrder([[change], [.visit("Monday", 1, person: nil)]])
        #expect(refused.map(\.firstSequence) == [fixture.sequence - 1])
        #expect(try fixture.strings("SELECT day FROM visit") == ["Monday"])
        #expect(refused.first?.error.callsForReplacement == false)
        #expect(
            try fixture.strings("SELECT name FROM person ORDER BY id") == ["Ann", "Bob"])
    }
}
