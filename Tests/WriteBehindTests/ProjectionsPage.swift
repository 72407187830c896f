#if Macros
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    // The code of the page "Projections": all of it must be here.

    enum ProjectionsPage {
        @Table struct Post {
            let id: Int
            var author: String
            var likes = 0
        }
    }

    @Suite struct ProjectionsPageTests {
        typealias Post = ProjectionsPage.Post

        @Test func whatThePageDoesWorks() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()

            let posts = try store.table(Post.self)
            try store.project("likes per author", version: 1, of: posts) { db in
                try db.create(table: "likes_per_author") { table in
                    table.primaryKey("author", .text)
                    table.column("likes", .integer).notNull()
                }
            } apply: { change, db in
                if change.operation == .clear {
                    try db.execute(sql: "DELETE FROM likes_per_author")
                }
                for (post, sign) in [(change.old, -1), (change.new, 1)] {
                    guard let post else { continue }
                    try db.execute(
                        sql: """
                            INSERT INTO likes_per_author VALUES (?, ?)
                            ON CONFLICT DO UPDATE SET likes = likes + excluded.likes
                            """, arguments: [post.author, sign * post.likes])
                }
            }

            #expect(await eventually { store.projections.first?.state == .current })
            try posts.put(Post(id: 1, author: "Ada", likes: 2))
            try posts.put(Post(id: 2, author: "Grace", likes: 3))
            try await posts.increment(1, \.likes, by: 5)
            try await store.waitForAll(.materialized, timeout: .hang)

            let best = try await store.database.read { db in
                try String.fetchOne(
                    db, sql: "SELECT author FROM likes_per_author ORDER BY likes DESC")
            }

            #expect(best == "Ada")
            try posts.clear()
            try await store.waitForAll(.materialized, timeout: .hang)
            let left = try await store.database.read { db in
                try Int.fetchOne(db, sql: "SELECT count(*) FROM likes_per_author")
            }
            #expect(left == 0)
            try await store.close(deadline: .hang)
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            #expect(try PageCode.missing(from: #filePath, of: "Projections.md") == [])
        }
    }
#endif
