import EventLog
import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind

/// Commits that the database refuses for good, seen from the store.
@Suite struct StoreQuarantineTests {
    /// A store with an index of its user's: no two players may have one name. One is named `poison`.
    func storeWithUniqueNames(_ directory: TemporaryStore) async throws -> Store {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "poison"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        return store
    }

    func count(_ store: Store) async throws -> Int? {
        try await store.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM player") }
    }

    /// Puts a row that the database refuses, and waits until it has.
    func poison(
        _ store: Store, _ players: StoredTable<Player>, id: Int
    ) async throws -> Receipt {
        let receipt = try players.put(Player(id: id, name: "poison", score: id))
        let error = await storeError {
            try await store.wait(for: .materialized, receipt, timeout: .hang)
        }
        guard case .quarantined(receipt.sequence, let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return receipt
        }
        #expect(reason.contains("UNIQUE"))
        return receipt
    }

    /// The database stops in the middle of a block, behind a definition, which is a transaction of its own. The part of the
    /// block that it holds may not come again: a change of a row that is deleted by then would be refused.
    @Test func whatTheDatabaseHoldsOfABlockIsNotAppliedAgain() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing) { $0.syncInterval = .seconds(3600) }
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        failing.afterDefining = SinkError(.busy, "injected")
        try await players.update(1) { $0.score = 7 }
        try players.delete(1)
        let values = try store.table(KeyValue.self)
        try values.put(KeyValue(key: "a", value: [1]))
        let waiting = Task { try await store.waitForAll(.materialized, timeout: .hang) }
        #expect(await eventually { failing.now != nil })
        failing.now = nil
        try await waiting.value
        #expect(store.quarantine.list().map(\.reason) == [])
        #expect(try await players.get(1) == nil)
        #expect(try await values.get("a")?.value == [1])
        try await store.close()
    }

    /// The same: what the database has not come to yet is none of quarantine's, though its block is in reach and it
    /// touches a row that is held.
    @Test(arguments: [true, false])
    func aRetryStopsWhereTheDatabaseDoes(isStillRefused: Bool) async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing) { $0.syncInterval = .seconds(3600) }
        let players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "poison"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        _ = try await poison(store, players, id: 1)
        failing.afterDefining = SinkError(.busy, "injected")
        _ = try store.table(KeyValue.self)
        try players.put(Player(id: 1, name: "poison", score: 7))
        try players.put(Player(id: 2, name: "free"))
        let waiting = Task { try await store.waitForAll(.materialized, timeout: .hang) }
        #expect(await eventually { failing.now != nil })

        if !isStillRefused { try directory.user("DROP INDEX unique_name") }
        failing.failsRetries = false
        let retried = try await store.quarantine.retry()
        #expect(
            retried == (isStillRefused ? .init(applied: 0, left: 1) : .init(applied: 1, left: 0)))
        failing.now = nil
        try await waiting.value
        #expect(store.quarantine.list().map(\.others) == (isStillRefused ? [1] : []))
        #expect(store.health.quarantined == (isStillRefused ? 2 : 0))
        #expect(try await players.get(1)?.score == 7)
        try await store.close()
    }

    @Test func onePoisonRowOfTenThousandDelaysNoOther() async throws {
        let directory = TemporaryStore()
        var store = try await storeWithUniqueNames(directory)
        var players = try store.table(Player.self)
        for id in 1...10_000 {
            try players.put(Player(id: id, name: id == 5000 ? "poison" : "p\(id)", score: id))
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await count(store) == 10_000)
        #expect(store.quarantine.list().map(\.rows) == [["player[5000]"]])
        #expect(store.health.verdict == .degraded && store.health.quarantined == 1)
        #expect(try players.evict(5000) == false, "only memory and log have it")
        #expect(try await players.get(5000)?.score == 5000)
        try await store.close()

        store = try directory.open()
        players = try store.table(Player.self)
        #expect(try players.evict(5000) == false)
        #expect(try await players.get(5000)?.score == 5000)
        try directory.user("DROP INDEX unique_name")
        #expect(try await store.quarantine.retry() == .init(applied: 1, left: 0))
        #expect(store.quarantine.list().isEmpty)
        #expect(store.health.verdict == .healthy)
        #expect(try players.evict(5000))
        #expect(try await players.get(5000)?.score == 5000)
        try await store.close()
    }

    /// A refused commit that a clear of the players does not settle, since it holds a row of another table.
    func poisonWithAnotherTable(
        _ store: Store, _ players: StoredTable<Player>
    ) throws {
        let sessions = try store.table(Session.self)
        try store.transaction {
            try $0.put(Player(id: 1, name: "poison"), in: players)
            try $0.put(Session(id: "one", until: 4_000_000_000), in: sessions)
        }
    }

    /// A definition does not wait for the clear in quarantine that it comes after, and is no part of quarantine.
    @Test func aColumnThatIsAddedBehindAClearInQuarantineIsNotCounted() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        try poisonWithAnotherTable(store, players)
        try players.clear()
        let ranked = try store.table(PlayerWithRank.self)
        try await store.waitForAll(.materialized, timeout: .hang)
        let first = try await store.quarantine.retry()
        #expect(first.applied == 0 && first.left == 2)
        #expect(store.health.quarantined == 2)
        try directory.user("DROP INDEX unique_name")
        let second = try await store.quarantine.retry()
        #expect(second.applied == 2 && second.left == 0)
        try ranked.put(PlayerWithRank(id: 1, name: "Ada", score: 1, team: nil, rank: 2))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await count(store) == 1)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        try await store.close()
    }

    @Test func aBarrierDoesNotFailForWhatIsInQuarantine() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        _ = try await poison(store, players, id: 1)
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
    }

    /// One leaves quarantine and another comes in with one block.
    @Test func whatTheLogSaysWhenTriedAgainIsAnErrorOfTheStore() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        _ = try await poison(store, try store.table(Player.self), id: 1)
        let log = directory.path + "/log"
        for name in try FileManager.default.contentsOfDirectory(atPath: log)
        where name.hasSuffix(".zst") {
            try FileManager.default.removeItem(atPath: log + "/" + name)
        }
        let error = await storeError { try await store.quarantine.retry() }
        #expect(error != nil)
        _ = try? await store.close()
    }

    @Test func eachCommitThatIsRefusedIsLogged() async throws {
        let directory = TemporaryStore()
        try await storeWithUniqueNames(directory).close()
        let lines = Locked<[String]>([])
        let store = try directory.open {
            $0.syncInterval = .seconds(3600)
            $0.materializeInterval = .seconds(3600)
            $0.logger = Logger(label: "test") { _ in CapturingLog(lines) }
        }
        let players = try store.table(Player.self)
        let first = try await poison(store, players, id: 1)
        try await store.quarantine.skip(first.sequence, reason: "a test")
        _ = try await poison(store, players, id: 2)
        #expect(store.quarantine.list().map(\.rows) == [["player[2]"]])
        #expect(lines.withLock { $0.filter { $0.contains("refused a commit") }.count } == 2)
        try await store.close()
    }

    @Test func aReceiptForNothingNewTellsOfQuarantineWhereItsOwnRowIsInIt() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let (_, refused) = try store.transaction {
            try $0.put(Player(id: 1, name: "poison"), in: players)
            try $0.put(Player(id: 2, name: "two"), in: players)
        }
        let inside = try await players.update(2) { $0.name = "two" }
        let error = await storeError {
            try await store.wait(for: .materialized, inside, timeout: .hang)
        }
        guard case .quarantined(refused.firstSequence, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try players.evict(0), "the database has it")
        for receipt in [
            try await players.update(0) { $0.name = "poison" },
            try await players.update(0) { $0.name = "poison" },
            try store.transaction { _ in }.receipt,
            try await store.transaction { try await $0.get(0, in: players) }.receipt,
        ] {
            try await store.wait(for: .materialized, receipt, timeout: .hang)
        }
        try await store.close()
    }

    /// A store whose database refused a patch of row 1, the score seven, opened again: memory has the patch alone.
    private func storeWithAPatchInQuarantine(
        _ directory: TemporaryStore, _ failing: Failing
    ) async throws -> (Store, StoredTable<Player>) {
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "one"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user(
            """
            CREATE TRIGGER no_seven BEFORE UPDATE ON player WHEN new.score = 7
            BEGIN SELECT RAISE(ABORT, 'no seven'); END
            """)
        try await players.increment(1, "score", by: 7)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        try await store.close()
        let reopened = try directory.open(failing: failing)
        return (reopened, try reopened.table(Player.self))
    }

    /// I5: the database took the commit after it was asked for the row, and before the answer was used.
    @Test func aReadThatBeganBeforeARetryDoesNotBringTheRowBackAsItWas() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let (store, players) = try await storeWithAPatchInQuarantine(directory, failing)
        failing.afterReading = {
            try directory.user("DROP TRIGGER no_seven")
            #expect(try store.quarantine.retryBlocking().applied == 1)
            #expect(try players.evict(1))
        }
        #expect(try await players.get(1)?.score == 7)
        #expect(try players.evict(1))
        #expect(try await players.get(1)?.score == 7)
        try await store.close()
    }

    /// I5: another database, which takes the commit, is in the place of the one that was asked.
    @Test func aReadOfALostDatabaseDoesNotBringTheRowBackAsItWas() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let (store, players) = try await storeWithAPatchInQuarantine(directory, failing)
        failing.afterReading = {
            for suffix in ["", "-wal", "-shm"] { unlink(directory.database + suffix) }
            try players.put(Player(id: 2, name: "two"))
            let end = Date(timeIntervalSinceNow: 300)
            while !store.quarantine.list().isEmpty || store.health.verdict != .healthy {
                guard Date() < end else { throw StoreError.timedOut(.materialized) }
                usleep(5000)
            }
            #expect(try players.evict(1))
        }
        #expect(try await players.get(1)?.score == 7)
        try await store.close()
    }

    /// Commits that the database took while the log was replayed need no room in memory.
    @Test func aStoreOpensThoughItsQuarantineFillsTheMemoryForWhatIsNotMaterialized() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        var store = try directory.open(failing: failing)
        var players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "one", score: 1))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX one_score ON player (score)")
        let long = String(repeating: "n", count: 100_000)
        for id in 1...20 { try players.put(Player(id: id, name: long, score: 1)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 20)
        failing.now = SinkError(.busy, "somebody has it")
        for id in 21...40 { try players.put(Player(id: id, name: "n\(id)", score: id)) }
        try players.put(Player(id: 1, name: "newer", score: 1))
        try players.put(Player(id: 21, name: "newer", score: 21))
        try await store.close(deadline: .zero)

        failing.now = nil
        store = try directory.open(failing: failing) { $0.dirtyLimit = 1 << 20 }
        players = try store.table(Player.self)
        #expect(try await players.get(1)?.name == "newer")
        #expect(try await players.get(2)?.name == long)
        #expect(try await players.get(21)?.name == "newer")
        #expect(try await players.get(40)?.name == "n40")
        #expect(try !players.evict(1))
        try await store.close()
    }

    /// Rows that only resolving quarantine frees may take all that rows may take which the database lacks.
    @Test func healthTellsWhatQuarantineKeepsInMemory() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        #expect(store.health.quarantinedBytes == 0)
        _ = try await poison(store, players, id: 1)
        let one = store.health.quarantinedBytes
        #expect(one > 0)
        for id in 2..<100 { try players.put(Player(id: id, name: "free \(id)")) }
        #expect(store.health.quarantinedBytes == one, "others are not counted")
        try players.put(Player(id: 1, name: "poison", team: String(repeating: "t", count: 1000)))
        try await store.waitForAll(.materialized, timeout: .hang)
        let more = store.health.quarantinedBytes
        #expect(more >= one + 1000 && more < 10_000, "what follows takes its place")
        #expect(store.health.causes.contains { $0.contains("keep \(more) of") })
        try players.put(Player(id: 1, name: "mended"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.quarantined == 0 && store.health.quarantinedBytes == 0)
        try await store.close()
    }

    @Test func whoUsesTheQuarantineOfAStoreThatIsGoneIsToldSo() async throws {
        let directory = TemporaryStore()
        var store: Store? = try await storeWithUniqueNames(directory)
        let quarantine = try #require(store).quarantine
        let sequence = try await poisonAndLeaveMore(try #require(store))
        store = nil
        for use: () async throws -> Void in [
            { try await quarantine.skip(sequence, reason: "a test") },
            { try await quarantine.retry() },
        ] {
            let error = await storeError(use)
            guard case .closed? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    /// The sequence of a commit in quarantine; the database has not seen what is written after it.
    private func poisonAndLeaveMore(_ store: Store) async throws -> UInt64 {
        let players = try store.table(Player.self)
        let receipt = try await poison(store, players, id: 1)
        for id in 2..<1000 { try players.put(Player(id: id, name: "p\(id)")) }
        return receipt.sequence
    }
}
