#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    @testable import WriteBehindCore

    /// Adds in transactions, in quarantine, and through the lives of a store.
    @Suite struct AddLivesTests: CountingTests {
        /// A trigger of a user's that refuses a post with more than ten likes.
        private static let refusal = """
            CREATE TRIGGER few BEFORE UPDATE ON post WHEN new.likes > 10
            BEGIN SELECT RAISE(ABORT, 'too many'); END
            """

        // MARK: transactions

        @Test func aTransactionSeesItsOwnAdds() async throws {
            let directory = TemporaryStore()
            let (store, posts, polls) = try open(directory)
            try posts.put(Post(id: 1, likes: 10))
            try polls.put(Poll(id: 1, question: "?", votes: 1))
            try await materialize(store)
            try posts.evict(1)
            try await store.transaction { transaction in
                try transaction.add(1, to: \.likes, of: 1, in: posts)
                try transaction.add(2, to: \.likes, of: 2, in: posts)
                try transaction.add(1, to: \.votes, of: 9, in: polls)
                #expect(try await transaction.get(1, in: posts)?.likes == 11)
                #expect(
                    try await transaction.get(all: [2, 3], in: posts).map { $0?.likes } == [2, nil])
                #expect(try await transaction.get(9, in: polls) == nil)
                try transaction.add(1, to: \.likes, of: 1, in: posts)
                #expect(try await transaction.get(1, in: posts)?.likes == 12)
                try transaction.clear(posts)
                try transaction.add(5, to: \.likes, of: 1, in: posts)
                #expect(try await transaction.get(1, in: posts)?.likes == 5)
            }
            #expect(try await posts.get(1)?.likes == 5)
            #expect(try await posts.get(2) == nil)
            try await store.close(deadline: .hang)
        }

        @Test func onlyATransactionThatHasReadTheRowIsDisturbedByAnAdd() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1))
            for reads in [true, false] {
                let tries = Locked(0)
                try await store.transaction { transaction in
                    tries.withLock { $0 += 1 }
                    if reads { _ = try await transaction.get(1, in: posts) }
                    try transaction.add(1, to: \.likes, of: 1, in: posts)
                    if tries.withLock({ $0 }) == 1 { try posts.add(10, to: \.likes, of: 1) }
                }
                #expect(tries.withLock { $0 } == (reads ? 2 : 1))
            }
            #expect(try await posts.get(1)?.likes == 22)
            try await store.close(deadline: .hang)
        }

        @Test func callsThatReadWorkOnCountedRows() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            for id in 1...3 { try posts.put(Post(id: id, likes: 10)) }
            try await materialize(store)
            for id in 1...3 {
                try posts.evict(id)
                try posts.add(1, to: \.likes, of: id)
            }
            try await posts.update(1) { $0.note = "n" }
            #expect(try await posts.increment(2, \.likes, by: 5).value == 16)
            await #expect(throws: StoreError.self) { try await posts.insert(Post(id: 3)) }
            #expect(try await posts.get(1) == Post(id: 1, likes: 11, note: "n"))
            try await materialize(store)
            #expect(try await stored(store) == [1: 11, 2: 16, 3: 11])
            try await store.close(deadline: .hang)
        }

        // MARK: quarantine

        /// Each add that is refused counts exactly once after the retry, and those that follow it as well.
        @Test func refusedAddsCountOnceWhenTheReasonIsGone() async throws {
            let directory = TemporaryStore()
            var (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1, likes: 5))
            try posts.put(Post(id: 2, likes: 5))
            try await materialize(store)
            try directory.user(
                """
                CREATE TRIGGER few BEFORE UPDATE ON post WHEN new.likes > 10 AND new.id = 1
                BEGIN SELECT RAISE(ABORT, 'too many'); END
                """)
            try posts.evict(1)
            for _ in 0..<4 {
                try posts.add(3, to: \.likes, of: 1)
                try posts.add(3, to: \.likes, of: 2)
                try await materialize(store)
            }
            // 5, 8 and then refused.
            #expect(try await stored(store) == [1: 8, 2: 17])
            #expect(try await posts.get(1)?.likes == 17)
            #expect(store.health.quarantined == 3)
            try await store.close(deadline: .hang)
            (store, posts, _) = try open(directory)
            try posts.add(100, to: \.likes, of: 1)
            #expect(try await posts.get(1)?.likes == 117)
            try directory.user("DROP TRIGGER few")
            #expect(try await store.quarantine.retry().left == 0)
            #expect(try await posts.get(1)?.likes == 117)
            try await materialize(store)
            #expect(try await stored(store) == [1: 117, 2: 17])
            try await store.close(deadline: .hang)
        }

        /// The database would take it, but that makes nothing of the refused one good.
        @Test func anAddBehindARefusedOneWaitsWithIt() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1, likes: 5))
            try await materialize(store)
            try directory.user(Self.refusal)
            try posts.add(100, to: \.likes, of: 1)
            try await materialize(store)
            try posts.add(-1, to: \.likes, of: 1)
            try await materialize(store)
            #expect(store.health.quarantined == 2)
            #expect(try await stored(store) == [1: 5])
            try directory.user("DROP TRIGGER few")
            #expect(try await store.quarantine.retry().left == 0)
            #expect(try await stored(store) == [1: 104])
            #expect(try await posts.get(1)?.likes == 104)
            try await store.close(deadline: .hang)
        }

        @Test func aRefusedAddIsGivenUpExactly() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1, likes: 5))
            try await materialize(store)
            try directory.user(Self.refusal)
            try posts.evict(1)
            try posts.add(100, to: \.likes, of: 1)
            try posts.add(1, to: \.likes, of: 1)
            try await materialize(store)
            let first = try #require(store.quarantine.list().first)
            let receipt = try await store.quarantine.skip(
                first.sequence, reason: "a mistake", includingFollowers: true)
            try await store.wait(for: .materialized, receipt, timeout: .hang)
            #expect(store.health.quarantined == 0)
            #expect(try await posts.get(1)?.likes == 5)
            try posts.add(1, to: \.likes, of: 1)
            try await materialize(store)
            #expect(try await stored(store) == [1: 6])
            try await store.close(deadline: .hang)
        }

        /// A database could not be made of it.
        @Test func noSnapshotHasASumThatNoDatabaseTakes() async throws {
            let directory = TemporaryStore()
            var (store, posts, _) = try open(directory) { $0.snapshotAfter = nil }
            try posts.put(Post(id: 1, likes: 5))
            try await store.waitForAll(.durable, timeout: .hang)
            try posts.add(.max, to: \.likes, of: 1)
            try await store.waitForAll(.durable, timeout: .hang)
            await #expect(throws: StoreError.self) { try await store.snapshot() }
            try posts.add(-1000, to: \.likes, of: 1)
            try await materialize(store)
            _ = try await store.snapshot()
            try await store.close(deadline: .hang)
            for file in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: directory.database + file)
            }
            (store, posts, _) = try open(directory)
            #expect(try await posts.get(1)?.likes == Int.max - 995)
            try await materialize(store)
            try await store.close(deadline: .hang)
        }

        // MARK: the past, the process, the database

        @Test func theHistoryOfACounterHasItsSums() async throws {
            let directory = TemporaryStore()
            let (store, posts, _) = try open(directory)
            try posts.put(Post(id: 1, likes: 5))
            let receipt = try posts.add(1, to: \.likes, of: 1)
            try posts.add(1, to: \.likes, of: 1)
            try posts.add(4, to: \.likes, of: 2)
            try await store.waitForAll(.durable, timeout: .hang)
            _ = try await store.snapshot()
            let versions = try await posts.history(of: 1)
            #expect(versions.map(\.operation) == [.put, .add, .add])
            #expect(versions.map { $0.row?.likes } == [5, 6, 7])
            #expect(try await posts.get(1, asOf: .sequence(receipt.sequence))?.likes == 6)
            #expect(
                try await posts.get(2, asOf: .sequence(store.engine.log.lastSequence))?.likes == 4)
            try await store.close(deadline: .hang)
        }

        /// What a process that is killed leaves, opened again and again: nothing counts twice.
        @Test func afterAKillEachAddCountsOnce() async throws {
            var directory = TemporaryStore()
            var right: [Int: Int] = [:]
            for round in 1...6 {
                let (store, posts, _) = try open(directory) {
                    $0.materializeInterval = .milliseconds(1)
                    $0.syncInterval = .milliseconds(1)
                }
                for number in 0..<500 {
                    try posts.add(round, to: \.likes, of: number % 7)
                    right[number % 7, default: 0] += round
                }
                if round % 2 == 0 { try await materialize(store) }
                for id in 0..<7 where round % 3 == 0 {
                    #expect(try await posts.get(id)?.likes == right[id])
                }
                let copy = TemporaryStore()
                try FileManager.default.copyItem(atPath: directory.path, toPath: copy.path)
                try await store.close(deadline: .hang)
                directory = copy
            }
            let (store, posts, _) = try open(directory)
            for id in 0..<7 { #expect(try await posts.get(id)?.likes == right[id]) }
            try await materialize(store)
            #expect(try await stored(store) == right)
            try await store.close(deadline: .hang)
        }

        @Test func aDatabaseThatIsMadeAgainHasAllThatWasAdded() async throws {
            let directory = TemporaryStore()
            var (store, posts, _) = try open(directory)
            for id in 1...50 {
                for _ in 0..<id { try posts.add(1, to: \.likes, of: id) }
            }
            try await materialize(store)
            _ = try await store.snapshot()
            for id in 1...50 { try posts.add(100, to: \.likes, of: id) }
            try await materialize(store)
            try await store.close(deadline: .hang)
            for file in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: directory.database + file)
            }
            (store, posts, _) = try open(directory)
            #expect(try await posts.get(20)?.likes == 120)
            try await materialize(store)
            let right = Dictionary(uniqueKeysWithValues: (1...50).map { ($0, $0 + 100) })
            #expect(try await stored(store) == right)
            try await store.close(deadline: .hang)
        }
    }
#endif
