import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// Several stores count into one table.
    @Suite struct SharedTableTests {
        private let database: TestDatabase
        private let tests: [TestStore]

        init() throws {
            let database = try TestServer.shared.makeDatabase()
            self.database = database
            tests = try (0..<3).map { _ in try TestStore(in: database) }
        }

        @Test func theDatabaseAddsUpWhatAllStoresCount() async throws {
            let stores = try tests.map { try $0.open() }
            let tables = try stores.map { try $0.sharedTable(Post.self) }
            for round in 0..<10 {
                for (number, table) in tables.enumerated() {
                    for id in 0..<200 { try table.add(number + 1, to: "likes", of: id) }
                    try table.add(1, to: "shares", of: round)
                }
            }
            for store in stores { try await store.waitForAll(.materialized, timeout: .hang) }
            let right = Dictionary(uniqueKeysWithValues: (0..<200).map { ($0, 10 + 60) })
            #expect(try database.likes() == right)
            #expect(try database.value("SELECT sum(shares) FROM post") == "30")
            for table in tables {
                #expect(try await table.get(7)?.likes == 70)
                #expect(try await table.get(all: [1, 500]).map { $0?.shares } == [3, nil])
            }
            let applied = try database.run(
                "SELECT place, sum(sum) FROM writebehind.applied GROUP BY 1 ORDER BY 1")
            #expect(applied.map { $0.map { $0 ?? "" } } == [["0", "12000"], ["2", "30"]])
            for store in stores { try await store.close(deadline: .hang) }
        }

        @Test func aReadHasEverythingThatItsStoreHasAddedAndWhatOthersBrought() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let (mine, others) = (
                try one.sharedTable(Post.self), try other.sharedTable(Post.self)
            )
            for round in 1...30 {
                try mine.add(1, to: "likes", of: 1)
                let receipt = try others.add(1, to: "likes", of: 1)
                #expect(try await mine.get(1)?.likes ?? 0 >= 10 + round)
                try await other.wait(for: .materialized, receipt, timeout: .hang)
                // Nothing that was read before is kept.
                #expect(try await mine.get(1)?.likes == 10 + 2 * round)
            }
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
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

        @Test func aTransactionIsVisibleAsAWhole() async throws {
            let store = try tests[0].open()
            let (posts, players) = (
                try store.sharedTable(Post.self), try store.table(Player.self)
            )
            try store.transaction { transaction in
                try transaction.put(Player(id: 1), in: players)
                try transaction.add(2, to: "likes", of: 1, in: posts)
                try transaction.add(-2, to: "likes", of: 2, in: posts)
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try database.likes() == [1: 12, 2: 8])
            #expect(try tests[0].players() == [Player(id: 1)])
            try await store.close(deadline: .hang)
        }

        @Test func aStoreThatIsKilledCountsOnceAfterItIsOpenedAgain() async throws {
            var store = try tests[0].open()
            let other = try tests[1].open()
            let others = try other.sharedTable(Post.self)
            for life in 0..<5 {
                let posts = try store.sharedTable(Post.self)
                for id in 0..<500 {
                    try posts.add(1, to: "likes", of: id)
                    try others.add(1, to: "likes", of: 499 - id)
                }
                if life % 2 == 0 { try await store.waitForAll(.durable, timeout: .hang) }
                store.abandon()
                store = try tests[0].open()
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await other.waitForAll(.materialized, timeout: .hang)
            let right = Dictionary(uniqueKeysWithValues: (0..<500).map { ($0, 20) })
            #expect(try database.likes() == right)
            try await store.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        /// A new row is made by one of them, and the others add to it.
        @Test func storesThatMakeTheSameRowsAtTheSameTimeLoseNothing() async throws {
            let stores = try tests.map { try $0.open { $0.rowsAStatement = 7 } }
            try await withThrowingTaskGroup { group in
                for (number, store) in stores.enumerated() {
                    group.addTask {
                        let posts = try store.sharedTable(Post.self)
                        for start in stride(from: 0, to: 2000, by: 50) {
                            for id in start..<start + 50 {
                                try posts.add(1, to: "likes", of: number == 1 ? id : 1999 - id)
                            }
                            try await store.waitForAll(.materialized, timeout: .hang)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let right = Dictionary(uniqueKeysWithValues: (0..<2000).map { ($0, 13) })
            #expect(try database.likes() == right)
            for store in stores { try await store.close(deadline: .hang) }
        }

        @Test func batchesOfSeveralStoresNeverWaitInACircle() async throws {
            let stores = try tests.map { try $0.open { $0.rowsAStatement = 50 } }
            try await withThrowingTaskGroup { group in
                for (number, store) in stores.enumerated() {
                    group.addTask {
                        // Each store gives the tables other numbers.
                        if number == 1 { _ = try store.sharedTable(Share.self) }
                        let posts = try store.sharedTable(Post.self)
                        let shares = try store.sharedTable(Share.self)
                        for round in 0..<40 {
                            for id in 0..<200 {
                                let id = (id * 37 + round * number) % 200
                                try posts.add(1, to: "likes", of: id)
                                try shares.add(1, to: "count", of: "s\(id)")
                            }
                            try await store.waitForAll(.materialized, timeout: .hang)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let deadlocks = try database.value(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            #expect(deadlocks == "0")
            #expect(try database.likes().values.allSatisfy { $0 == 10 + 120 })
            #expect(try database.value("SELECT sum(count) FROM share") == "24000")
            for store in stores { try await store.close(deadline: .hang) }
        }

        @Test func rowsAndColumnsThatOthersChangeByHandStay() async throws {
            let store = try tests[0].open()
            let posts = try store.sharedTable(Post.self)
            try posts.add(1, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            try database.run(
                "UPDATE post SET note = 'by hand', likes = 100; INSERT INTO post (id, likes) VALUES (2, 5)"
            )
            for id in 1...2 { try posts.add(1, to: "likes", of: id) }
            #expect(try await posts.get(1)?.note == "by hand")
            #expect(try await posts.get(all: [1, 2]).map { $0?.likes } == [101, 6])
            try database.run("DELETE FROM post")
            #expect(try await posts.get(1) == nil)
            try posts.add(1, to: "likes", of: 1)
            #expect(try await posts.get(1)?.likes == 11)
            try await store.close(deadline: .hang)
        }

        // MARK: quarantine

        @Test func anAddThatIsRefusedWaitsAloneAndCountsOnceLater() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let (mine, others) = (
                try one.sharedTable(Post.self), try other.sharedTable(Post.self)
            )
            for id in 1...20 { try mine.add(0, to: "likes", of: id) }
            try await one.waitForAll(.materialized, timeout: .hang)
            try database.run("ALTER TABLE post ADD CONSTRAINT few CHECK (likes < 20)")
            for id in 1...20 { try mine.add(id == 7 ? 50 : 1, to: "likes", of: id) }
            try mine.add(1, to: "likes", of: 7)
            for id in 1...20 { try others.add(2, to: "likes", of: id) }
            try await one.waitForAll(.materialized, timeout: .hang)
            try await other.waitForAll(.materialized, timeout: .hang)
            #expect(one.health.quarantined == 2)
            #expect(other.health.quarantined == 0)
            #expect(try database.likes().values.sorted() == [12] + Array(repeating: 13, count: 19))
            #expect(try await mine.get(7)?.likes == 12)
            try database.run("ALTER TABLE post DROP CONSTRAINT few")
            #expect(try await one.quarantine.retry().left == 0)
            #expect(try await mine.get(7)?.likes == 63)
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        @Test func givingUpARefusedAddLeavesWhatOthersCounted() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let (mine, others) = (
                try one.sharedTable(Post.self), try other.sharedTable(Post.self)
            )
            let receipt = try mine.add(.max, to: "likes", of: 1)
            try await one.waitForAll(.materialized, timeout: .hang)
            try mine.add(5, to: "likes", of: 1)
            try await one.waitForAll(.materialized, timeout: .hang)
            #expect(one.health.quarantined == 2)
            try others.add(3, to: "likes", of: 1)
            try await other.waitForAll(.materialized, timeout: .hang)
            try await one.quarantine.skip(
                receipt.sequence, reason: "too much", includingFollowers: true)
            try mine.add(4, to: "likes", of: 1)
            try await one.waitForAll(.materialized, timeout: .hang)
            #expect(one.health.quarantined == 0)
            #expect(try database.likes() == [1: 10 + 3 + 4])
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

        /// Adds do not wait for anybody, so the row changes while it is given up.
        @Test(arguments: [false, true])
        func aRowThatIsCountedAllTheTimeCanBeGivenUp(inTransactions: Bool) async throws {
            let store = try tests[0].open()
            let posts = try store.sharedTable(Post.self)
            let receipt = try posts.add(.max, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            let isOver = Signal()
            let counting = Task {
                let posts = try store.sharedTable(Post.self)
                let players = try store.table(Player.self)
                for id in 1... {
                    if isOver.current > 0 { break }
                    try store.transaction { transaction in
                        try transaction.add(1, to: "likes", of: 1, in: posts)
                        guard inTransactions else { return }
                        try transaction.put(Player(id: id), in: players)
                    }
                    try await Task.sleep(for: .microseconds(100))
                }
            }
            try await store.quarantine.skip(
                receipt.sequence, reason: "too much", includingFollowers: true)
            isOver.raise()
            try await counting.value
            try await store.waitForAll(.materialized, timeout: .hang)
            // Rows that came into the group meanwhile are still there, and the adds behind them.
            #expect(inTransactions || store.health.quarantined == 0)
            let before = try database.likes()[1] ?? 10
            try posts.add(3, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try database.likes()[1] == before + 3)
            _ = try await store.quarantine.retry()
            #expect(store.health.quarantined == 0)
            try await store.close(deadline: .hang)
        }
    }

    struct Share: TableRow, Equatable {
        typealias Key = String
        static let schema = TableSchema(
            "share", [.key("name", .text), .column("count", .integer, default: .integer(0))])
        var name: String
        var count = 0

        init(name: String, count: Int = 0) { (self.name, self.count) = (name, count) }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(name)
            encoder.encode(count)
        }

        init(from decoder: inout RowDecoder) throws(RowError) {
            name = try decoder.decode()
            count = try decoder.decode()
        }
    }

    struct NewShare: TableRow, Equatable {
        typealias Key = String
        static let schema = TableSchema(
            "share",
            [
                .key("name", .text), .column("count", .integer, default: .integer(0)),
                .column("views", .integer, default: .integer(0)),
            ])
        var name: String
        var count = 0
        var views = 0

        init(name: String, count: Int, views: Int) {
            (self.name, self.count, self.views) = (name, count, views)
        }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(name)
            encoder.encode(count)
            encoder.encode(views)
        }

        init(from decoder: inout RowDecoder) throws(RowError) {
            name = try decoder.decode()
            count = try decoder.decode()
            views = try decoder.decode()
        }
    }
}
