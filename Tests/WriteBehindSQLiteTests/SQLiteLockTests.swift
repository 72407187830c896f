import GRDB
import Testing
import WriteBehindSQLite

/// The sink finds out which process is in its way.
@Suite struct SQLiteLockTests {
    /// A connection that may keep a transaction open.
    private static func other(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    @Test func aReaderThatKeepsTheWALFromBeingEmptiedIsTold() throws {
        let fixture = try SinkFixture()
        try fixture.apply([.person(1, "Ann")])
        let other = try Self.other(fixture.path)
        try other.inDatabase { db in
            try db.execute(sql: "BEGIN")
            _ = try Row.fetchOne(db, sql: "SELECT 1 FROM person")
        }
        try fixture.apply([.person(2, "Bo")])
        #expect(fixture.sink.concern() == nil)
        _ = try fixture.sink.checkpoint()
        #expect(fixture.sink.concern()?.contains("reader") == true)
        try other.inDatabase { try $0.execute(sql: "COMMIT") }
        _ = try fixture.sink.checkpoint()
        #expect(fixture.sink.concern() == nil)
        try other.close()
    }
}
