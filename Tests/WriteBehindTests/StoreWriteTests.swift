import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// The same table, as in a later version of a program.
struct PlayerWithRank: TableRow, Equatable {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "player", Player.schema.columns + [.column("rank", .integer, default: .integer(7))])
    var id: Int
    var name: String
    var score: Int
    var team: String?
    var rank: Int

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(name)
        encoder.encode(score)
        encoder.encode(team)
        encoder.encode(rank)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        name = try decoder.decode()
        score = try decoder.decode()
        team = try decoder.decode()
        rank = try decoder.decode()
    }
}

/// The same table, changed in a way that rows cannot follow.
struct PlayerWithTextScore: TableRow {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "player",
        [
            .key("id", .integer), .column("name", .text), .column("score", .text),
            .column("team", .text, nullable: true),
        ])
    func encode(to encoder: inout RowEncoder) {}
    init(from decoder: inout RowDecoder) throws { throw StoreError.unknownTable("never read") }
}

@Suite struct StoreWriteTests {
    @Test func anUpdateLogsOnlyTheColumnsThatDiffer() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada", score: 1, team: "red"))
        let receipt = try await players.update(1) { $0.score = 2 }
        #expect(receipt.sequence == 3)
        let unchanged = try await players.update(1) { $0.score = 2 }
        #expect(unchanged == receipt, "nothing is logged where nothing differs")
        let missing = StoreError.noSuchRow(table: "player", key: "9")
        #expect(await storeError { try await players.update(9) { $0.score = 2 } } == missing)
        try await store.close()
        let records = try directory.records()
        #expect(records.map(\.operation) == [.define, .put, .patch])
        let body = try #require(records.last).body
        let changes = try RowCodec.decodePatch(body.span, Player.schema)
        #expect(changes == [ColumnChange(column: 1, value: .integer(2))])
    }

    @Test func anUpdateMayNotChangeTheKey() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        let error = await storeError { try await players.update(1) { $0.id = 2 } }
        guard case .keyChanged(table: "player")? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await players.get(1)?.name == "Ada")
        try await store.close()
    }

    @Test func incrementAddsPutsAndRefuses() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let missing = StoreError.noSuchRow(table: "player", key: "1")
        #expect(await storeError { try await players.increment(1, "score") } == missing)
        let first = Player(id: 1, name: "Ada", score: 5)
        #expect(try await players.increment(1, "score", orPut: first).value == 5)
        #expect(try await players.increment(1, "score", by: -7, orPut: first).value == -2)
        #expect(try await players.increment(1, "score", by: .max).value == .max - 2)
        for (column, amount) in [("score", 3), ("team", 1), ("id", 1), ("nothing", 1)] {
            let error = await storeError { _ = try await players.increment(1, column, by: amount) }
            guard case .cannotIncrement(table: "player", column: column, _)? = error else {
                Issue.record("\(column): \(String(describing: error))")
                continue
            }
        }
        #expect(try await players.get(1)?.score == .max - 2)
        try await store.close()
    }

    @Test func theFirstRowOfACounterHasTheKeyThatIsIncremented() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let other = Player(id: 2, name: "Bo")
        let errors = [
            await storeError { _ = try await players.increment(1, "score", orPut: other) },
            await storeError {
                try await store.transaction { transaction in
                    _ = try await transaction.increment(1, "score", in: players, orPut: other)
                }
            },
        ]
        for error in errors {
            guard case .initialHasAnotherKey(table: "player")? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(error?.description.contains("given as `orPut` has another key") == true)
        }
        #expect(try await players.get(2) == nil)
        try await store.close()
    }

    @Test func aTableOfAnotherStoreIsRefused() async throws {
        let (one, other) = (TemporaryStore(), TemporaryStore())
        let (store, foreign) = (try one.open(), try other.open())
        let (mine, theirs) = (try store.table(Player.self), try foreign.table(Player.self))
        let error = await storeError {
            try store.transaction {
                try $0.put(Player(id: 1, name: "Ada"), in: mine)
                try $0.put(Player(id: 1, name: "Ada"), in: theirs)
            }
        }
        guard case .unknownTable("player")? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await mine.get(1) == nil, "a transaction that throws writes nothing")
        try mine.put(Player(id: 1, name: "Ada"))
        #expect(try await theirs.get(1) == nil, "two stores in a process share nothing")
        try await store.close()
        try theirs.put(Player(id: 1, name: "Bo"))
        try await foreign.close()
    }

    @Test func readingTransactionsThatMeetRunAgain() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    for _ in 0..<200 {
                        try await store.transaction { tx in
                            let score = try await tx.get(1, in: players)?.score ?? 0
                            await Task.yield()
                            try tx.put(Player(id: 1, name: "Ada", score: score + 1), in: players)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await players.get(1)?.score == 400)
        try await store.close()
    }

    /// A service as an actor: what it hands to the store uses its own state. Compiling is half of the test.
    private actor Scores {
        private let store: Store
        private let players: StoredTable<Player>
        private var bonus = 2
        private(set) var tries = 0

        init(_ store: Store) throws {
            self.store = store
            players = try store.table(Player.self)
            try players.put(Player(id: 1, name: "Ada"))
        }

        func reward() async throws {
            try await players.update(1) {
                tries += 1
                $0.score += bonus
            }
        }

        func rewardInATransaction() async throws {
            try await store.transaction { tx in
                self.assertIsolated()
                tries += 1
                guard try await tx.get(1, in: players) != nil else { return }
                try await tx.update(1, in: players) { $0.score += bonus }
                try await Self.addOne(&tx, players)
            }
        }

        /// A function of no actor takes the transaction along.
        private nonisolated static func addOne(
            _ transaction: inout Transaction, _ players: StoredTable<Player>
        ) async throws {
            try await transaction.update(1, in: players) { $0.score += 1 }
        }

        func score() async throws -> Int? { try await players.get(1)?.score }
    }

    @Test func anActorUsesItsOwnStateInWhatItHandsToTheStore() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try Scores(store)
        try await scores.reward()
        try await scores.rewardInATransaction()
        #expect(try await scores.score() == 5)
        #expect(await scores.tries == 2)
        try await store.close()
    }

    @Test func errorsSayTheSameWhereFoundationAsks() {
        let row = RowError(table: "player", column: "score", .unexpectedNull)
        let schema = SchemaError(table: "player", .noKeyColumn)
        #expect(row.localizedDescription == "\(row)")
        #expect(schema.localizedDescription == "\(schema)")
        let error = StoreError.diskFull("no space left")
        #expect(error.localizedDescription == "\(error)")
        #expect((error as any Error).localizedDescription.contains("no space left"))
    }

    @Test func aColumnAddedLaterShowsItsDefaultInOldRows() async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        var old = try store.table(Player.self)
        for id in 1...3 { try old.put(Player(id: id, name: "p\(id)")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()

        store = try directory.open()
        old = try store.table(Player.self)
        #expect(try await old.get(1)?.name == "p1", "in memory from before the column")
        try old.put(Player(id: 4, name: "p4"))
        let players = try store.table(PlayerWithRank.self)
        #expect(try await players.get(1)?.rank == 7)
        #expect(try await players.get(2)?.rank == 7)
        #expect(try await players.get(4)?.rank == 7)
        _ = try await players.update(4) { $0.rank = 8 }
        _ = try await players.update(3) { $0.score = 1 }
        try await store.waitForAll(.materialized, timeout: .hang)
        let ranks = try await store.database.read {
            try Int.fetchAll($0, sql: "SELECT rank FROM player ORDER BY id")
        }
        #expect(ranks == [7, 7, 7, 8])
        #expect(try await players.get(3)?.rank == 7)
        try await store.close()
        store = try directory.open()
        #expect(try await store.table(PlayerWithRank.self).get(4)?.rank == 8)
        try await store.close()
    }

    @Test func anIncompatibleSchemaIsRefusedByColumnAndTypes() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        _ = try store.table(Player.self)
        _ = try store.table(Player.self)  // declared twice is once
        let error = await storeError { _ = try store.table(PlayerWithTextScore.self) }
        let text = "\(try #require(error))"
        #expect(text.contains("score") && text.contains("integer") && text.contains("text"))
        try await store.close()
        #expect(try directory.records().map(\.operation) == [.define])
    }

    @Test func aTableCanBeReadBeforeTheDatabaseHasIt() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = SinkError(.busy, "injected")
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        #expect(try await players.get(1) == nil)
        try players.put(Player(id: 1, name: "Ada"))
        try await players.update(1) { $0.score = 3 }
        #expect(try await players.get(1)?.score == 3)
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        #expect(try await players.get(1)?.score == 3)
        try await store.close()
    }

    @Test(arguments: [Duration.zero, .milliseconds(1)])
    func aCopyThatLivesShorterThanItsReadingIsStillReturned(_ lifetime: Duration) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        for _ in 0..<20 { #expect(try await players.get(1, cachedFor: lifetime)?.name == "Ada") }
        try await store.close()
    }

    /// Each of the sixteen parts of memory has its part of the limit, a quarter of a megabyte here.
    @Test func aRowIsTakenThatAloneExceedsItsPartOfTheDirtyLimit() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = SinkError(.busy, "injected")
        let store = try directory.open(failing: failing) {
            $0.cacheLimit = 256 << 20
            $0.dirtyLimit = 4 << 20
        }
        let table = try store.keyValues()
        let row = KeyValue(key: "big", value: [UInt8](repeating: 1, count: 300_000))
        try table.put(row)
        let error = await storeError { try table.put(row) }
        guard case .backlogFull(.dirtyBytes)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        try table.put(row)
        try await store.close()
    }
}
