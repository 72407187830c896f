import GRDB
import TestSupport
import Testing
import WriteBehind

// How to work with the database that a store keeps: it is an ordinary SQLite database, and the store hands
// it out as a GRDB reader. Records, queries and observations are GRDB's.

/// Your own record type for the table `player`. It need not be the type that the store is written with, nor
/// have all of its columns.
private struct Standing: Codable, FetchableRecord, TableRecord, Equatable {
    static let databaseTableName = "player"
    var name: String
    var score: Int
}

@Suite struct DatabaseExampleTests {
    @Test func recordsQueriesAndObservationsWorkOnTheStoresDatabase() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada", score: 10))
        try players.put(Player(id: 2, name: "Bo", score: 20))

        // The database follows by itself, a tenth of a second behind. If you cannot wait for that, ask:
        try await store.waitForAll(.materialized, timeout: .hang)

        // Queries, with GRDB's query interface or in SQL.
        let database = try store.database
        let best = try await database.read { db in
            try Standing.order(GRDB.Column("score").desc).fetchOne(db)
        }
        #expect(best == Standing(name: "Bo", score: 20))

        // An observation sees every change that reaches the database.
        let total = ValueObservation.tracking { db in
            try Int.fetchOne(db, sql: "SELECT sum(score) FROM player") ?? 0
        }
        var seen: [Int] = []
        for try await sum in total.values(in: database) {
            seen.append(sum)
            if sum == 35 { break }
            // The first value may come twice: an observation reports every change, and some of them twice.
            if seen.count == 1 { try await players.increment(1, "score", by: 5) }
        }
        #expect(seen.first == 30 && seen.last == 35)

        // It is for reading only: writes go through the store.
        await #expect(throws: DatabaseError.self) {
            try await database.read { try $0.execute(sql: "DELETE FROM player") }
        }
        try await store.close()
    }
}
