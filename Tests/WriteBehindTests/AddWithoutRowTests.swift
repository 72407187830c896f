#if Macros
    import EventLog
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    /// The metric of adds that found no row. Other stores have the same one, so each test has a process of its own.
    @Suite struct AddWithoutRowTests: CountingTests {
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
                // The count of one batch comes before the end of the next.
                try posts.put(Post(id: 100))
                try await materialize(store)
                try posts.put(Post(id: 101))
                try await materialize(store)
                precondition(
                    factory.sum("writebehind_adds_without_row") == count,
                    "\(factory.sum("writebehind_adds_without_row")) instead of \(count)")
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
            try await materialize(store)
            precondition(store.health.quarantined == 1)
            let first = await eventually { factory.sum("writebehind_adds_without_row") == 1 }
            precondition(first, "\(factory.sum("writebehind_adds_without_row"))")
            try directory.user("DROP INDEX one")
            try await store.quarantine.retry()
            try posts.put(Post(id: 3))
            try await materialize(store)
            let all = await eventually { factory.sum("writebehind_adds_without_row") == 2 }
            precondition(all, "\(factory.sum("writebehind_adds_without_row"))")
            try await store.close(deadline: .hang)
        }
    }
#endif
