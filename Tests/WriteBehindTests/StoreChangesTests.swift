import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// One consumer follows all tables of a store.
@Suite struct StoreChangesTests {
    private let directory = TemporaryStore()

    private func take(
        _ count: Int, of stream: StoreChanges, acknowledging: Bool = false
    ) async throws -> [StoreChange] {
        var changes: [StoreChange] = []
        var iterator = stream.makeAsyncIterator()
        while changes.count < count, let change = try await iterator.next() {
            changes.append(change)
            if acknowledging, change.isLastOfCommit { try await change.acknowledge() }
        }
        return changes
    }

    @Test func commitsComeWholeAndInTheirOrderAcrossTables() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let stream = store.changes(named: "all")
        try players.put(Player(id: 1, name: "Ada"))
        // A table that is declared while the stream is there.
        let names = try store.keyValues()
        try await store.transaction { transaction in
            try transaction.put(KeyValue(key: "a", value: [1]), in: names)
            try await transaction.update(1, in: players) { $0.score = 7 }
            try transaction.delete("b", in: names)
        }
        try names.clear()

        let changes = try await take(5, of: stream)
        #expect(changes.map(\.table) == ["player", "keyvalue", "player", "keyvalue", "keyvalue"])
        #expect(changes.map(\.operation) == [.put, .put, .update, .delete, .clear])
        #expect(changes.map(\.isLastOfCommit) == [true, false, false, true, true])
        #expect(zip(changes, changes.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        #expect(
            try changes.map { try $0.key } == [
                ["id": .integer(1)], ["key": .text("a")], ["id": .integer(1)],
                ["key": .text("b")], [:],
            ])
        #expect(try changes[1].columns == ["value": .blob([1])])
        #expect(try changes[1].new == changes[1].columns)
        #expect(try changes[2].columns == ["score": .integer(7)])
        #expect(try changes[2].new == nil && changes[2].old == nil)
        #expect(try changes[3].columns.isEmpty && changes[4].columns.isEmpty)

        // As rows of their types.
        #expect(try changes[0].of(players)?.new == Player(id: 1, name: "Ada"))
        #expect(try changes[0].of(names) == nil && changes[1].of(players) == nil)
        #expect(try changes[1].of(names)?.key == "a")
        #expect(try changes[4].of(names)?.key == nil)
        try await store.close(deadline: .hang)
    }

    @Test func anotherStoresTableIsRefused() async throws {
        let (store, other) = (try directory.open(), TemporaryStore())
        let foreign = try other.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        let change = try #require(
            try await take(1, of: store.changes(named: "all", from: .oldest)).first)
        let table = try foreign.table(Player.self)
        let error = await storeError { _ = try change.of(table) }
        guard case .unknownTable? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await store.close(deadline: .hang)
        try await foreign.close(deadline: .hang)
    }

    /// It is in the middle of a commit when the process ends.
    @Test(arguments: [true, false])
    func itGoesOnBehindTheLastWholeCommit(isClosed: Bool) async throws {
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            let names = try store.keyValues()
            let stream = store.changes(named: "all", from: .oldest)
            for id in 1...3 {
                try store.transaction { transaction in
                    try transaction.put(Player(id: id, name: "p"), in: players)
                    try transaction.put(KeyValue(key: "\(id)", value: []), in: names)
                }
            }
            let changes = try await take(5, of: stream)
            try await changes[1].acknowledge()
            try await changes[4].acknowledge()
            #expect(store.changeStreams.map(\.table) == [nil])
            if isClosed { try await store.close(deadline: .hang) }
        }
        let store = try directory.open()
        let stream = store.changes(named: "all")
        let rest = try await take(2, of: stream, acknowledging: true)
        #expect(rest.map(\.table) == ["player", "keyvalue"])
        #expect(try rest[0].key == ["id": .integer(3)])
        try store.keyValues().put(KeyValue(key: "next", value: []))
        #expect(try await take(1, of: stream).map { try $0.key } == [["key": .text("next")]])
        try await store.close(deadline: .hang)
    }

    @Test func aNameIsOfOneTableOrOfAll() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "p"))
        _ = try await take(1, of: store.changes(named: "mine", from: .oldest))
        var ofTable = store.changes(of: players, named: "mine").makeAsyncIterator()
        #expect(await streamProblem { _ = try await ofTable.next() } == .ofAnotherTable)
        #expect(try await store.removeChangeStream(named: "mine"))
        var again = store.changes(of: players, named: "mine", from: .oldest).makeAsyncIterator()
        #expect(try await again.next()?.key == 1)
        #expect(
            await streamProblem { _ = try await take(1, of: store.changes(named: "mine")) }
                == .ofAnotherTable)
        try await store.close(deadline: .hang)
    }

    /// Nobody acknowledges: what is read is bounded by the log's blocks, and cancelling ends the wait.
    @Test func aConsumerThatWaitsIsCancelled() async throws {
        let store = try directory.open()
        let waiting = Task { try await take(1, of: store.changes(named: "all")) }
        #expect(await eventually { store.changeStreams.first?.isConsumed == true })
        waiting.cancel()
        await #expect { _ = try await waiting.value } throws: { StoreError.isCancelled($0) }
        #expect(store.changeStreams.first?.isConsumed == false)
        try await store.close(deadline: .hang)
    }
}
