import EventLog
import TestSupport
import Testing
import WriteBehind

/// A table gets a column while an older handle's changes are collected: they are logged later, and keep the column.
@Suite struct OlderTransactionTests {
    private let directory = TemporaryStore()

    /// Another part of the program adds the column, and sets it.
    private func addRank(_ store: Store) throws {
        let players = try store.table(PlayerWithRank.self)
        for id in [1, 2] {
            try players.put(
                PlayerWithRank(id: id, name: "p\(id)", score: 1, team: "red", rank: 3))
        }
    }

    private func expect(_ names: [String], in store: Store) async throws {
        let players = try store.table(PlayerWithRank.self)
        for (id, name) in zip(1..., names) {
            #expect(try await players.get(id)?.name == name)
            #expect(try await players.get(id)?.rank == 3)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        for (id, name) in zip(1..., names) {
            #expect(try players.evict(id))
            #expect(try await players.get(id)?.name == name)
            #expect(try await players.get(id)?.rank == 3, "memory and database agree")
        }
        try await store.close()
    }

    @Test func ofATransactionThatOnlyWrites() async throws {
        let store = try directory.open()
        let old = try store.table(Player.self)
        try store.transaction { transaction in
            try transaction.put(Player(id: 1, name: "new"), in: old)
            try addRank(store)
            try transaction.put(Player(id: 2, name: "newer"), in: old)
        }
        try await expect(["new", "newer"], in: store)
    }

    @Test func ofATransactionThatReads() async throws {
        let store = try directory.open()
        let old = try store.table(Player.self)
        var tries = 0
        let (seen, _) = try await store.transaction { transaction in
            tries += 1
            _ = try await transaction.get(7, in: old)
            try transaction.put(Player(id: 1, name: "new"), in: old)
            try addRank(store)
            try transaction.put(Player(id: 2, name: "newer"), in: old)
            return try await transaction.get(1, in: old)?.name
        }
        #expect(seen == "new")
        #expect(tries == 2)
        try await expect(["new", "newer"], in: store)
    }

    @Test func ofSeveralRows() async throws {
        let store = try directory.open()
        let old = try store.table(Player.self)
        let rows = sequence(first: 1) { $0 < 2 ? $0 + 1 : nil }.lazy.map { id in
            if id == 2 { try? addRank(store) }
            return Player(id: id, name: "new\(id)")
        }
        try old.put(contentsOf: rows)
        try await expect(["new1", "new2"], in: store)
    }

    /// What the transaction itself writes with a newer handle stays as it is.
    @Test func besideAPutOfTheNewerHandle() async throws {
        let store = try directory.open()
        let old = try store.table(Player.self)
        let (_, receipt) = try store.transaction { transaction in
            try transaction.put(Player(id: 1, name: "old"), in: old)
            let players = try store.table(PlayerWithRank.self)
            for id in [1, 2] {
                try transaction.put(
                    PlayerWithRank(id: id, name: "p", score: 1, team: nil, rank: 3), in: players)
            }
            try transaction.put(Player(id: 2, name: "new"), in: old)
        }
        #expect(receipt.sequence > 0)
        try await expect(["p", "new"], in: store)
    }

    /// `insert` has seen that there is no row. Then there is one.
    @Test func ofARowThatIsNew() async throws {
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let old = try store.table(Player.self)
        try await store.waitForAll(.materialized, timeout: .hang)
        failing.afterReading = { try addRank(store) }
        let error = await storeError { try await old.insert(Player(id: 1, name: "new")) }
        guard case .duplicateKey? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await expect(["p1", "p2"], in: store)
    }

    @Test(arguments: [false, true])
    func ofACorrectionInQuarantine(isMadeBefore: Bool) async throws {
        let store = try directory.open()
        var old = try store.table(Player.self)
        try old.put(Player(id: 0, name: "poison"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        let players = try store.table(PlayerWithRank.self)
        if !isMadeBefore { old = try store.table(Player.self) }
        let receipt = try players.put(
            PlayerWithRank(id: 1, name: "poison", score: 1, team: nil, rank: 3))
        try await store.waitForAll(.materialized, timeout: .hang)
        try #require(store.quarantine.list().map(\.sequence) == [receipt.sequence])
        let given = try await store.quarantine.correct(
            receipt.sequence, with: Player(id: 1, name: "right"), in: old, reason: "a test")
        try await store.wait(for: .materialized, given, timeout: .hang)
        try await expect(["right"], in: store)
    }
}
