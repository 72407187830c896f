#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    extension TemporaryStore {
        /// A store whose database takes no more than 9 likes.
        func openWithFewLikes(
            _ ids: Range<Int>
        ) async throws -> (Store, StoredTable<CountedPost>) {
            let opened = try await openWithPosts(ids)
            try user(
                """
                CREATE TRIGGER few BEFORE UPDATE ON post WHEN new.likes > 9
                BEGIN SELECT RAISE(ABORT, 'few'); END;
                CREATE TRIGGER few2 BEFORE INSERT ON post WHEN new.likes > 9
                BEGIN SELECT RAISE(ABORT, 'few'); END;
                """)
            return opened
        }
    }

    /// Adds that the database refuses, and sums where it does not advance.
    @Suite struct AddQuarantineTests {
        private let directory = TemporaryStore()

        private func stored(_ store: Store) async throws -> [Int] {
            try await store.database.read {
                try Int.fetchAll($0, sql: "SELECT likes FROM post ORDER BY id")
            }
        }

        @Test(arguments: [false, true], [false, true])
        func aRowInQuarantineIsReadAsItWasAcknowledged(isRead: Bool, isReopened: Bool) async throws
        {
            var (store, posts) = try await directory.openWithFewLikes(0..<4)
            for _ in 0..<3 { try posts.add(4, to: \.likes, of: 1) }
            try posts.add(4, to: \.likes, of: 2)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().count == 1 && store.health.quarantined == 1)
            #expect(try await stored(store) == [0, 8, 4, 0])
            if isRead { #expect(try await posts.get(1)?.likes == 12) }
            #expect(try posts.evict(1) == false)
            for _ in 0..<3 { try posts.add(-1, to: \.likes, of: 1) }
            try posts.add(1, to: \.views, of: 1)
            if isReopened {
                try await store.close()
                store = try directory.open()
                posts = try store.table(CountedPost.self)
            }
            #expect(try await posts.get(1)?.likes == 9)
            #expect(try await posts.get(1)?.views == 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await stored(store) == [0, 8, 4, 0])
            #expect(store.health.quarantined == 5)
            try directory.user("DROP TRIGGER few")
            #expect(try await store.quarantine.retry() == .init(applied: 5, left: 0))
            #expect(try await stored(store) == [0, 9, 4, 0])
            #expect(try await posts.get(1)?.likes == 9)
            #expect(try posts.evict(1))
            #expect(try await posts.get(1)?.likes == 9)
            try await store.close()
        }

        @Test(arguments: [false, true])
        func whatIsGivenUpIsTakenFromTheSumAndNothingElse(isRead: Bool) async throws {
            let (store, posts) = try await directory.openWithFewLikes(0..<3)
            try posts.add(4, to: \.likes, of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            let refused = try posts.add(6, to: \.likes, of: 1)
            try posts.add(1, to: \.views, of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 2)
            if isRead { #expect(try await posts.get(1)?.likes == 10) }
            try await store.quarantine.skip(
                refused.sequence, reason: "too many", includingFollowers: true)
            #expect(try await posts.get(1)?.likes == 4)
            #expect(try await posts.get(1)?.views == 0)
            try posts.add(1, to: \.likes, of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            #expect(try await stored(store) == [0, 5, 0])
            #expect(try posts.evict(1))
            #expect(try await posts.get(1)?.likes == 5)
            try await store.close()
        }

        /// While commits go into quarantine and out of it, reads show all that was acknowledged.
        @Test func readsAreRightWhileRetriesAreTried() async throws {
            let (store, posts) = try await directory.openWithFewLikes(0..<30)
            let isDone = Locked(false)
            let retries = Task.detached { [directory] in
                var number = 0
                while !isDone.withLock({ $0 }) {
                    number += 1
                    if number == 20 { try directory.user("DROP TRIGGER few; DROP TRIGGER few2") }
                    _ = try await store.quarantine.retry()
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            for id in 0..<30 {
                for round in 1...6 {
                    try posts.add(3, to: \.likes, of: id)
                    let likes = try await posts.get(id)?.likes
                    #expect(likes == 3 * round, "post \(id)")
                    try posts.evict(id)
                }
            }
            isDone.withLock { $0 = true }
            try await retries.value
            try? directory.user("DROP TRIGGER few; DROP TRIGGER few2")
            try await store.waitForAll(.materialized, timeout: .hang)
            _ = try await store.quarantine.retry()
            #expect(try await stored(store) == Array(repeating: 18, count: 30))
            try await store.close()
        }

        @Test(arguments: ["clear", "delete", "put", "put and add"])
        func whatMakesTheRowAnewSettlesItsAdds(how: String) async throws {
            let (store, posts) = try await directory.openWithFewLikes(0..<3)
            for _ in 0..<2 { try posts.add(6, to: \.likes, of: 1) }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            switch how {
            case "clear": try posts.clear()
            case "delete": try posts.delete(1)
            case "put": try posts.put(CountedPost(id: 1, title: "new"))
            default:
                try store.transaction { transaction in
                    try transaction.put(CountedPost(id: 1, title: "new"), in: posts)
                    try transaction.add(2, to: \.likes, of: 1, in: posts)
                }
            }
            try posts.add(1, to: \.likes, of: 1)
            let right = ["put": 1, "put and add": 3][how]
            #expect(try await posts.get(1)?.likes == right)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            try posts.evict(1)
            #expect(try await posts.get(1)?.likes == right)
            try await store.close()
        }

        /// Its rows are gone, although the database still shows them.
        @Test(arguments: [false, true])
        func anAddBehindAClearInQuarantineAddsToNoRowOfBefore(isReopened: Bool) async throws {
            var store = try directory.open()
            var tallies = try store.table(Tally.self)
            for name in ["a", "b", "c"] { try tallies.put(Tally(name: name, count: 5, note: name)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            for name in ["a", "b", "c"] { #expect(try tallies.evict(name)) }
            try directory.user(
                """
                CREATE TRIGGER kept BEFORE DELETE ON tally BEGIN SELECT RAISE(ABORT, 'kept'); END
                """)
            try tallies.clear()
            try tallies.add(1, to: \.count, of: "a")
            try tallies.add(2, to: \.low, of: "a")
            try await store.waitForAll(.materialized, timeout: .hang)
            try tallies.add(1, to: \.count, of: "b")
            #expect(store.health.quarantined == 3 || store.health.quarantined == 4)
            if isReopened {
                try await store.close()
                store = try directory.open()
                tallies = try store.table(Tally.self)
            }
            let right = [Tally(name: "a", count: 1, low: 2), Tally(name: "b", count: 1), nil]
            #expect(try await tallies.get(all: ["a", "b", "c"]) == right)
            try directory.user("DROP TRIGGER kept")
            try await store.waitForAll(.materialized, timeout: .hang)
            _ = try await store.quarantine.retry()
            #expect(store.quarantine.list().isEmpty)
            for name in ["a", "b", "c"] { try tallies.evict(name) }
            #expect(try await tallies.get(all: ["a", "b", "c"]) == right)
            try await store.close()
        }

        /// Somebody has written it into the database, whose table lets them.
        @Test(arguments: [true, false])
        func textInTheDatabaseKeepsAnAddInQuarantineUntilItIsANumber(isInMemory: Bool) async throws
        {
            let (store, posts) = try await directory.openWithPosts([1, 2])
            try directory.user("UPDATE post SET likes = 'many' WHERE id = 1")
            if isInMemory { _ = try? await posts.get(1) }
            try posts.add(1, to: \.likes, of: 1)
            try posts.add(1, to: \.likes, of: 2)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            let error = await storeError { _ = try await posts.get(1) }
            guard case .database? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await posts.get(2)?.likes == 1)
            try directory.user("UPDATE post SET likes = 7 WHERE id = 1")
            #expect(try await store.quarantine.retry() == .init(applied: 1, left: 0))
            #expect(try await posts.get(1)?.likes == 8)
            try await store.close()
        }

        /// Its database does not advance, so memory keeps the sums.
        @Test(arguments: [false, true])
        func aDamagedStoreShowsTheSums(hasQuarantine: Bool) async throws {
            var (store, posts) = try await directory.openWithFewLikes(0..<10)
            if hasQuarantine {
                for _ in 0..<2 { try posts.add(8, to: \.likes, of: 1) }
                try posts.add(5, to: \.likes, of: 2)
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(store.health.quarantined == 1)
            }
            try await store.close()
            let copy = directory.path + "-copy"
            defer { unlink(copy) }
            try FileManager.default.copyItem(atPath: directory.database, toPath: copy)
            store = try directory.open { $0.segmentSize = 64 << 10 }
            posts = try store.table(CountedPost.self)
            let tallies = try store.table(Tally.self)
            for id in [0, 1, 2] { for _ in 0..<2 { try posts.add(2, to: \.likes, of: id) } }
            try posts.add(3, to: \.votes, of: 0)
            try posts.add(1, to: \.likes, of: 77)
            try tallies.add(1, to: \.count, of: "new")
            try await posts.update(3) { $0.title = "new" }
            try posts.add(1, to: \.likes, of: 3)
            try await store.waitForAll(.durable, timeout: .hang)
            for id in 1000..<8000 {
                try posts.put(CountedPost(id: id, title: UUID().uuidString))
                if id % 1000 == 0 { try await store.waitForAll(.durable, timeout: .hang) }
            }
            try await store.close()
            for suffix in ["", "-wal", "-shm"] { unlink(directory.database + suffix) }
            try FileManager.default.moveItem(atPath: copy, toPath: directory.database)
            let segments = try FileManager.default
                .contentsOfDirectory(atPath: directory.path + "/log").sorted()
            try #require(segments.count > 3)
            let victim = URL(filePath: directory.path + "/log/" + segments[segments.count - 2])
            var bytes = try Data(contentsOf: victim)
            bytes[bytes.count / 2] ^= 0xFF
            try bytes.write(to: victim)

            let damaged = try directory.open()
            #expect(damaged.health.verdict == .failed)
            let found = try damaged.table(CountedPost.self)
            let sums = try await found.get(all: [0, 1, 2, 77]).map { $0?.likes }
            #expect(sums == (hasQuarantine ? [4, 20, 9, nil] : [4, 4, 4, nil]))
            #expect(try await found.get(0)?.votes == 3)
            #expect(try await found.get(3)?.title == "new")
            #expect(try await found.get(3)?.likes == 1)
            #expect(try await damaged.table(Tally.self).get("new") == Tally(name: "new", count: 1))
            #expect(throws: StoreError.self) { try found.add(1, to: \.likes, of: 0) }
            try await damaged.close()
        }
    }
#endif
