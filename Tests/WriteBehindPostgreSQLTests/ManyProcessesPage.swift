#if Macros
    import PostgreSQLServer
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindPostgreSQL

    // The code of the page "Many processes": all of it must be here.

    enum ManyProcessesPage {
        @Table struct PostCount {
            @Key let post: Int
            var likes = 0
            var views = 0
        }
    }

    extension PostgreSQL {
        @Suite struct ManyProcessesPageTests {
            typealias PostCount = ManyProcessesPage.PostCount

            @Test func whatThePageDoesWorks() async throws {
                let database = try TestServer.shared.makeDatabase()
                let url = database.url
                let test = try TestStore(in: database)
                let store = try await Store(at: test.path, database: .postgreSQL(url))
                let counts = try store.sharedTable(PostCount.self)
                try counts.add(1, to: \.likes, of: 42)

                let count = try await counts.get(42)
                #expect(count?.likes == 1)
                #expect(count?.views == 0)
                try store.transaction { try $0.add(2, to: \.views, of: 42, in: counts) }
                try counts.putIfAbsent(PostCount(post: 43, likes: 100))
                #expect(try await counts.get(43)?.likes == 100)
                let shown = try await counts.get(42, maxAge: .seconds(1))
                #expect(shown?.likes == 1)
                #expect(try await counts.get(all: [42, 44]).map { $0?.views } == [2, nil])
                try await store.close(deadline: .hang)
            }
        }
    }
#endif
