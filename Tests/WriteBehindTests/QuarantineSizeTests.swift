import EventLog
import Foundation
import GRDB
import Synchronization
import TestSupport
import Testing
import WriteBehind
import WriteBehindCore
import WriteBehindInspection

/// A group of quarantine with more rows than a commit can hold.
extension StoreQuarantineTests {
    private static let rowCount = 60_000

    /// Commits of many rows each, connected by a shared row; the first is refused. Returns its receipt.
    private func manyRows(_ store: Store, _ players: StoredTable<Player>) async throws -> Receipt {
        let size = 10_000
        var first: Receipt?
        for start in stride(from: 1, through: Self.rowCount, by: size) {
            let receipt = try store.transaction { transaction in
                for id in max(1, start - 1)..<start + size {
                    let isPoison = id == 1
                    try transaction.put(
                        Player(id: id, name: isPoison ? "poison" : "n\(id)", score: 7), in: players)
                }
            }.receipt
            first = first ?? receipt
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().map(\.others) == [Self.rowCount / size - 1])
        #expect(store.health.quarantined == Self.rowCount / size)
        return try #require(first)
    }

    /// Counts the rows that flow while `body` runs.
    private func flowing(
        _ store: Store, _ players: StoredTable<Player>, during body: () async throws -> Void
    ) async throws -> Int {
        let isDone = Atomic(false)
        async let count: Int = {
            var count = 0
            repeat {
                count += 1
                let id = 1_000_000 + count
                let receipt = try players.put(Player(id: id, name: "other \(id)"))
                try await store.wait(for: .materialized, receipt, timeout: .hang)
            } while !isDone.load(ordering: .acquiring)
            return count
        }()
        try await body()
        isDone.store(true, ordering: .releasing)
        return try await count
    }

    @Test(arguments: ["retry", "skip", "patch"])
    func aGroupOfMoreRowsThanACommitHoldsIsResolvedAndOthersFlow(how: String) async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        try players.put(Player(id: 5, name: "five"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let first = try await manyRows(store, players)
        if how == "retry" { try directory.user("DROP INDEX unique_name") }
        let flowed = try await flowing(store, players) {
            let clock = ContinuousClock()
            let time = try await clock.measure {
                switch how {
                case "retry":
                    #expect(try await store.quarantine.retry().left == 0)
                case "skip":
                    try await store.quarantine.skip(
                        first.firstSequence, reason: "a test", includingFollowers: true)
                default:
                    try await store.quarantine.correct(
                        first.firstSequence, with: Player(id: 1, name: "right", score: 3),
                        in: players,
                        reason: "a test", includingFollowers: true)
                }
            }
            // A second or two where nothing else runs; minutes if anything grows with the square of the rows.
            #expect(time < .seconds(60))
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty && store.health.verdict == .healthy)
        #expect(flowed > 1, "others wait for a part at most")
        let isTaken = how == "retry"
        for id in [1, 5, Self.rowCount / 2, Self.rowCount] {
            #expect(try players.evict(id))
            let row = try await players.get(id)
            switch (how, id) {
            case ("patch", 1): #expect(row == Player(id: 1, name: "right", score: 3))
            case ("skip", 5), ("patch", 5): #expect(row == Player(id: 5, name: "five"))
            default: #expect((row?.score == 7) == isTaken, "row \(id)")
            }
        }
        try await store.close(deadline: .hang)
    }

    /// As a kill leaves it: some rows are given up, others are not.
    @Test func aGroupThatIsGivenUpInPartComesBackAsItWas() async throws {
        let directory = TemporaryStore()
        try await storeWithUniqueNames(directory).close()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        let receipt = try store.transaction { transaction in
            for id in 1...40 {
                try transaction.put(
                    Player(id: id, name: id == 1 ? "poison" : "n\(id)"), in: players)
            }
        }.receipt
        try players.put(Player(id: 20, name: "follows"))
        try await store.waitForAll(.materialized, timeout: .hang)
        var quarantine = store.quarantine
        quarantine.partLimits.rows = 10
        failing.before = {
            // Two parts, and no more.
            if store.engine.sink.quarantine.held.count <= 20 {
                failing.now = SinkError(.busy, "injected")
            }
        }
        let skipping = Task { [quarantine] in
            try await quarantine.skip(receipt.firstSequence, reason: "t", includingFollowers: true)
        }
        _ = await eventually { failing.now != nil }
        let copy = TemporaryStore()
        try FileManager.default.copyItem(atPath: directory.path, toPath: copy.path)
        failing.before = {}
        failing.now = nil
        _ = try await skipping.value
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        try await store.close()

        let again = try copy.open()
        let rows = try again.table(Player.self)
        try await again.waitForAll(.materialized, timeout: .hang)
        // Rows that wait in quarantine are kept in memory; those that were given up are gone.
        let waiting = again.engine.sink.quarantine.held.count
        #expect((1..<40).contains(waiting))
        var kept = 0
        for id in 1...40 {
            let row = try await rows.get(id)
            kept += row == nil ? 0 : 1
            #expect((row == nil) == (try rows.evict(id)))
        }
        #expect(kept == waiting)
        try copy.user("DROP INDEX unique_name")
        #expect(try await again.quarantine.retry().left == 0)
        try await again.close()
        let verification = try DatabaseVerification(StoreInspection(path: copy.path)) { _, _ in }
        #expect(verification.fault == nil && verification.differenceCount == 0)
    }
}
