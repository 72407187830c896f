#if Macros
    import EventLog
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// The metric of adds that found no row. Other stores have the same one, so each test has a process of its own.
    @Suite struct AddWithoutRowTests: CountingTests {
        private func expect(
            _ count: Double, _ factory: TestMetrics, _ store: Store,
            _ posts: StoredTable<Counted.Post>
        ) async throws {
            // The count of one batch comes before the end of the next.
            for id in 100...101 {
                try posts.put(Counted.Post(id: id))
                try await materialize(store)
            }
            let found = factory.sum("writebehind_adds_without_row")
            precondition(found == count, "\(found) instead of \(count)")
        }

        @Test func eachAddThatFoundNoRowIsCountedOnce() async {
            await #expect(processExitsWith: .success) {
                try await Self().countOnce()
            }
        }

        private func countOnce() async throws {
            let factory = TestMetrics.bootstrapped
            let directory = TemporaryStore()
            var (store, posts, polls) = try open(directory)
            func expect(_ count: Double) async throws {
                try await self.expect(count, factory, store, posts)
            }
            try polls.put(Poll(id: 1, question: "Q"))
            try polls.add(1, to: \.votes, of: 1)
            // Made by the add.
            try posts.add(1, to: \.likes, of: 1)
            try await expect(0)
            // The database has to be asked.
            try polls.add(1, to: \.votes, of: 2)
            try await expect(1)
            // Their batch has removed the row itself.
            try store.transaction {
                try $0.delete(1, in: polls)
                try $0.add(1, to: \.votes, of: 1, in: polls)
            }
            try await expect(2)
            try store.transaction {
                try $0.clear(polls)
                try $0.add(1, to: \.votes, of: 3, in: polls)
            }
            try await expect(3)
            // One by one, because of the mark.
            try polls.add(1, to: \.votes, of: 4)
            try store.mark("here")
            try await expect(4)
            try await store.close(deadline: .hang)
            (store, posts, polls) = try open(directory)
            try await expect(4)
            // What was applied to one database is applied to the next one, too.
            for name in ["", "-wal", "-shm"] {
                try FileManager.default.removeItem(
                    atPath: directory.path + "/database.sqlite" + name)
            }
            try await expect(4)
            try polls.add(1, to: \.votes, of: 5)
            try await expect(5)
            try await store.close(deadline: .hang)
        }

        @Test func whatIsRefusedCountsWhenItIsTaken() async {
            await #expect(processExitsWith: .success) {
                try await Self().refuse()
            }
        }

        private func refuse() async throws {
            let factory = TestMetrics.bootstrapped
            let directory = TemporaryStore()
            let (store, posts, polls) = try open(directory)
            try await materialize(store)
            try directory.user("CREATE UNIQUE INDEX one ON post (note)")
            try posts.put(Post(id: 1, note: "taken"))
            try store.transaction {
                try $0.add(1, to: \.votes, of: 1, in: polls)
                try $0.put(Post(id: 2, note: "taken"), in: posts)
            }
            try polls.add(1, to: \.votes, of: 2)
            try await expect(1, factory, store, posts)
            precondition(store.health.quarantined == 1)
            try directory.user("DROP INDEX one")
            try await store.quarantine.retry()
            try await expect(2, factory, store, posts)
            try await store.close(deadline: .hang)
        }
    }
#endif
