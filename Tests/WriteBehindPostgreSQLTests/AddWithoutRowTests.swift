import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    @Suite struct AddWithoutRowTests {
        /// Other stores have the same metric, so this has a process, and a server, of its own.
        @Test func eachAddThatFoundNoRowIsCountedOnce() async {
            await #expect(processExitsWith: .success) {
                try await Self().countOnce()
            }
        }

        private func countOnce() async throws {
            let factory = TestMetrics.bootstrapped
            let test = try TestStore()
            let store = try test.open()
            let posts = try store.table(Post.self)
            let players = try store.table(Player.self)
            func expect(_ count: Double) async throws {
                // The count of one batch comes before the end of the next.
                for id in 100...101 {
                    try posts.put(Post(id: id))
                    try await store.waitForAll(.materialized, timeout: .hang)
                }
                precondition(
                    factory.sum("writebehind_adds_without_row") == count,
                    "\(factory.sum("writebehind_adds_without_row")) instead of \(count)")
            }
            try players.put(Player(id: 1))
            try players.add(1, to: "score", of: 1)
            // Made by the add.
            try posts.add(1, to: "likes", of: 1)
            try await expect(0)
            // The database has to be asked.
            try players.add(1, to: "score", of: 2)
            try await expect(1)
            // Its batch has removed the row itself.
            try store.transaction {
                try $0.delete(1, in: players)
                try $0.add(1, to: "score", of: 1, in: players)
            }
            try await expect(2)
            // In order, because of the mark.
            try players.add(1, to: "score", of: 3)
            try store.mark("here")
            try await expect(3)
            // What is refused counts when it is taken.
            try test.database.run("ALTER TABLE player ADD CONSTRAINT few CHECK (score < 1000)")
            try store.transaction {
                try $0.add(1, to: "score", of: 4, in: players)
                try $0.put(Player(id: 5, score: 2000), in: players)
            }
            try await expect(3)
            precondition(store.health.quarantined == 1)
            try test.database.run("ALTER TABLE player DROP CONSTRAINT few")
            try await store.quarantine.retry()
            try await expect(4)
            try await store.close(deadline: .hang)
        }
    }
}
