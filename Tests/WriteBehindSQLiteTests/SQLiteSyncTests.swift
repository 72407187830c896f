import EventLog
import GRDB
import Synchronization
import Testing
import WriteBehindCore
import WriteBehindSQLite

/// A checkpoint's answer to fsync.
@Suite(.serialized) struct SQLiteSyncTests {
    private func spied() throws -> (fixture: SinkFixture, name: String) {
        // SQLite writes no page, and syncs nothing, for a commit that changes no byte, not even the time.
        let time = Atomic<Int64>(1_700_000_000_000_000)
        let fixture = try SyncSpy.opening {
            try SinkFixture(now: { time.add(1, ordering: .relaxed).newValue })
        }
        return (fixture, String(try #require(fixture.path.split(separator: "/").dropLast().last)))
    }

    /// After a failed fsync the kernel may say that all is well, though it has dropped what it could not write.
    @Test func afterACheckpointThatFailedNoneSucceedsUntilReopening() throws {
        let (fixture, name) = try spied()
        try fixture.apply([.person(1, "Ann")])
        let first = refusal {
            try SyncSpy.failing(name + "/database.sqlite") { _ = try fixture.sink.checkpoint() }
        }
        #expect(first == .io)
        #expect(refusal { _ = try fixture.sink.checkpoint() } == .io)
        try fixture.apply([.person(2, "Bo")])
        #expect(refusal { _ = try fixture.sink.checkpoint() } == .io)
        try fixture.sink.close()
        let reopened = try SinkFixture.open(fixture.path)
        #expect(try reopened.checkpoint() == fixture.at(4))
        try reopened.close()
    }

    /// By a reader, that is: then nothing reaches the database's own file.
    @Test func aCheckpointThatIsHeldUpSyncsTheWAL() throws {
        let (fixture, name) = try spied()
        try fixture.apply([.person(1, "Ann")])
        _ = try fixture.sink.checkpoint()
        let other = try DatabaseQueue(path: fixture.path)
        try other.read { db in
            _ = try Row.fetchAll(db, sql: "SELECT * FROM person")
            try fixture.apply([.person(2, "Bo")])
            SyncSpy.countSyncs(ofTheWALOf: name + "/database.sqlite")
            let before = SyncSpy.count
            try fixture.apply([.person(3, "Cy")])
            #expect(SyncSpy.count == before, "applying alone syncs nothing")
            #expect(try fixture.sink.checkpoint() == fixture.at(5))
            #expect(SyncSpy.count > before)
        }
        try other.close()
    }
}
