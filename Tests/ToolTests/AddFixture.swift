#if Macros
    import WriteBehind

    /// An add makes a row of it.
    @Table("post") struct Post {
        var id: Int
        var title = "-"
        var likes = 10
        var shares: Int?
    }

    /// An add makes no row of it.
    @Table("poll") struct Poll {
        var id: Int
        var question: String
        var votes = 0
        var extra: Int?
    }

    /// Several stores may count into it.
    @Table("tally") struct Tally {
        var id: Int
        var name: String?
        var count = 0
    }

    extension Fixture {
        /// #1 and #2 define the tables; #3 puts post 1; #4 and #5 add to it; #6 makes post 2; #7 puts poll 1; #8 adds to
        /// it; #9 adds to a poll that is not there; #10 sets the likes of post 1; #11 deletes post 2.
        static func counted() async throws -> Fixture {
            let fixture = Fixture()
            let store = try fixture.open()
            let posts = try store.table(Post.self)
            let polls = try store.table(Poll.self)
            try posts.put(Post(id: 1, title: "A", likes: 5))
            try posts.add(2, to: \.likes, of: 1)
            try posts.add(-3, to: \.shares, of: 1)
            try posts.add(1, to: \.likes, of: 2)
            try polls.put(Poll(id: 1, question: "Q"))
            try polls.add(4, to: \.votes, of: 1)
            try polls.add(4, to: \.votes, of: 9)
            try await posts.update(1) { $0.likes = 100 }
            try posts.delete(2)
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try await fixture.close()
            return fixture
        }

        /// Post 1 has more likes than an integer of 64 bits holds: the database refused #5.
        static func overflown() async throws -> Fixture {
            let fixture = Fixture()
            var store = try fixture.open()
            try store.table(Post.self).put(Post(id: 1, title: "A", likes: 5))
            try store.table(Post.self).put(Post(id: 2, title: "B", likes: 5))
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try await fixture.close()
            store = try fixture.open()
            let posts = try store.table(Post.self)
            try posts.add(Int.max - 5, to: \.likes, of: 1)
            try posts.add(.max, to: \.likes, of: 1)
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            try await fixture.close()
            return fixture
        }
    }
#endif
