import TestSupport
import Testing
import WriteBehind

@Suite struct ReceiptTests {
    @Test(arguments: Stage.allCases)
    func waitingWithTheReceiptOfAnotherStoreIsAnErrorAtOnce(_ stage: Stage) async throws {
        let (one, other) = (TemporaryStore(), TemporaryStore())
        let (short, long) = (try one.open(), try other.open())
        let (few, many) = (try short.table(Player.self), try long.table(Player.self))
        var receipts = [try few.put(Player(id: 1, name: "Ada"))]
        for id in 0..<20 { receipts.append(try many.put(Player(id: id, name: "p"))) }
        let last = try #require(receipts.last)
        await expectForeign { try await short.wait(for: stage, last) }
        await expectForeign { try await short.wait(for: stage, last, timeout: .hang) }
        // A receipt that the other store has long passed is no less foreign.
        try await long.waitForAll(.materialized, timeout: .hang)
        await expectForeign { try await long.wait(for: stage, receipts[0]) }
        try await short.close()
        try await long.close()
    }

    @Test func everyCallReturnsAReceiptOfItsOwnStore() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let receipts = [
            try players.put(Player(id: 1, name: "Ada")),
            try players.put(Player(id: 2, name: "Bo"), cachedFor: .seconds(1)),
            try await players.update(1) { $0.score = 1 },
            try await players.update(1) { $0.score = 1 },
            try await players.increment(1, "score").receipt,
            try store.transaction { try $0.delete(2, in: players) }.receipt,
            try store.transaction { _ in }.receipt,
            try await store.transaction { try await $0.get(1, in: players) }.receipt,
            try store.mark("here"), try players.delete(1), try players.clear(),
        ]
        for receipt in receipts {
            try await store.wait(for: .materialized, receipt, timeout: .hang)
        }
        try await store.close()
    }

    /// A store that lost what was only staged gives its numbers to other writes.
    @Test func aReceiptFromBeforeTheStoreWasOpenedAnewIsForeign() async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        let receipt = try store.table(Player.self).put(Player(id: 1, name: "Ada"))
        try await store.close()
        store = try directory.open()
        await expectForeign { [store] in try await store.wait(for: .durable, receipt) }
        try await store.close()
    }

    @Test func receiptsAreOrderedByTheirWrites() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let first = try players.put(Player(id: 1, name: "Ada"))
        let second = try players.put(Player(id: 1, name: "Ada"))
        let (_, nothingNew) = try store.transaction { _ in }
        #expect(first < second && nothingNew > first && nothingNew != second)
        #expect((nothingNew < second) != (second < nothingNew))
        try await store.close()
    }

    private func expectForeign(_ body: () async throws -> Void) async {
        let error = await storeError(body)
        guard case .foreignReceipt? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
