#if Macros
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    // The code of the page "A struct is a table": all of it must be here.

    enum TablesPage {
        @Table struct Post {
            let id: UUID
            var author: String
            var likes = 0
            var kind: Kind = .text
            var tags: [String] = []
            var location: Place?
            @Column("created_at") var created: Date
            @Ignored var draft = false
            @Expires var until: Date?
        }

        enum Kind: String { case text, picture }

        struct Place: Codable { var latitude, longitude: Double }

        @Table struct Departure {
            @Key var day: String
            @Key var number: Int
            var gate = ""
        }

        @Table struct User: Codable, FetchableRecord, TableRecord {
            var id: Int
            var name: String
            var picture: Data?
        }
    }

    @Suite struct TablesPageTests {
        typealias Post = TablesPage.Post
        typealias Departure = TablesPage.Departure
        typealias User = TablesPage.User

        @Test func whatThePageDoesWorks() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()

            let posts = try store.table(Post.self)
            let post = Post(id: UUID(), author: "Ada", tags: ["swift"], created: Date())
            try posts.put(post)
            try await posts.update(post.id) { $0.kind = .picture }
            let same = try await posts.get(post.id)

            #expect(same?.kind == .picture)

            let departures = try store.table(Departure.self)
            try departures.put(Departure(day: "2013-01-01", number: 7))
            let departure = try await departures.get(Departure.Key(day: "2013-01-01", number: 7))

            #expect(departure?.gate == "")

            try await posts.increment(post.id, \.likes)

            #expect(try await posts.get(post.id)?.likes == 1)

            let users = try store.table(User.self)
            let receipt = try users.put(User(id: 1, name: "Ada"))
            try await store.wait(for: .materialized, receipt)
            let found = try await store.database.read { db in
                try User.fetchAll(db, sql: "SELECT * FROM user WHERE name = ?", arguments: ["Ada"])
            }

            #expect(found.map(\.id) == [1])
            try await store.close()
        }

        enum Before {
            @Table("book") struct Book {
                var id: Int
                var name: String
                var subtitle = ""
                var pages = 0
                var price = 0
            }
        }

        enum After {
            @Table("book", dropping: "subtitle") struct Book {
                var id: Int
                @Column(formerly: "name") var title: String
                var pages: Int?
                var price = 0.0
            }
        }

        @Test func theBookIsThereAfterTheChanges() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Before.Book.self).put(Before.Book(id: 1, name: "Emma", price: 7))
            let books = try store.table(After.Book.self)
            try await books.update(1) { $0.pages = nil }
            let book = try await books.get(1)
            #expect(book?.title == "Emma")
            #expect(book?.price == 7)
            try await store.close()
        }

        @Table @SQLIndex("author", "sent") @Unique("author", "number") struct Letter {
            let id: UUID
            var author: String
            var number: Int
            @SQLIndex var sent: Date
            @Unique var subject: String
        }

        @Table struct Message {
            @Key(assigned: true) var id = 0
            var text: String
        }

        @Test func aMessageGetsItsId() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let messages = try store.table(Message.self)
            let message = try await messages.insert(Message(text: "Hello"))
            #expect(message.id == 1)
            try await store.close()
        }

        @Test func aLetterHasIndicesInSQL() {
            #expect(
                Letter.schema.sqlIndices == [
                    SQLIndexDefinition("sent"), SQLIndexDefinition("subject", unique: true),
                    SQLIndexDefinition("author", "sent"),
                    SQLIndexDefinition("author", "number", unique: true),
                ])
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            #expect(try PageCode.missing(from: #filePath, of: "Tables.md") == [])
        }
    }
#endif
