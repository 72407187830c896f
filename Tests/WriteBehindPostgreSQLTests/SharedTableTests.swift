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
            #expect(store.health.quarantined == 0)
            let before = try database.likes()[1] ?? 10
            try posts.add(3, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try database.likes()[1] == before + 3)
            #expect(store.health.quarantined == 0)
            if inTransactions {
                // Of a transaction that was given up nothing is there; of all others the whole.
                let count = try database.value("SELECT count(*) FROM player")
                #expect(count == "\(before - 10)")
            }
            try await store.close(deadline: .hang)
        }

        @Test func addsThatFollowAreGivenUpOnlyIfTheCallSaysSo() async throws {
            let store = try tests[0].open()
            let posts = try store.sharedTable(Post.self)
            let receipt = try posts.add(.max, to: "likes", of: 1)
            try posts.add(1, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            await #expect(throws: StoreError.self) {
                try await store.quarantine.skip(receipt.sequence, reason: "too much")
            }
            #expect(store.health.quarantined == 2)
            try await store.quarantine.skip(
                receipt.sequence, reason: "too much", includingFollowers: true)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 0)
            try await store.close(deadline: .hang)
        }

        /// The call succeeds only if nothing has followed; otherwise it says so, and gives nothing up.
        @Test func addsThatComeMeanwhileAreGivenUpOnlyIfTheCallSaysSo() async throws {
            let store = try tests[0].open()
            let posts = try store.sharedTable(Post.self)
            for id in 1...10 {
                let receipt = try posts.add(.max, to: "likes", of: id)
                try await store.waitForAll(.materialized, timeout: .hang)
                async let skipped = store.quarantine.skip(receipt.sequence, reason: "too much")
                for _ in 0..<50 {
                    try posts.add(1, to: "likes", of: id)
                    try await Task.sleep(for: .milliseconds(1))
                }
                let isDone = (try? await skipped) != nil
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(store.health.quarantined == (isDone ? 0 : 51))
                guard !isDone else {
                    #expect(try database.likes()[id] == 10 + 50)
                    continue
                }
                try await store.quarantine.skip(
                    receipt.sequence, reason: "too much", includingFollowers: true)
                try await store.waitForAll(.materialized, timeout: .hang)
            }
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
