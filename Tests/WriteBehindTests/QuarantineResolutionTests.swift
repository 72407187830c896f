import EventLog
import Foundation
import GRDB
import Glibc
import TestSupport
import Testing
import WriteBehind

/// How commits leave quarantine: corrected by a later write, retried, given up.
extension StoreQuarantineTests {
    /// Another name, and away with it; each is taken by the database, and nothing of what was refused is left.
    @Test(arguments: ["put", "delete", "transaction of both rows", "clear"])
    func aCorrectedRowSettlesWhatWasRefusedBeforeIt(how: String) async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let (_, refused) = try store.transaction {
            try $0.put(Player(id: 1, name: "poison"), in: players)
            if how == "transaction of both rows" {
                try $0.put(Player(id: 2, name: "two"), in: players)
            }
        }
        for _ in 0..<100 { try await players.increment(1, "score", by: 1) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.quarantined == 101)
        let corrected = Player(id: 1, name: "right", score: 3)
        let receipt: Receipt
        switch how {
        case "put": receipt = try players.put(corrected)
        case "delete": receipt = try players.delete(1)
        case "clear": receipt = try players.clear()
        default:
            receipt = try store.transaction {
                try $0.put(corrected, in: players)
                try $0.put(Player(id: 2, name: "zwei"), in: players)
            }
            .receipt
        }
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        try await store.wait(for: .materialized, refused, timeout: .hang)
        #expect(store.quarantine.list().isEmpty && store.health.verdict == .healthy)
        #expect(try players.evict(1))
        let isThere = how == "put" || how == "transaction of both rows"
        #expect(try await players.get(1) == (isThere ? corrected : nil))
        try await store.close()
        // A database that is built again comes to the same.
        for suffix in ["", "-wal", "-shm"] { unlink(directory.database + suffix) }
        let again = try directory.open()
        try await again.waitForAll(.materialized, timeout: .hang)
        #expect(again.quarantine.list().isEmpty)
        #expect(try await again.table(Player.self).get(1) == (isThere ? corrected : nil))
        try await again.close()
    }

    /// A hot row that the database refuses, with all that comes after; other rows flow.
    @Test func aHotRowInQuarantineCanBeRetriedGivenUpAndCorrected() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        for round in 0..<3 {
            try directory.user("CREATE UNIQUE INDEX IF NOT EXISTS unique_name ON player (name)")
            let first = try await poison(store, players, id: 1)
            for number in 0..<5000 {
                try await players.increment(1, "score", by: 1)
                try players.put(Player(id: 10 + number, name: "\(round)-\(number)"))
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().map(\.others) == [5000])
            #expect(try players.evict(5009), "other rows have come through")
            let score = try await players.get(1)?.score
            #expect(score == 5001)
            switch round {
            case 0:
                try directory.user("DROP INDEX unique_name")
                let result = try await store.quarantine.retry()
                #expect(result == .init(applied: 5001, left: 0))
                try players.put(Player(id: 1, name: "right"))
            case 1:
                try await store.quarantine.skip(
                    first.sequence, reason: "a test", includingFollowers: true)
            default:
                let right = Player(id: 1, name: "corrected", score: 5001)
                try await store.quarantine.correct(
                    first.sequence, with: right, in: players, reason: "a test",
                    includingFollowers: true)
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
        }
        #expect(try players.evict(1))
        #expect(try await players.get(1) == Player(id: 1, name: "corrected", score: 5001))
        let settled = try directory.records().filter { $0.operation == .settle }
        #expect(settled.count == 2, "one record for all that is given up")
        try await store.close()
    }

    @Test func aCorrectionIsOfARowOfTheCommit() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let sessions = try store.table(Session.self)
        let receipt = try await poison(store, players, id: 1)
        for wrong in [
            { () async throws -> Void in
                try await store.quarantine.correct(
                    receipt.sequence, with: Player(id: 2, name: "two"), in: players, reason: "t")
            },
            {
                try await store.quarantine.correct(
                    receipt.sequence, with: Session(id: "one", until: 0), in: sessions, reason: "t")
            },
        ] {
            let error = await storeError(wrong)
            guard case .notOfCommit(receipt.sequence, _)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
        #expect(try await players.get(2) == nil)
        #expect(store.health.quarantined == 1)
        try await store.close()
    }

    @Test func skippingGivesTheRowBackToTheDatabase() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let receipt = try await poison(store, players, id: 1)
        let later = try await players.update(1) { $0.score = 5 }
        try await store.waitForAll(.materialized, timeout: .hang)
        let told = await storeError { try await store.wait(for: .materialized, later) }
        guard case .quarantined(later.sequence, let reason)? = told else {
            Issue.record("\(String(describing: told))")
            return
        }
        #expect(reason.contains("follows commit \(receipt.sequence)"))
        #expect(store.quarantine.list().map(\.others) == [1])
        #expect(store.health.quarantined == 2)
        for sequence in [receipt.sequence, later.sequence] {
            let error = await storeError {
                _ = try await store.quarantine.skip(sequence, reason: "a test")
            }
            guard case .quarantineHasOthers(sequence, 1, later.sequence)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
        let skipped = try await store.quarantine.skip(
            receipt.sequence, reason: "a test", includingFollowers: true)
        try await store.wait(for: .materialized, skipped, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        #expect(try await players.get(1) == nil)
        #expect(try players.evict(1))
        #expect(try await players.get(1) == nil)
        let error = await storeError {
            _ = try await store.quarantine.skip(receipt.sequence, reason: "again")
        }
        guard case .notInQuarantine(receipt.sequence)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await store.close()
    }

    /// The later commit shares one row with the poison one, and has another for itself.
    @Test func whatFollowsAGivenUpCommitIsGivenUpWhole() async throws {
        let directory = TemporaryStore()
        try await storeWithUniqueNames(directory).close()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        let receipt = try await poison(store, players, id: 1)
        failing.now = SinkError(.busy, "injected")
        try store.transaction {
            try $0.put(Player(id: 1, name: "one"), in: players)
            try $0.put(Player(id: 2, name: "poison"), in: players)  // so it is refused as well
        }
        let skipping = Task {
            try await store.quarantine.skip(
                receipt.sequence, reason: "a test", includingFollowers: true)
        }
        try await Task.sleep(for: .milliseconds(50))
        failing.now = nil
        let skipped = try await skipping.value
        try await store.wait(for: .materialized, skipped, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        let before = try await players.get(2)
        #expect(try players.evict(2))
        #expect(try await players.get(2) == before, "memory and database agree")
        try await store.close()
    }

    /// A clear shares all rows of its table, so what follows it is connected with it.
    @Test func whatFollowsAClearInQuarantineIsNotGivenUpWithoutIt() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        try poisonWithAnotherTable(store, players)
        try players.clear()
        let last = try players.put(Player(id: 2, name: "after"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let error = await storeError {
            _ = try await store.quarantine.skip(
                last.sequence, reason: "a test", includingFollowers: true)
        }
        guard case .database(let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("clear"))
        #expect(store.health.quarantined == 3)
        try await store.close()
    }

    /// A row that was given up, and is refused anew, is another commit's.
    @Test func aCommitThatIsGivenUpInPartStandsForTheRestAlone() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        var store = try directory.open(failing: failing)
        var players = try store.table(Player.self)
        for id in [0, 7] { try players.put(Player(id: id, name: "poison\(id)")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        let both = try store.transaction {
            try $0.put(Player(id: 1, name: "poison0"), in: players)
            try $0.put(Player(id: 2, name: "free"), in: players)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        let sequence = both.receipt.firstSequence
        // The first part gives row 1 up. Then the task is cancelled, while it waits for the database to take that.
        var parts = store.quarantine
        parts.partLimits.rows = 1
        let task = Locked<Task<Void, any Error>?>(nil)
        failing.beforeBlockingRead = {
            failing.now = SinkError(.busy, "injected")
            while task.withLock({ $0 == nil }) { usleep(1000) }
            task.withLock { $0?.cancel() }
        }
        let (quarantine, again) = (parts, players)
        let giving = Task { _ = try await quarantine.skip(sequence, reason: "a test") }
        task.withLock { $0 = giving }
        _ = await giving.result
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        try #require(store.quarantine.list().map(\.rows) == [["player[2]"]])
        let later = try again.put(Player(id: 1, name: "poison7"))
        try await store.waitForAll(.materialized, timeout: .hang)
        for _ in 0..<2 {
            let list = store.quarantine.list()
            #expect(list.map(\.sequence) == [sequence, later.sequence])
            #expect(list.map(\.rows) == [["player[2]"], ["player[1]"]])
            #expect(list.map(\.others) == [0, 0])
            try await store.close()
            store = try directory.open(failing: failing)
            players = try store.table(Player.self)
        }
        let given = try await store.quarantine.skip(sequence, reason: "a test")
        try await store.wait(for: .materialized, given, timeout: .hang)
        #expect(store.quarantine.list().map(\.sequence) == [later.sequence])
        #expect(try await players.get(1)?.name == "poison7")
        #expect(try await players.get(2) == nil)
        try await store.close()
    }

    @Test func patchingPutsACorrectedRow() async throws {
        let directory = TemporaryStore()
        let store = try await storeWithUniqueNames(directory)
        let players = try store.table(Player.self)
        let receipt = try await poison(store, players, id: 1)
        let corrected = Player(id: 1, name: "corrected", score: 1)
        let patched = try await store.quarantine.correct(
            receipt.sequence, with: corrected, in: players, reason: "a test")
        try await store.wait(for: .materialized, patched, timeout: .hang)
        #expect(store.quarantine.list().isEmpty)
        #expect(try players.evict(1))
        #expect(try await players.get(1) == corrected)
        try await store.close()
    }
}
