import EventLog
import TestSupport
import Testing
import WriteBehind

/// Transactions that write nothing: the rows that they read belong together.
@Suite struct ReadingTransactionTests {
    private let directory = TemporaryStore()

    private func open(failing: Failing = Failing()) throws -> (Store, StoredTable<Player>) {
        let store = try directory.open(failing: failing)
        let accounts = try store.table(Player.self)
        for id in [1, 2] { try accounts.put(Player(id: id, name: "p\(id)", score: 50)) }
        return (store, accounts)
    }

    /// Moves points from the first account to the second.
    private func move(_ store: Store, _ accounts: StoredTable<Player>) async throws {
        try await store.transaction { transaction in
            try await transaction.update(1, in: accounts) { $0.score -= 10 }
            try await transaction.update(2, in: accounts) { $0.score += 10 }
        }
    }

    @Test func rowsThatAreReadOneAfterTheOtherAreOfOneMoment() async throws {
        let (store, accounts) = try open()
        var tries = 0
        let (sum, receipt) = try await store.transaction { transaction in
            tries += 1
            let first = try await transaction.get(1, in: accounts)
            if tries == 1 { try await move(store, accounts) }
            let second = try await transaction.get(2, in: accounts)
            return (first?.score ?? 0) + (second?.score ?? 0)
        }
        #expect(sum == 100)
        #expect(tries == 2)
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        try await store.close()
    }

    /// The first row is in memory, and is changed while the database is asked for the second.
    @Test func rowsThatAreReadTogetherAreOfOneMoment() async throws {
        let failing = Failing()
        let (store, accounts) = try open(failing: failing)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try accounts.evict(2))
        failing.beforeNextRead = {
            try store.transaction {
                try $0.put(Player(id: 1, name: "p1", score: 0), in: accounts)
                try $0.put(Player(id: 2, name: "p2", score: 100), in: accounts)
            }
        }
        var tries = 0
        let (rows, _) = try await store.transaction { transaction in
            tries += 1
            return try await transaction.get(all: [1, 2], in: accounts)
        }
        #expect(rows.map { $0?.score } == [0, 100])
        #expect(tries == 2)
        try await store.close()
    }

    @Test func aRowThatAppearsAfterItWasMissedIsNoticed() async throws {
        let (store, accounts) = try open()
        var tries = 0
        let (names, _) = try await store.transaction { transaction in
            tries += 1
            let third = try await transaction.get(3, in: accounts)
            if tries == 1 {
                try store.transaction {
                    try $0.put(Player(id: 3, name: "p2"), in: accounts)
                    try $0.delete(2, in: accounts)
                }
            }
            return [third, try await transaction.get(2, in: accounts)].map { $0?.name }
        }
        #expect(names == ["p2", nil])
        #expect(tries == 2)
        try await store.close()
    }

    /// A body that finds rows that do not belong together may throw for that reason alone.
    @Test func aBodyThatThrowsForRowsOfTwoMomentsRunsAgain() async throws {
        struct Uneven: Error {}
        let (store, accounts) = try open()
        var tries = 0
        try await store.transaction { transaction in
            tries += 1
            let first = try await transaction.get(1, in: accounts)
            if tries == 1 { try await move(store, accounts) }
            let second = try await transaction.get(2, in: accounts)
            if (first?.score ?? 0) + (second?.score ?? 0) != 100 { throw Uneven() }
        }
        #expect(tries == 2)
        await #expect(throws: Uneven.self) {
            try await store.transaction { transaction in
                tries += 1
                _ = try await transaction.get(1, in: accounts)
                _ = try await transaction.get(2, in: accounts)
                throw Uneven()
            }
        }
        #expect(tries == 3, "nothing was changed meanwhile")
        try await store.close()
    }

    @Test func oneRowIsOfOneMomentAnyway() async throws {
        let (store, accounts) = try open()
        var tries = 0
        let (score, _) = try await store.transaction { transaction in
            tries += 1
            let first = try await transaction.get(1, in: accounts)
            try await move(store, accounts)
            return first?.score
        }
        #expect(score == 50)
        #expect(tries == 1)
        try await store.close()
    }

    /// A row that only left memory is what it was.
    @Test func rowsThatLeaveMemoryMeanwhileAreNoConflict() async throws {
        let (store, accounts) = try open()
        try await store.waitForAll(.materialized, timeout: .hang)
        var tries = 0
        let (sum, _) = try await store.transaction { transaction in
            tries += 1
            let first = try await transaction.get(1, in: accounts)
            #expect(try accounts.evict(1))
            let second = try await transaction.get(2, in: accounts)
            return (first?.score ?? 0) + (second?.score ?? 0)
        }
        #expect(sum == 100)
        #expect(tries == 1)
        // But one that was changed before it left memory is one.
        let (other, _) = try await store.transaction { transaction in
            tries += 1
            let first = try await transaction.get(1, in: accounts)
            if tries == 2 {
                try await move(store, accounts)
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(try accounts.evict(1))
            }
            let second = try await transaction.get(2, in: accounts)
            return (first?.score ?? 0) + (second?.score ?? 0)
        }
        #expect(other == 100)
        #expect(tries == 3)
        try await store.close()
    }
}
