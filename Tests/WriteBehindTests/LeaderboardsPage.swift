#if Macros
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    // The code of the page "Leaderboards and feeds": all of it must be here.

    enum LeaderboardsPage {
        @Table struct Player {
            @Key var id: Int
            var name: String
            @Index var score = 0
        }

        @Table @Index("byAuthor", on: "author", "created") struct Article {
            @Key var id: Int
            var author: String
            @Index var created: Date
            var title = ""
        }

        struct Heat: TableRow {
            typealias Key = Int
            static let schema = TableSchema(
                "heat", [.key("id", .integer), .column("points", .integer)],
                indices: [IndexDefinition("points")])
            var id: Int, points: Int
            func encode(to encoder: inout RowEncoder) {
                encoder.encode(id)
                encoder.encode(points)
            }
            init(from decoder: inout RowDecoder) throws {
                id = try decoder.decode()
                points = try decoder.decode()
            }
        }
    }

    @Suite struct LeaderboardsPageTests {
        typealias Player = LeaderboardsPage.Player
        typealias Article = LeaderboardsPage.Article
        typealias Heat = LeaderboardsPage.Heat

        @Test func whatThePageDoesWorks() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()

            let players = try store.table(Player.self)
            try players.put(Player(id: 1, name: "Ada", score: 10))
            try players.put(Player(id: 2, name: "Grace", score: 12))
            try await players.increment(1, \.score, by: 5)

            let best = try await players.top(20, by: \.score)
            let rank = try await players.rank(of: 2, by: \.score)
            let around = try await players.around(2, by: \.score, count: 5)

            #expect(best.map(\.name) == ["Ada", "Grace"])
            #expect(rank == 1)
            #expect(around.map(\.rank) == [0, 1])

            let articles = try store.table(Article.self)
            try articles.put(Article(id: 1, author: "Ada", created: .now))

            for id in 2...120 {
                let created = Date(timeIntervalSinceNow: -Double(id))
                try articles.put(
                    Article(id: id, author: id % 20 == 0 ? "Bob" : "Ada", created: created))
            }

            let page = try await articles.range(
                in: \.byAuthor, of: "Ada", order: .descending, limit: 50)
            let older = try await articles.range(
                in: \.byAuthor, of: "Ada", order: .descending, limit: 50, after: page.next)

            #expect(page.rows.map(\.id) == (1...52).filter { $0 % 20 != 0 })
            #expect(older.rows.first?.id == 53)
            #expect(older.rows.count == 50)

            let today = try await articles.range(
                in: \.created, from: .now.addingTimeInterval(-86_400), through: .now, limit: 100)
            let count = try await articles.count(in: \.byAuthor, of: "Ada")

            #expect(today.rows.count == 100)
            #expect(count == 114)
            let both = try await articles.range(
                in: \.byAuthor, from: ("Ada", .distantPast), through: ("Bob", .now), limit: 500)
            #expect(both.rows.count == 120)

            for try await article in articles.rows(order: \.created) { print(article.id) }

            let heats = try store.table(Heat.self)
            let first = try await heats.top(3, by: "points")

            #expect(first.map(\.id) == [])
            try await store.close()
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            #expect(try PageCode.missing(from: #filePath, of: "LeaderboardsAndFeeds.md") == [])
        }
    }
#endif
