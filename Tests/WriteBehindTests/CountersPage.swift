#if Macros
    import TestSupport
    import Testing
    import WriteBehind

    // The code of the page "Counters": all of it must be here.

    enum CountersPage {
        @Table struct Post {
            let id: Int
            var title = ""
            @Index var likes = 0
            var rating: Int?
        }

        @Table struct Account {
            @Key let name: String
            var coins: Int
        }
    }

    @Suite struct CountersPageTests {
        typealias Post = CountersPage.Post

        private struct Enough: Error {}

        @Test func whatThePageDoesWorks() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let posts = try store.table(Post.self)
            try posts.add(1, to: \.likes, of: 42)
            try posts.add(-1, to: \.likes, of: 42)
            try posts.add(7, to: \.likes, of: 42)
            try posts.add(3, to: \.rating, of: 42)

            let likes = try await posts.get(42)?.likes
            let best = try await posts.top(10, by: \.likes)

            #expect(likes == 7)
            #expect(best.map(\.rating) == [3])

            let accounts = try store.table(CountersPage.Account.self)
            try accounts.put(CountersPage.Account(name: "Ada", coins: 9))
            try store.transaction {
                try $0.add(-5, to: \.coins, of: "Ada", in: accounts)
                try $0.add(5, to: \.coins, of: "Grace", in: accounts)
            }
            let coins = try await accounts.get("Ada")?.coins
            let none = try await accounts.get("Grace")
            // The page says so: its table has no default.
            #expect(coins == 4)
            #expect(none == nil)
            try await store.close(deadline: .hang)
        }

        @Test func theStreamOfThePageHasTheAmounts() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let posts = try store.table(Post.self)
            let writer = Task {
                _ = await eventually { store.changeStreams.first?.isConsumed == true }
                for id in 1...3 { try posts.add(id, to: \.likes, of: id) }
            }
            var found: [String] = []
            func follow() async throws {
                for try await change in store.changes(of: posts, named: "likes") {
                    if change.operation == .add, let amount = try change.amounts["likes"] {
                        found.append("\(change.key ?? 0): \(amount)")
                    }
                    if change.isLastOfCommit { try await change.acknowledge() }
                    if found.count == 3 { throw Enough() }
                }
            }
            await #expect(throws: Enough.self) { try await follow() }
            try await writer.value
            #expect(found == ["1: 1", "2: 2", "3: 3"])
            try await store.close(deadline: .hang)
        }

        /// What the page says of a sum that exceeds 64 bits.
        @Test func aSumThatExceeds64BitsIsRefusedUntilItIsBack() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let posts = try store.table(Post.self)
            for _ in 0..<2 {
                try posts.add(.max, to: \.likes, of: 1)
                try await store.waitForAll(.materialized, timeout: .hang)
            }
            #expect(store.health.quarantined == 1)
            await #expect {
                _ = try await posts.get(1)
            } throws: { error in
                guard case .row(let error) = error as? StoreError else { return false }
                return error.problem == .sumOutOfRange
            }
            try posts.add(-.max, to: \.likes, of: 1)
            let likes = try await posts.get(1)?.likes
            #expect(likes == .max)
            // The database has refused the first part of the sum, and would do so again.
            #expect(store.health.quarantined == 1)
            try posts.put(Post(id: 1, likes: 5))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 0)
            try await store.close(deadline: .hang)
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            #expect(try PageCode.missing(from: #filePath, of: "Counters.md") == [])
        }
    }
#endif
