import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// A table whose rows are made by adds.
    struct Post: TableRow, Equatable {
        typealias Key = Int
        static let schema = TableSchema(
            "post",
            [
                .key("id", .integer), .column("likes", .integer, default: .integer(10)),
                .column("published", .integer, as: .boolean, default: .integer(0)),
                .column("shares", .integer, nullable: true),
                .column("note", .text, nullable: true),
            ])
        var id: Int
        var likes = 10
        var published = false
        var shares: Int?
        var note: String?

        init(id: Int, likes: Int = 10, published: Bool = false) {
            (self.id, self.likes, self.published) = (id, likes, published)
        }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(id)
            encoder.encode(likes)
            encoder.encode(published)
            encoder.encode(shares)
            encoder.encode(note)
        }

        init(from decoder: inout RowDecoder) throws(RowError) {
            id = try decoder.decode()
            likes = try decoder.decode()
            published = try decoder.decode()
            shares = try decoder.decode()
            note = try decoder.decode()
        }
    }

    @Suite struct AddTests {
        @Test func amountsAreAddedToWhatIsThereAndMakeWhatIsNot() async throws {
            let test = try TestStore()
            let store = try test.open()
            let posts = try store.table(Post.self)
            let players = try store.table(Player.self)
            for id in 0..<50 { try posts.put(Post(id: id, likes: id)) }
            try players.put(Player(id: 1, score: 5))
            try await store.waitForAll(.materialized, timeout: .hang)
            for id in 0..<100 {
                try posts.add(id, to: "likes", of: id)
                try posts.add(1, to: "shares", of: id)
                try posts.add(1, to: "likes", of: id)
            }
            try players.add(7, to: "score", of: 1)
            try players.add(7, to: "score", of: 2)
            try posts.delete(3)
            try posts.add(1, to: "likes", of: 3)
            try await store.waitForAll(.materialized, timeout: .hang)
            var right: [Int: Int] = [:]
            for id in 0..<100 { right[id] = (id < 50 ? id : 10) + id + 1 }
            right[3] = 11
            #expect(try test.database.likes() == right)
            #expect(try await posts.get(60)?.likes == 71)
            #expect(
                try test.database.value("SELECT count(*) FROM post WHERE shares = 1") == "99")
            #expect(try test.players() == [Player(id: 1, score: 12)])
            try await store.close(deadline: .hang)
        }

        /// The server would check an insert with the defaults of all other columns.
        @Test func aRowThatIsThereIsUpdatedAndNotInserted() async throws {
            let test = try TestStore()
            let store = try test.open()
            let posts = try store.table(Post.self)
            try posts.put(Post(id: 1, likes: 0, published: true))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run(
                "ALTER TABLE post ADD CONSTRAINT shown CHECK (likes = 0 OR published)")
            try posts.add(1, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 0)
            #expect(try test.database.likes() == [1: 1])
            try await store.close(deadline: .hang)
        }

        @Test func refusedAddsCountOnceWhenTheReasonIsGone() async throws {
            let test = try TestStore()
            let store = try test.open()
            let posts = try store.table(Post.self)
            for id in 1...200 { try posts.put(Post(id: id)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run("ALTER TABLE post ADD CONSTRAINT few CHECK (likes < 20)")
            for id in 1...200 { try posts.evict(id) }
            for round in 1...3 {
                for id in 1...200 {
                    try posts.add(id % 50 == 0 ? 9 : 1, to: "likes", of: id)
                }
                if round < 3 { try await store.waitForAll(.materialized, timeout: .hang) }
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 8)
            #expect(try await posts.get(100)?.likes == 37)
            #expect(try test.database.likes()[100] == 19)
            #expect(try test.database.likes()[101] == 13)
            try test.database.run("ALTER TABLE post DROP CONSTRAINT few")
            #expect(try await store.quarantine.retry().left == 0)
            #expect(try await posts.get(100)?.likes == 37)
            #expect(try test.database.likes()[100] == 37)
            #expect(try test.database.likes()[101] == 13)
            try await store.close(deadline: .hang)
        }

        @Test func aSumThatExceeds64BitsIsRefusedAndTheOthersAreApplied() async throws {
            let test = try TestStore()
            let store = try test.open()
            let posts = try store.table(Post.self)
            try posts.put(Post(id: 1, likes: .max))
            try await store.waitForAll(.materialized, timeout: .hang)
            try posts.add(1, to: "likes", of: 1)
            try posts.add(1, to: "likes", of: 2)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            #expect(try test.database.likes() == [1: .max, 2: 11])
            try await store.close(deadline: .hang)
        }

        /// Also where the column holds reals by the time that it is tried again.
        @Test func aRefusedAddIsAddedToWhatTheColumnHoldsByThen() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 1, score: 5))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run("ALTER TABLE player ADD CONSTRAINT few CHECK (score < 10)")
            try players.add(7, to: "score", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            _ = try store.engine.declare(
                TableSchema(
                    "player",
                    [
                        .key("id", .integer), .column("name", .text), .column("score", .real),
                        .column("team", .text, nullable: true),
                    ]))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run("ALTER TABLE player DROP CONSTRAINT few")
            #expect(try await store.quarantine.retry().left == 0)
            #expect(try test.database.value("SELECT score FROM player") == "12")
            try await store.close(deadline: .hang)
        }

        /// A server that is killed forgets its last transactions, and the store's writer dies with it.
        @Test func aServerThatIsKilledAgainAndAgainCountsEachAddOnce() async throws {
            let test = try TestStore()
            let store = try test.open()
            let posts = try store.table(Post.self)
            var right: [Int: Int] = [:]
            for round in 0..<4 {
                for number in 0..<2000 {
                    try posts.add(1, to: "likes", of: number % 40)
                    right[number % 40, default: 10] += 1
                    if number == 1000 { TestServer.shared.kill() }
                }
                try TestServer.shared.start()
                if round % 2 == 1 {
                    #expect(
                        await eventually {
                            (try? await posts.get(7)?.likes) == right[7]
                        })
                }
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try test.database.likes() == right)
            #expect(store.health.quarantined == 0)
            try await store.close(deadline: .hang)
        }
    }
}

extension TestDatabase {
    /// The likes of each post.
    func likes() throws -> [Int: Int] {
        let rows = try run("SELECT id, likes FROM post")
        return Dictionary(
            uniqueKeysWithValues: rows.map { (Int($0[0] ?? "") ?? -1, Int($0[1] ?? "") ?? -1) })
    }
}
