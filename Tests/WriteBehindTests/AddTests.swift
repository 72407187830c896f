#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    @testable import WriteBehindCore

    enum Counted {
        /// An add makes a row of it.
        @Table("post") struct Post: Equatable {
            let id: Int
            @Index var likes = 0
            var shares: Int64?
            var stars: Int? = 5
            var note: String?
        }

        @Table("part", changes: .wholeRows) struct Part {
            let id: Int
            var count = 0
        }

        /// An add makes no row of it.
        @Table("poll") struct Poll: Equatable {
            let id: Int
            var question: String
            var votes = 0
            var created = Date(timeIntervalSince1970: 0)
        }
    }

    /// What tests of adds have in common.
    protocol CountingTests {}

    extension CountingTests {
        typealias Post = Counted.Post
        typealias Poll = Counted.Poll

        func open(
            _ directory: TemporaryStore, _ configure: (inout StoreConfiguration) -> Void = { _ in }
        ) throws -> (Store, StoredTable<Post>, StoredTable<Poll>) {
            let store = try directory.open(configure)
            return (store, try store.table(Post.self), try store.table(Poll.self))
        }

        func materialize(_ store: Store) async throws {
            try await store.waitForAll(.materialized, timeout: .hang)
        }

        func stored(_ store: Store) async throws -> [Int: Int] {
            let rows = try store.database.read { db in
                try GRDB.Row.fetchAll(db, sql: "SELECT id, likes FROM post")
            }
            return Dictionary(uniqueKeysWithValues: rows.map { ($0["id"], $0["likes"]) })
        }
    }

    /// Adds, as a program sees them. What a shard does is in CountedRowTests, what a database does in AddedRowTests.
    @Suite struct AddTests: CountingTests {
        // MARK: what an add does

        @Test func aRowThatIsNotThereIsMadeOfTheDefaultsIfAllColumnsAllowIt() async throws {
            let directory = TemporaryStore()
            let (store, posts, polls) = try open(directory)
            try posts.add(3, to: \.likes, of: 1)
            try polls.add(3, to: \.votes, of: 1)
            #expect(try await posts.get(1) == Post(id: 1, likes: 3))
            #expect(try await polls.get(1) == nil)
            try await materialize(store)
            #expect(try await stored(store) == [1: 3])
            let count = try await store.database.read {
                try Int.fetchOne($0, sql: "SELECT count(*) FROM poll")
            }
            #expect(count == 0)
            try await store.close(deadline: .hang)
        }

        @Test func aNullCountsAsTheDefaultOrElseAsZero() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            var post = Post(id: 1)
            post.stars = nil
            try posts.put(post)
            try await materialize(store)
            try posts.evict(1)
            try posts.add(2, to: \.shares, of: 1)
            try posts.add(2, to: \.stars, of: 1)
            #expect(try await posts.get(1)?.shares == 2)
            #expect(try await posts.get(1)?.stars == 7)
            try await materialize(store)
            let row = try store.database.read {
                try GRDB.Row.fetchOne($0, sql: "SELECT shares, stars FROM post")
            }
            #expect(row?["shares"] == 2)
            #expect(row?["stars"] == 7)
            try await store.close(deadline: .hang)
        }

        @Test func eachWayToNameAColumnAddsToIt() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.add(1, to: \.likes, of: 1)
            try posts.add(1, to: "likes", of: 1)
            try posts.add(1, to: "LIKES", of: 1)
            try posts.add(-4, to: \.shares, of: 1)
            try store.transaction { transaction in
                try transaction.add(1, to: \.likes, of: 1, in: posts)
                try transaction.add(1, to: \.shares, of: 1, in: posts)
                try transaction.add(1, to: "likes", of: 1, in: posts)
            }
            #expect(try await posts.get(1) == Post(id: 1, likes: 5, shares: -3))
            try await store.close(deadline: .hang)
        }

        @Test(arguments: ["note", "id", "created", "question", "nothing"])
        func aColumnThatTakesNoAmountsIsRefusedWithNothingWritten(column: String) async throws {
            let directory = TemporaryStore()
            let (store, posts, polls) = try open(directory)
            try polls.put(Poll(id: 1, question: "?"))
            let before = store.engine.log.lastSequence
            let error = await storeError {
                if column == "note" {
                    try posts.add(1, to: column, of: 1)
                } else {
                    try polls.add(1, to: column, of: 1)
                }
            }
            guard case .cannotAdd(_, column, _)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(store.engine.log.lastSequence == before)
            try await store.close(deadline: .hang)
        }

        @Test func aTableWhoseLogHasWholeRowsTakesNoAdds() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let parts = try store.table(Counted.Part.self)
            let error = await storeError { try parts.add(1, to: \.count, of: 1) }
            guard case .cannotAdd? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect("\(try #require(error))".contains("increment"))
            try await store.close(deadline: .hang)
        }

        // MARK: reads

        /// Wherever the row was before.
        @Test(arguments: ["resident", "evicted", "deleted", "never there", "reopened"])
        func aReadHasAllThatWasAdded(place: String) async throws {
            let directory = TemporaryStore()
            var (store, posts, _) = try open(directory)
            if place != "never there" { try posts.put(Post(id: 1, likes: 10, note: "a")) }
            if place == "deleted" { try posts.delete(1) }
            try await materialize(store)
            if place == "evicted" { #expect(try posts.evict(1)) }
            if place == "reopened" {
                try await store.close(deadline: .hang)
                (store, posts, _) = try open(directory)
            }
            for _ in 0..<3 { try posts.add(2, to: \.likes, of: 1) }
            let isNew = place == "deleted" || place == "never there"
            let right = isNew ? Post(id: 1, likes: 6) : Post(id: 1, likes: 16, note: "a")
            #expect(try await posts.get(1) == right)
            try posts.add(1, to: \.likes, of: 1)
            #expect(try posts.cached(1)?.likes == right.likes + 1)
            try await materialize(store)
            #expect(try await stored(store) == [1: right.likes + 1])
            #expect(try await posts.get(all: [1, 2]).map { $0?.likes } == [right.likes + 1, nil])
            try await store.close(deadline: .hang)
        }

        /// A reader of a row that others add to all the time gets an answer, and none that goes back.
        @Test func aReaderOfAHotRowDoesNotStarve() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1))
            try await materialize(store)
            let isDone = Locked(false)
            let writer = Task {
                await onThreadOfItsOwn { () -> Int in
                    var count = 0
                    while !isDone.withLock({ $0 }) {
                        if (try? posts.add(1, to: \.likes, of: 1)) != nil { count += 1 }
                    }
                    return count
                }
            }
            var last = 0
            for _ in 0..<20 {
                _ = try posts.evict(1)
                let likes = try #require(try await posts.get(1)).likes
                #expect(likes >= last)
                last = likes
            }
            isDone.withLock { $0 = true }
            let count = await writer.value
            #expect(try await posts.get(1)?.likes == count)
            try await materialize(store)
            #expect(try await stored(store) == [1: count])
            try await store.close(deadline: .hang)
        }

        @Test func aDatabaseThatIsLockedIsWaitedForOnlyForSomeSeconds() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1, likes: 1))
            try await materialize(store)
            try posts.evict(1)
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let queue = try DatabaseQueue(
                path: directory.database, configuration: configuration)
            try queue.inDatabase { db in
                try db.execute(sql: "BEGIN IMMEDIATE")
            }
            try posts.add(1, to: \.likes, of: 1)
            let error = await storeError { _ = try await posts.get(1) }
            guard case .database? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try queue.inDatabase { try $0.execute(sql: "ROLLBACK") }
            try queue.close()
            #expect(await eventually { (try? await posts.get(1)?.likes) == 2 })
            try await store.close(deadline: .hang)
        }

        @Test func orderedReadsFollowAddsOnRowsInAndOutOfMemory() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            for id in 0..<200 { try posts.put(Post(id: id, likes: id)) }
            try await materialize(store)
            for id in stride(from: 0, to: 200, by: 2) { try posts.evict(id) }
            try posts.add(1000, to: \.likes, of: 4)
            try posts.add(2000, to: \.likes, of: 5)
            try posts.add(3000, to: \.likes, of: 999)
            #expect(try await posts.top(4, by: \.likes).map(\.id) == [999, 5, 4, 199])
            #expect(try await posts.rank(of: 4, by: \.likes) == 2)
            try posts.add(-5000, to: \.likes, of: 999)
            #expect(try await posts.bottom(1, by: \.likes).map(\.id) == [999])
            try await store.close(deadline: .hang)
        }

        /// A row whose sum no column can hold is left out, and comes back with it; all others stay.
        @Test func aSumOutOfRangeTakesOnlyItsOwnRowOutOfAnIndex() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            for id in 1...3 { try posts.put(Post(id: id, likes: id)) }
            #expect(try await posts.top(1, by: \.likes).map(\.id) == [3])
            try posts.add(.max, to: \.likes, of: 2)
            #expect(try await posts.top(9, by: \.likes).map(\.id) == [3, 1])
            try posts.add(-.max, to: \.likes, of: 2)
            #expect(try await posts.top(9, by: \.likes).map(\.id) == [3, 2, 1])
            try await store.close(deadline: .hang)
        }
    }
#endif
