import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// Who makes a row of a shared table, and how old it is when it is read.
    @Suite struct SharedRowTests {
        private let database: TestDatabase
        private let tests: [TestStore]

        init() throws {
            let database = try TestServer.shared.makeDatabase()
            self.database = database
            tests = try (0..<3).map { _ in try TestStore(in: database) }
        }

        @Test func theFirstStoreThatPutsARowMakesIt() async throws {
            let stores = try tests.map { try $0.open() }
            let tables = try stores.map { try $0.sharedTable(Post.self) }
            for (number, table) in tables.enumerated() {
                for id in 0..<100 {
                    var post = Post(id: id, likes: 1000 * number)
                    post.note = "store \(number)"
                    try table.putIfAbsent(post)
                    try table.add(1, to: "likes", of: id)
                }
                if number == 0 { try await stores[0].waitForAll(.materialized, timeout: .hang) }
            }
            for store in stores { try await store.waitForAll(.materialized, timeout: .hang) }
            let right = Dictionary(uniqueKeysWithValues: (0..<100).map { ($0, 3) })
            #expect(try database.likes() == right)
            #expect(try database.value("SELECT count(DISTINCT note) FROM post") == "1")
            #expect(try await tables[2].get(7)?.note == "store 0")
            // What a row begins with is nobody's add.
            let applied = try database.value("SELECT sum(sum) FROM writebehind.applied")
            #expect(applied == "300")
            for store in stores { try await store.close(deadline: .hang) }
        }

        @Test func storesThatPutTheSameRowsAtTheSameTimeMakeEachOnce() async throws {
            let stores = try tests.map { try $0.open { $0.rowsAStatement = 7 } }
            try await withThrowingTaskGroup { group in
                for (number, store) in stores.enumerated() {
                    group.addTask {
                        let posts = try store.sharedTable(Post.self)
                        for start in stride(from: 0, to: 1000, by: 50) {
                            for id in start..<start + 50 {
                                let id = number == 1 ? id : 999 - id
                                try posts.putIfAbsent(Post(id: id, likes: 100))
                                try posts.add(1, to: "likes", of: id)
                            }
                            try await store.waitForAll(.materialized, timeout: .hang)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let right = Dictionary(uniqueKeysWithValues: (0..<1000).map { ($0, 103) })
            #expect(try database.likes() == right)
            for store in stores { try await store.close(deadline: .hang) }
        }

        @Test func aCopyGetsWhatOthersBroughtWhenItIsTooOld() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let (mine, others) = (
                try one.sharedTable(Post.self), try other.sharedTable(Post.self)
            )
            try mine.add(1, to: "likes", of: 1)
            #expect(try await mine.get(1, maxAge: .seconds(60))?.likes == 11)
            let receipt = try others.add(100, to: "likes", of: 1)
            try await other.wait(for: .materialized, receipt, timeout: .hang)
            try mine.add(1, to: "likes", of: 1)
            #expect(try await mine.get(1, maxAge: .seconds(60))?.likes == 12)
            let isThere = try await eventually {
                try await mine.get(1, maxAge: .milliseconds(50))?.likes == 112
            }
            #expect(isThere)
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        /// A constraint is about the row that there is in the end, also if another transaction is making it right now.
        @Test func aRowThatOthersAreMakingIsNotRefusedForWhatItIsNot() async throws {
            let store = try tests[0].open()
            let posts = try store.sharedTable(Post.self)
            try posts.add(1, to: "likes", of: 2)
            try await store.waitForAll(.materialized, timeout: .hang)
            try database.run("ALTER TABLE post ADD CHECK (likes >= 10)")
            let other = try Session(database.url)
            _ = try other.run("BEGIN; INSERT INTO post (id, likes) VALUES (1, 100)")
            try posts.add(-5, to: "likes", of: 1)
            try await Task.sleep(for: .milliseconds(300))
            _ = try other.run("COMMIT")
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 0)
            #expect(try database.likes() == [1: 95, 2: 11])
            // These rows nobody else makes.
            try posts.add(-5, to: "likes", of: 3)
            try posts.add(5, to: "likes", of: 4)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            #expect(try database.likes() == [1: 95, 2: 11, 4: 15])
            let applied = try database.value("SELECT sum(sum) FROM writebehind.applied")
            #expect(applied == "1")
            try await store.close(deadline: .hang)
        }

        /// The server forgets what it did not keep, and another store comes first then.
        @Test func aRowThatWasPutIfAbsentSurvivesTheServer() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let (mine, others) = (
                try one.sharedTable(Post.self), try other.sharedTable(Post.self)
            )
            try others.add(1, to: "likes", of: 0)
            try await other.waitForAll(.materialized, timeout: .hang)
            for id in 1...10 {
                try mine.putIfAbsent(Post(id: id, likes: 1000))
                try await one.waitForAll(.materialized, timeout: .hang)
                // A store that is closed brings nothing back.
                if id == 10 { one.abandon() }
                TestServer.shared.kill()
                try TestServer.shared.start()
                try others.add(1, to: "likes", of: id)
                try await other.waitForAll(.materialized, timeout: .hang)
                #expect(try database.likes()[id] == 1001)
            }
            try await other.close(deadline: .hang)
        }
    }
}
