#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindSQLite

    /// Whatever follows the log sees what was added: indices, projections, streams, other databases, the past.
    @Suite struct AddFollowerTests {
        private let directory = TemporaryStore()

        // MARK: ordered reads

        /// The rows of an add are in memory, in the database, in quarantine, or nowhere.
        @Test func ordersFollowAdds() async throws {
            var store = try directory.open()
            var scores = try store.table(Score.self)
            var rows: [Int: Score] = [:]
            for id in 0..<120 {
                let score = Score(id, id * 37 % 50, team: id % 3 == 0 ? nil : "t\(id % 4)")
                rows[id] = score
                try scores.put(score)
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user(
                """
                CREATE TRIGGER few BEFORE UPDATE ON score WHEN new.points > 90
                BEGIN SELECT RAISE(ABORT, 'few'); END
                """)
            for id in 0..<60 { #expect(try scores.evict(id)) }
            func add(_ amount: Int, _ id: Int) throws {
                try scores.add(amount, to: "points", of: id)
                rows[id]?.points += amount
            }
            for number in 0..<300 { try add(number % 23 - 11, number * 7 % 125) }
            for id in [5, 65] { try add(100, id) }
            try await store.expectIndices(of: scores, toHold: rows)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined > 1)
            for id in [5, 65, 6] { try add(-3, id) }
            try scores.delete(7)
            rows[7] = nil
            try add(1, 7)
            try await store.expectIndices(of: scores, toHold: rows)
            try await store.close()

            // The index is built while its rows are added to.
            store = try directory.open()
            scores = try store.table(Score.self)
            for number in 0..<300 { try add(number % 17 - 8, number * 11 % 125) }
            try await store.waitForIndices()
            try await store.expectIndices(of: scores, toHold: rows)
            try directory.user("DROP TRIGGER few")
            try await store.waitForAll(.materialized, timeout: .hang)
            _ = try await store.quarantine.retry()
            #expect(store.quarantine.list().isEmpty)
            try await store.expectIndices(of: scores, toHold: rows)
            try await store.close()
        }

        @Table("win") struct Win: Equatable {
            let id: Int
            @Index var count: Int? = 3
            var note = "-"
        }

        /// A null is less than all numbers, and counts as the default.
        @Test func anAddGivesARowThatItMakesItsPlaceInTheOrder() async throws {
            let store = try directory.open()
            let wins = try store.table(Win.self)
            try wins.put(Win(id: 1, count: nil))
            try wins.put(Win(id: 2, count: 5))
            try wins.add(-10, to: \.count, of: 3)
            #expect(try await wins.top(9, by: \.count).map(\.id) == [2, 3, 1])
            try wins.add(7, to: \.count, of: 1)
            try wins.add(1, to: \.count, of: 3)
            #expect(try await wins.top(9, by: \.count).map(\.count) == [10, 5, -6])
            #expect(try await wins.rank(of: 1, by: \.count) == 0)
            try wins.clear()
            try wins.add(1, to: \.count, of: 4)
            #expect(try await wins.top(9, by: \.count) == [Win(id: 4, count: 4)])
            try await store.close()
        }

        // MARK: projections

        @Test func aProjectionSeesTheRowBeforeAndAfterAnAdd() async throws {
            let teams = Teams()
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            try players.put(Player(id: 1, name: "Ada", score: 10))
            try players.put(Player(id: 2, name: "Bo", score: 1, team: "red"))
            try await teams.wait(store)
            #expect(try players.evict(1))
            try players.add(5, to: "score", of: 1)
            try players.add(-1, to: "score", of: 1)
            try players.add(1, to: "score", of: 3)
            try store.transaction { transaction in
                try transaction.add(2, to: "score", of: 2, in: players)
                try transaction.add(3, to: "score", of: 2, in: players)
            }
            try await teams.wait(store)
            let calls = try teams.calls(store).dropFirst(2)
            #expect(calls.map(\.operation) == Array(repeating: "add", count: 5))
            // An add to no row changes nothing, as the delete of none does.
            #expect(calls.map(\.id) == [1, 1, 3, 2, 2])
            #expect(calls.map(\.old) == [10, 15, nil, 1, 3])
            #expect(calls.map(\.new) == [15, 14, nil, 3, 6])
            #expect(try teams.difference(store) == nil)
            // Built again from the rows.
            var second = Teams()
            (second.name, second.table) = ("later", "later")
            try second.declare(store, players)
            for id in 1...3 { try players.add(id, to: "score", of: id) }
            try await second.wait(store)
            #expect(try second.difference(store) == nil && teams.difference(store) == nil)
            try await store.close()
        }

        /// What it was not shown when it was refused, it is shown once, with the sum of then.
        @Test func aProjectionSeesAnAddThatLeavesQuarantine() async throws {
            let teams = Teams()
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            try players.put(Player(id: 1, name: "Ada", score: 10))
            try await teams.wait(store)
            try directory.user(
                """
                CREATE TRIGGER few BEFORE UPDATE ON player WHEN new.score > 90
                BEGIN SELECT RAISE(ABORT, 'few'); END
                """)
            for _ in 0..<3 { try players.add(50, to: "score", of: 1) }
            try await teams.wait(store)
            #expect(try teams.difference(store) == nil)
            try directory.user("DROP TRIGGER few")
            _ = try await store.quarantine.retry()
            try await teams.wait(store)
            #expect(try teams.difference(store) == nil)
            #expect(try teams.calls(store).compactMap(\.new) == [10, 60, 110, 160])
            try await store.close()
        }

        // MARK: change streams

        @Test func aChangeStreamSaysWhatWasAdded() async throws {
            let store = try directory.open()
            let posts = try store.table(CountedPost.self)
            let stream = store.changes(of: posts, named: "adds")
            try posts.put(CountedPost(id: 1, title: "p"))
            let second = try posts.add(5, to: \.likes, of: 1)
            try store.transaction { transaction in
                try transaction.add(.min, to: \.views, of: 1, in: posts)
                try transaction.add(0, to: "votes", of: 2, in: posts)
            }
            var changes: [RowChange<CountedPost>] = []
            var iterator = stream.makeAsyncIterator()
            while changes.count < 4, let change = try await iterator.next() {
                changes.append(change)
            }
            #expect(changes.map(\.operation) == [.put, .add, .add, .add])
            #expect(changes.map(\.key) == [1, 1, 1, 2])
            #expect(changes[1].sequence == second.sequence)
            #expect(
                try changes.map { try $0.amounts }
                    == [[:], ["likes": 5], ["views": .min], ["votes": 0]])
            #expect(try changes[1].columns.isEmpty && changes[1]["likes"] == nil)
            #expect(try changes[1].new == nil && changes[1].old == nil)
            #expect(changes.map(\.isLastOfCommit) == [true, true, false, true])
            try await store.close(deadline: .hang)
        }

        // MARK: the past

        @Test func thePastIsRightAroundAdds() async throws {
            var store = try directory.open()
            var posts = try store.table(CountedPost.self)
            var tallies = try store.table(Tally.self)
            let put = try posts.put(CountedPost(id: 1, title: "p", likes: 10))
            try posts.add(1, to: \.likes, of: 1)
            try store.mark("one")
            try await store.snapshot()
            try posts.add(2, to: \.likes, of: 1)
            try tallies.add(1, to: \.count, of: "a")
            try await store.snapshot()
            let last = try posts.add(4, to: \.likes, of: 1)
            try posts.add(8, to: \.likes, of: 2)
            try tallies.add(2, to: \.count, of: "a")
            try posts.delete(1)
            try posts.add(16, to: \.likes, of: 1)
            for isReopened in [false, true] {
                if isReopened {
                    try await store.close()
                    store = try directory.open()
                    posts = try store.table(CountedPost.self)
                    tallies = try store.table(Tally.self)
                }
                try await store.waitForAll(.durable, timeout: .hang)
                #expect(try await posts.get(1, asOf: .sequence(put.sequence))?.likes == 10)
                #expect(try await posts.get(1, asOf: .mark("one"))?.likes == 11)
                #expect(try await posts.get(1, asOf: .sequence(last.sequence))?.likes == 17)
                #expect(try await posts.get(1, asOf: .date(.distantFuture)) == nil)
                #expect(try await posts.get(2, asOf: .date(.distantFuture)) == nil)
                #expect(
                    try await tallies.get("a", asOf: .date(.distantFuture))
                        == Tally(name: "a", count: 3))
                #expect(
                    try await tallies.get("a", asOf: .sequence(last.sequence))
                        == Tally(name: "a", count: 1))
                let history = try await posts.history(of: 1)
                #expect(history.map { $0.row?.likes } == [10, 11, 13, 17, nil, nil])
                #expect(history.map(\.operation) == [.put, .add, .add, .add, .delete, .add])
                #expect(history[1].columns == ["likes": .integer(11)])
                let made = try await tallies.history(of: "a")
                #expect(made.map { $0.row?.count } == [1, 3])
            }
            try await store.close()
        }

        /// They are folded over a snapshot that holds the row, or that holds a run of changes of it.
        @Test func aDatabaseIsBuiltFromSnapshotsAndAddsBehindThem() async throws {
            var sums: [Int: Int] = [:]
            func round(_ number: Int, _ posts: StoredTable<CountedPost>) throws {
                for id in 0..<60 where (id + number) % 3 == 0 {
                    try posts.add(id + number, to: \.likes, of: id)
                    if sums[id] != nil { sums[id]? += id + number }
                }
            }
            for number in 0..<5 {
                let store = try directory.open {
                    $0.logKept = .zero
                    $0.logBytesKept = 0
                    $0.segmentSize = 4 << 10
                    $0.snapshotAtClose = true
                }
                let posts = try store.table(CountedPost.self)
                for id in number * 10..<number * 10 + 12 where sums[id] == nil {
                    try posts.put(CountedPost(id: id, title: String(UUID().uuidString.prefix(9))))
                    sums[id] = 0
                }
                try round(number, posts)
                if number == 2 {
                    try posts.delete(3)
                    sums[3] = nil
                    try posts.add(1, to: \.likes, of: 3)
                }
                try await store.waitForAll(.materialized, timeout: .hang)
                try await store.snapshot()
                try round(number + 1, posts)
                try await store.close()
            }
            for suffix in ["", "-wal", "-shm"] { unlink(directory.database + suffix) }
            let store = try directory.open()
            let posts = try store.table(CountedPost.self)
            try round(9, posts)
            try await store.waitForAll(.materialized, timeout: .hang)
            let found = try await store.database.read { db in
                try Row.fetchAll(db, sql: "SELECT id, likes FROM post").map {
                    ($0[0] as Int, $0[1] as Int)
                }
            }
            #expect(Dictionary(uniqueKeysWithValues: found) == sums)
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }

        // MARK: other databases

        @Test func aSecondDatabaseCountsEachAddOnceWhateverTheFirstRefuses() async throws {
            let other = directory.path + "-reports.sqlite"
            defer { for suffix in ["", "-wal", "-shm"] { unlink(other + suffix) } }
            func open() throws -> Store {
                var configuration = StoreConfiguration()
                configuration.stagingSlotSize = 1 << 20
                configuration.cacheLimit = 16 << 20
                configuration.retryLimit = .milliseconds(20)
                var environment = StoreEnvironment.machine(configuration)
                environment.secondaries = [
                    SecondaryDatabase.Place(
                        "reports", SQLiteOpener(SQLiteOptions(), path: other))
                ]
                return try Store(
                    at: directory.path, configuration: configuration, environment: environment)
            }
            func sums() throws -> [Int] {
                let queue = try DatabaseQueue(path: other)
                defer { try? queue.close() }
                return try queue.read {
                    try Int.fetchAll($0, sql: "SELECT likes FROM post ORDER BY id")
                }
            }
            var store = try open()
            var posts = try store.table(CountedPost.self)
            for id in 0..<3 { try posts.put(CountedPost(id: id, title: "p")) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user(
                """
                CREATE TRIGGER few BEFORE UPDATE ON post WHEN new.likes > 9
                BEGIN SELECT RAISE(ABORT, 'few'); END
                """)
            for id in 0..<3 { for _ in 0..<3 { try posts.add(id * 2, to: \.likes, of: id) } }
            #expect(await eventually { (try? sums()) == [0, 6, 12] })
            #expect(try await posts.get(2)?.likes == 12)
            store.abandon()
            store = try open()
            posts = try store.table(CountedPost.self)
            try posts.add(1, to: \.likes, of: 1)
            #expect(await eventually { (try? sums()) == [0, 7, 12] })
            #expect(try await posts.get(all: 0..<3).map { $0?.likes } == [0, 7, 12])
            #expect(store.health.quarantined == 1)
            try await store.close(deadline: .hang)
        }
    }
#endif
