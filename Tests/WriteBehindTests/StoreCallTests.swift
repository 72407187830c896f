import Foundation
import TestSupport
import Testing
import WriteBehind

/// Calls that are made of others: what they promise beyond those.
@Suite struct StoreCallTests {
    private func isDuplicate(_ error: StoreError?, _ expected: String = "1") -> Bool {
        guard case .duplicateKey(table: "player", let key)? = error else { return false }
        return key == expected
    }

    @Test(arguments: ["in memory", "in the database", "deleted", "never there"])
    func aRowIsInsertedOnlyWhereThereIsNone(place: String) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let isThere = place.hasPrefix("in ")
        if place != "never there" { try players.put(Player(id: 1, name: "Ada")) }
        if place == "deleted" { try players.delete(1) }
        try await store.waitForAll(.materialized, timeout: .hang)
        if place == "in the database" { #expect(try players.evict(1)) }
        let error = await storeError { try await players.insert(Player(id: 1, name: "Bo")) }
        #expect(isDuplicate(error) == isThere)
        #expect(try await players[1]?.name == (isThere ? "Ada" : "Bo"))
        try await store.close()
    }

    /// The compiler proves it: nothing else may be thrown in this `do`.
    @Test func callsThatRunNoClosureThrowTheStoresErrorAlone() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        do throws(StoreError) {
            let receipt = try players.put(Player(id: 1, name: "Ada"))
            try await store.wait(for: .durable, receipt)
            try await store.wait(for: .materialized, receipt, timeout: .hang)
            _ = try (await players.get(1), await players[1], await players.get(all: [1]))
            try await players.insert(Player(id: 2, name: "Bo"))
            try await players.increment(1, "score", by: 1)
            _ = try (await players.history(of: 1), await players.get(1, asOf: .sequence(1)))
            _ = try (await store.snapshot(), await store.snapshots(), await store.marks())
            _ = try await store.quarantine.retry()
            for try await change in store.changes(of: players, named: "all", from: .oldest) {
                try await change.acknowledge()
                if change.key == 2 { break }
            }
            for try await _ in players.rows(order: "none") {}
        } catch {
            guard case .noIndex = error else { throw error }
        }
        try await store.close()
    }

    @Test func aTransactionReadsManyRowsWithItsOwnChanges() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<4 { try players.put(Player(id: id, name: "\(id)")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1) && players.evict(2))
        var tries = 0
        let (names, receipt) = try await store.transaction { transaction in
            tries += 1
            try transaction.delete(0, in: players)
            try transaction.put(Player(id: 3, name: "new"), in: players)
            let rows = try await transaction.get(all: [3, 2, 0, 1, 2, 9], in: players)
            // What it has read was changed meanwhile: it runs again.
            if tries == 1 { try players.put(Player(id: 1, name: "other")) }
            return rows.map { $0?.name }
        }
        #expect(names == ["new", "2", nil, "other", "2", nil])
        #expect(tries == 2)
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        // A call that wrote nothing gives no receipt, and there is nothing to wait for.
        try await store.wait(for: .materialized, players.put(contentsOf: []))
        try await store.close()
    }

    @Test func aKeyThatIsThereIsNamed() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let values = try store.keyValues()
        try await values.insert(KeyValue(key: "a\nb", value: []))
        let error = await storeError { try await values.insert(KeyValue(key: "a\nb", value: [])) }
        #expect(
            error?.description
                == #"table "keyvalue": a row with the key "a\nb" exists already; to write it anyway, use put"#
        )
        try await store.close()
    }

    @Test func ofManyInsertsOfOneKeyOneSucceeds() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<20 {
            let winners = await withTaskGroup(of: Int?.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        let row = Player(id: id, name: "\(task)")
                        return await storeError { try await players.insert(row) } == nil
                            ? task : nil
                    }
                }
                var winners: [Int] = []
                for await winner in group { if let winner { winners.append(winner) } }
                return winners
            }
            #expect(winners.count == 1)
            #expect(try await players[id]?.name == winners.first.map(String.init))
        }
        try await store.close()
    }

    @Test func rowsThatAreWrittenTogetherAreOneCommit() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        #expect(try players.put(contentsOf: []) == nil)
        let rows = (0..<1000).map { Player(id: $0 % 900, name: "p\($0)", score: $0) }
        let receipt = try #require(try players.put(contentsOf: rows))
        #expect(receipt.sequence - receipt.firstSequence == 999)
        #expect(try await players[50]?.score == 950)
        // A row that does not fit takes all of them with it.
        let large = Player(id: 1, name: String(repeating: "x", count: 4 << 20))
        let error = await storeError {
            try players.put(contentsOf: [Player(id: 5000, name: "small"), large])
        }
        guard case .commitTooLarge? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await players[5000] == nil)
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        try await store.close()
    }

    @Test func manyRowsAreReadTogetherEachAsOfTheLastWrite() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        let count = 2500
        for id in 0..<count { try players.put(Player(id: id, name: "p\(id)", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        for id in 0..<count { #expect(try players.evict(id)) }
        try players.put(Player(id: 7, name: "seven"))
        try players.delete(8)
        // While the database answers.
        failing.afterReading = { try players.put(Player(id: 9, name: "nine")) }
        let keys = Array((0..<count).reversed()) + [count + 5, 7, 7]
        let reads = failing.readCount
        let rows = try await players.get(all: keys)
        #expect(rows.count == keys.count)
        // More than three where a row changed while it was read.
        #expect((3...6).contains(failing.readCount - reads))
        for (key, row) in zip(keys, rows) {
            switch key {
            case 7: #expect(row?.name == "seven")
            case 8, count + 5: #expect(row == nil)
            case 9: #expect(row?.name == "nine")
            default: #expect(row == Player(id: key, name: "p\(key)", score: key))
            }
        }
        #expect(try await players.get(all: []).isEmpty)
        try await store.close()
    }

    @Test func aTransactionReturnsWhatItsBodyReturns() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let (name, first) = try store.transaction { transaction in
            try transaction.put(Player(id: 1, name: "Ada", score: 10), in: players)
            return "Ada"
        }
        #expect(name == "Ada")
        let (left, second) = try await store.transaction { transaction in
            var player = try #require(try await transaction.get(1, in: players))
            player.score -= 3
            try transaction.put(player, in: players)
            return player.score
        }
        #expect(left == 7)
        #expect(second.sequence == first.sequence + 1)
        // It need not be Sendable.
        final class Found { var names: [String] = [] }
        let found = try await store.transaction { transaction in
            let found = Found()
            found.names.append(try await transaction.get(1, in: players)?.name ?? "")
            return found
        }
        .result
        #expect(found.names == ["Ada"])
        try await store.close()
    }

    @Test func aTransactionSeesWhatItHasCountedAndInserted() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada", score: 10))
        try await store.transaction { transaction in
            #expect(try await transaction.increment(1, "score", in: players, by: 5) == 15)
            #expect(try await transaction.increment(1, "score", in: players) == 16)
            // The transaction can go on.
            let missing = StoreError.noSuchRow(table: "player", key: "2")
            await #expect(throws: missing) {
                _ = try await transaction.increment(2, "score", in: players)
            }
            await #expect(throws: missing) {
                try await transaction.update(2, in: players) { $0.score = 1 }
            }
            let first = Player(id: 2, name: "Bo", score: 1)
            #expect(
                try await transaction.increment(2, "score", in: players, by: 9, orPut: first) == 1)
            #expect(try await transaction.increment(2, "score", in: players, by: 9) == 10)
            #expect(try await transaction.get(1, in: players)?.score == 16)
            try await transaction.insert(Player(id: 3, name: "Cy"), in: players)
            do {
                try await transaction.insert(Player(id: 3, name: "Di"), in: players)
                Issue.record("inserted twice")
            } catch let error as StoreError {
                #expect(isDuplicate(error, "3"))
            }
        }
        #expect(try await players[1]?.score == 16)
        #expect(try await players[2]?.score == 10)
        #expect(try await players[3]?.name == "Cy")
        try await store.close()
    }

    @Test func incrementsOfManyTransactionsAreAllCounted() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<2 { try players.put(Player(id: id, name: "\(id)")) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<25 {
                        try await store.transaction { transaction in
                            for id in 0..<2 {
                                try await transaction.increment(id, "score", in: players)
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        for id in 0..<2 { #expect(try await players[id]?.score == 200) }
        try await store.close()
    }
}
