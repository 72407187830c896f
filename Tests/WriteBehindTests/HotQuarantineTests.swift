import EventLog
import TestSupport
import Testing
import WriteBehind

/// Rows in quarantine that are written all the time can be given up, or the call ends with an error.
extension StoreQuarantineTests {
    enum Settling: CaseIterable { case skip, patch }

    @Test(arguments: Settling.allCases)
    func aRowThatIsUpdatedAllTheTimeCanBeGivenUp(_ how: Settling) async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let first = try await poison(store, players, id: 1).sequence
        let isDone = Locked(false)
        let updates = (0..<2).map { _ in
            Task {
                while !isDone.withLock({ $0 }) {
                    do {
                        try await players.increment(1, "score", by: 1)
                    } catch StoreError.noSuchRow {
                        // It was given up, and the database has no such row.
                        return
                    }
                    await Task.yield()
                }
            }
        }
        let giving = Task {
            defer { isDone.withLock { $0 = true } }
            switch how {
            case .skip:
                return try await store.quarantine.skip(
                    first, reason: "a test", includingFollowers: true)
            case .patch:
                return try await store.quarantine.correct(
                    first, with: Player(id: 1, name: "right"), in: players, reason: "a test",
                    includingFollowers: true)
            }
        }
        #expect(await eventually(within: 60) { isDone.withLock { $0 } })
        isDone.withLock { $0 = true }
        let receipt = try await giving.value
        for update in updates { try await update.value }
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        #expect(try await players.get(1)?.name == (how == .skip ? nil : "right"))
        #expect(!store.engine.turns.areInUse)
        try await store.close(deadline: .hang)
    }

    /// Puts read nothing, and take no turns.
    @Test func givingUpARowThatIsPutAllTheTimeEndsWithAnError() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let first = try await poison(store, players, id: 1).sequence
        let isDone = Locked(false)
        let putting = Task {
            while !isDone.withLock({ $0 }) {
                try players.put(Player(id: 1, name: "poison"))
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        var quarantine = store.quarantine
        quarantine.partLimits.tries = 10
        let error = await storeError { [quarantine] in
            _ = try await quarantine.skip(first, reason: "a test", includingFollowers: true)
        }
        isDone.withLock { $0 = true }
        try await putting.value
        guard case .contended(let tries)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(tries == 10)
        #expect(!store.engine.turns.areInUse)
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.quarantine.skip(first, reason: "a test", includingFollowers: true)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        try await store.close(deadline: .hang)
    }
}
