import EventLog
import GRDB
import Glibc
import TestSupport
import Testing
import WriteBehind

/// Clears in quarantine: the rows are gone, though the database still has them.
extension StoreQuarantineTests {
    /// The database answers with the row, since it has not taken the clear.
    @Test func aReadThatBeganBeforeAClearInQuarantineFindsNoRowAfterIt() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "poison"))
        try players.put(Player(id: 5, name: "five"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        try poisonWithAnotherTable(store, players)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(5))
        failing.beforeNextRead = {
            let last = try players.clear().sequence
            store.engine.log.flusher?.request(readable: last)
            while store.engine.materialized.reached < last { usleep(1000) }
        }
        #expect(try await players.get(5) == nil)
        #expect(failing.beforeNextRead == nil, "the database was asked")
        #expect(try await players.get(5) == nil)
        #expect(try players.cached(5) == nil)
        try await store.close()
    }

    @Test func whatIsWrittenAfterAClearInQuarantineStaysInMemory() async throws {
        let directory = TemporaryStore()
        var store = try await storeWithUniqueNames(directory)
        var players = try store.table(Player.self)
        try poisonWithAnotherTable(store, players)
        try players.clear()  // follows the poison row
        try players.put(Player(id: 1, name: "after", score: 9))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().map(\.others) == [2])
        #expect(try players.evict(1) == false)
        #expect(try await players.get(1)?.score == 9)
        #expect(try await players.get(0) == nil, "cleared, though the database still has it")
        try await store.close()

        store = try directory.open()
        players = try store.table(Player.self)
        #expect(try players.evict(1) == false)
        #expect(try await players.get(1)?.score == 9)
        #expect(try await players.get(0) == nil)
        try directory.user("DROP INDEX unique_name")
        #expect(try await store.quarantine.retry() == .init(applied: 3, left: 0))
        #expect(try players.evict(1))
        #expect(try await players.get(1)?.score == 9)
        #expect(try await players.get(0) == nil)
        #expect(try await count(store) == 1)
        try await store.close()
    }
}
