import EventLog
import GRDB
import TestSupport
import Testing
import WriteBehind

/// A program from before a column was added: `Player` lacks the `rank` of `PlayerWithRank`.
@Suite struct OlderHandleTests {
    private func ranked(_ id: Int, _ rank: Int) -> PlayerWithRank {
        PlayerWithRank(id: id, name: "p\(id)", score: 1, team: "red", rank: rank)
    }

    /// Where the row is when the older program puts it.
    enum Place: CaseIterable {
        case inMemory, changedInMemory, inTheDatabase, nowhere, deleted, deletedForGood, cleared
    }

    private func prepare(
        _ place: Place, _ store: Store, _ players: StoredTable<PlayerWithRank>
    ) async throws {
        if place == .nowhere { return }
        try players.put(ranked(1, 3))
        switch place {
        case .inTheDatabase, .deletedForGood, .cleared, .changedInMemory:
            try await store.waitForAll(.materialized, timeout: .hang)
        default: break
        }
        switch place {
        case .inTheDatabase: #expect(try players.evict(1))
        case .changedInMemory: try await players.increment(1, "rank", by: 0)
        case .deleted: try players.delete(1)
        case .deletedForGood:
            try players.delete(1)
            try await store.waitForAll(.materialized, timeout: .hang)
        case .cleared: try players.clear()
        case .inMemory, .nowhere: break
        }
    }

    @Test(arguments: Place.allCases, [false, true])
    func itsPutKeepsTheColumnsThatItDoesNotKnow(_ place: Place, _ inTransaction: Bool) async throws
    {
        let directory = TemporaryStore()
        var store = try directory.open()
        try await prepare(place, store, try store.table(PlayerWithRank.self))
        let expected =
            switch place {
            case .inMemory, .changedInMemory, .inTheDatabase: 3
            case .nowhere, .deleted, .deletedForGood, .cleared: 7
            }
        let old = try store.table(Player.self)
        let row = Player(id: 1, name: "new", score: 2, team: nil)
        if inTransaction {
            try store.transaction { try $0.put(row, in: old) }
        } else {
            try old.put(row)
        }
        let after = PlayerWithRank(id: 1, name: "new", score: 2, team: nil, rank: expected)
        #expect(try await old.get(1) == row)
        #expect(try await store.table(PlayerWithRank.self).get(1) == after)
        try await store.waitForAll(.materialized, timeout: .hang)
        let rank = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT rank FROM player")
        }
        #expect(rank == expected, "the database has the same")
        try await store.snapshot()
        let last = try await store.snapshots().last?.sequence ?? 0
        let folded = try await store.table(PlayerWithRank.self).get(1, asOf: .sequence(last))
        #expect(folded == after, "and what is folded from the log")
        try await store.close()
        store = try directory.open()
        #expect(try await store.table(PlayerWithRank.self).get(1) == after)
        try await store.close()
    }

    /// The put is above the watermark, and is replayed into memory.
    @Test(arguments: Place.allCases)
    func itsPutIsReplayedAfterAKill(_ place: Place) async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        do {
            let store = try directory.open(failing: failing)
            try await prepare(place, store, try store.table(PlayerWithRank.self))
            failing.now = SinkError(.busy, "injected")
            try store.table(Player.self).put(Player(id: 1, name: "new", score: 2))
        }
        let store = try directory.open(failing: failing)
        let players = try store.table(PlayerWithRank.self)
        let keeps = [.inMemory, .changedInMemory, .inTheDatabase].contains(place)
        #expect(try await players.get(1)?.rank == (keeps ? 3 : 7))
        #expect(try await players.get(1)?.name == "new")
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        try await store.close()
    }

    enum Ending: CaseIterable { case close, kill }

    /// The database still holds the rows that the clear took: it has taken neither the clear nor what follows.
    @Test(arguments: Ending.allCases)
    func whatItPutsBehindAClearInQuarantineHasNothingOfTheRowBefore(_ ending: Ending) async throws {
        let directory = TemporaryStore()
        try await putBehindAClearInQuarantine(directory, ending)
        let store = try directory.open()
        let players = try store.table(PlayerWithRank.self)
        #expect(store.quarantine.list().count == 1)
        for id in [1, 2] {
            #expect(try await players.get(id)?.rank == 7)
            #expect(try await players.get(id)?.name == "new\(id)")
        }
        let badges = try store.table(BadgeWithColour.self)
        #expect(try await badges.get("star")?.colour == "none")
        #expect(try await players.get(3) == nil)
        try directory.user("DROP INDEX unique_name")
        try await store.quarantine.retry()
        #expect(store.quarantine.list().isEmpty)
        #expect(try players.evict(1))
        #expect(try await players.get(1)?.rank == 7, "memory and database agree")
        try await store.close()
    }

    private func putBehindAClearInQuarantine(
        _ directory: TemporaryStore, _ ending: Ending
    ) async throws {
        let store = try directory.open()
        let players = try store.table(PlayerWithRank.self)
        let badges = try store.table(BadgeWithColour.self)
        for id in 0...3 { try players.put(ranked(id, 3)) }
        try badges.put(BadgeWithColour(name: "star", colour: "gold"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        let (old, oldBadges) = (try store.table(Player.self), try store.table(Badge.self))
        try store.transaction {
            try $0.put(ranked(9, 3).named("p0"), in: players)
            try $0.put(BadgeWithColour(name: "moon", colour: "silver"), in: badges)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        try players.clear()
        try badges.clear()
        try old.put(Player(id: 1, name: "new1", score: 2, team: nil))
        // Twice: the second is laid over the first.
        try old.put(Player(id: 2, name: "new", score: 2, team: nil))
        try old.put(Player(id: 2, name: "new2", score: 2, team: nil))
        try oldBadges.put(Badge(name: "star"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().map(\.others) == [6])
        if ending == .close { try await store.close() }
    }

    @Test func itReadsAndChangesNewerRows() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(PlayerWithRank.self)
        try players.put(ranked(1, 3))
        let old = try store.table(Player.self)
        #expect(try await old.get(1) == Player(id: 1, name: "p1", score: 1, team: "red"))
        #expect(try old.cached(1)?.name == "p1")
        try await old.update(1) { $0.name = "Ada" }
        #expect(try await old.increment(1, "score", by: 4).value == 5)
        try await store.transaction { tx in
            try await tx.update(1, in: old) { $0.team = "blue" }
            #expect(try await tx.get(1, in: players)?.rank == 3)
            try await tx.update(1, in: old) { $0.score += 1 }
        }
        let after = PlayerWithRank(id: 1, name: "Ada", score: 6, team: "blue", rank: 3)
        #expect(try await players.get(1) == after)
        try await store.waitForAll(.durable, timeout: .hang)
        #expect(try await old.history(of: 1).last?.row?.score == 6)
        #expect(try await old.get(1, asOf: .sequence(2))?.name == "p1")
        try await store.close()
        #expect(
            try directory.records().map(\.operation) == [
                .define, .put, .patch, .patch, .patch, .patch,
            ])
    }

    @Test func aHandleFromBeforeTheColumnWasAddedKeepsItToo() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let old = try store.table(Player.self)
        try old.put(Player(id: 1, name: "Ada"))
        let players = try store.table(PlayerWithRank.self)
        try players.put(ranked(1, 3))
        try old.put(Player(id: 1, name: "Bo"))
        try old.put(Player(id: 2, name: "Cy"))
        #expect(try await players.get(1)?.rank == 3)
        #expect(try await players.get(2)?.rank == 7)
        #expect(try await old.get(1)?.name == "Bo")
        try await store.close()
    }

    /// Its put says nothing but that the row is there.
    @Test(arguments: [false, true])
    func aProgramThatKnowsOnlyTheKeyMakesRowsToo(isThere: Bool) async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        let old = try store.table(Badge.self)
        var badges = try store.table(BadgeWithColour.self)
        if isThere { try badges.put(BadgeWithColour(name: "star", colour: "gold")) }
        let after = BadgeWithColour(name: "star", colour: isThere ? "gold" : "none")
        try await store.waitForAll(.materialized, timeout: .hang)
        try old.put(Badge(name: "star"))
        #expect(try await badges.get("star") == after)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        try badges.evict("star")
        #expect(try await badges.get("star") == after)
        let last = try #require(try await store.snapshot()).sequence
        #expect(try await badges.get("star", asOf: .sequence(last)) == after)
        try await store.close()
        store = try directory.open()
        badges = try store.table(BadgeWithColour.self)
        #expect(try await badges.get("star") == after)
        try await store.close()
    }

    @Test func aColumnThatRowsNeedCannotBeLeftOut() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        _ = try store.table(Player.self)
        let error = await storeError { _ = try store.table(NamelessPlayer.self) }
        #expect("\(try #require(error))".contains("score"))
        try await store.close()
    }
}

/// `Player` without its score, which is neither nullable nor has a default, and what comes behind it.
private struct NamelessPlayer: TableRow {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "player", [.key("id", .integer), .column("name", .text)])
    func encode(to encoder: inout RowEncoder) {}
    init(from decoder: inout RowDecoder) throws { throw StoreError.unknownTable("never read") }
}

extension PlayerWithRank {
    init(id: Int, name: String, score: Int, team: String?, rank: Int) {
        (self.id, self.name, self.score, self.team, self.rank) = (id, name, score, team, rank)
    }
}

extension PlayerWithRank {
    fileprivate func named(_ name: String) -> PlayerWithRank {
        var copy = self
        copy.name = name
        return copy
    }
}

/// A row that is all key.
struct Badge: TableRow, Equatable {
    typealias Key = String
    static let schema = WriteBehind.TableSchema("badge", [.key("name", .text)])
    var name: String

    init(name: String) { self.name = name }
    init(from decoder: inout RowDecoder) throws { name = try decoder.decode() }
    func encode(to encoder: inout RowEncoder) { encoder.encode(name) }
}

struct BadgeWithColour: TableRow, Equatable {
    typealias Key = String
    static let schema = WriteBehind.TableSchema(
        "badge", [.key("name", .text), .column("colour", .text, default: .text("none"))])
    var name: String
    var colour: String

    init(name: String, colour: String) { (self.name, self.colour) = (name, colour) }
    init(from decoder: inout RowDecoder) throws {
        (name, colour) = (try decoder.decode(), try decoder.decode())
    }
    func encode(to encoder: inout RowEncoder) {
        encoder.encode(name)
        encoder.encode(colour)
    }
}
