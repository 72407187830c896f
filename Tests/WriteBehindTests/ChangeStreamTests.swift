import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// A consumer follows a table under a name, and misses nothing that survives power loss.
@Suite struct ChangeStreamTests {
    private let directory = TemporaryStore()

    /// Takes so many changes, then gives the stream back.
    private func take<Row>(
        _ count: Int, of stream: RowChanges<Row>, acknowledging: Bool = false
    ) async throws -> [RowChange<Row>] {
        var changes: [RowChange<Row>] = []
        var iterator = stream.makeAsyncIterator()
        while changes.count < count, let change = try await iterator.next() {
            changes.append(change)
            if acknowledging, change.isLastOfCommit { try await change.acknowledge() }
        }
        return changes
    }

    // MARK: what is delivered

    @Test func everyChangeComesInTheOrderOfTheLogWithWhatItWrote() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let stream = store.changes(of: players, named: "all")
        let begin = Date(timeIntervalSinceNow: -0.001)
        let first = try players.put(Player(id: 1, name: "Ada", score: 10))
        try await players.update(1) { $0.team = "red" }
        try await players.increment(1, "score")
        try store.keyValues().put(KeyValue(key: "other", value: [1]))
        try players.delete(1)
        try players.clear()

        let changes = try await take(5, of: stream)

        #expect(changes.map(\.operation) == [.put, .update, .update, .delete, .clear])
        #expect(changes.map(\.key) == [1, 1, 1, 1, nil])
        #expect(changes[0].sequence == first.sequence)
        #expect(zip(changes, changes.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        #expect(changes.allSatisfy { $0.date >= begin && $0.date <= Date(timeIntervalSinceNow: 1) })
        #expect(changes.allSatisfy { $0.isLastOfCommit })
        #expect(
            try changes[0].columns
                == ["name": .text("Ada"), "score": .integer(10), "team": .null])
        #expect(try changes[0].new == Player(id: 1, name: "Ada", score: 10))
        #expect(try changes[1].columns == ["team": .text("red")])
        #expect(try changes[1]["team"] == .text("red"))
        #expect(try changes[1]["name"] == nil && changes[1].new == nil)
        #expect(try changes[2].columns == ["score": .integer(11)])
        #expect(try changes[3].columns.isEmpty && changes[4].columns.isEmpty)
        try await store.close(deadline: .hang)
    }

    @Test func aCommitComesWholeAndSaysWhereItEnds() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let names = try store.keyValues()
        let stream = store.changes(of: players, named: "whole")
        try store.transaction { transaction in
            try transaction.put(KeyValue(key: "a", value: []), in: names)
            for id in 0..<3 { try transaction.put(Player(id: id, name: "p"), in: players) }
            try transaction.put(KeyValue(key: "b", value: []), in: names)
        }
        try players.delete(0)

        let changes = try await take(4, of: stream)
        #expect(changes.map(\.isLastOfCommit) == [false, false, true, true])

        // In the middle of a commit, only what was before it is done.
        try await changes[1].acknowledge()
        #expect(try await take(4, of: stream).map(\.key) == [0, 1, 2, 0])
        let late = await streamProblem { try await changes[2].acknowledge() }
        #expect(late == .takenOver, "the stream has been opened again since")
        try await store.close(deadline: .hang)
    }

    @Test func aNewStreamBeginsNowOrWithTheOldestLog() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "before"))
        let now = store.changes(of: players, named: "now")
        try players.put(Player(id: 2, name: "after"))
        let oldest = store.changes(of: players, named: "oldest", from: .oldest)
        #expect(try await take(1, of: now).map(\.key) == [2])
        #expect(try await take(2, of: oldest).map(\.key) == [1, 2])
        try await store.close(deadline: .hang)
    }

    /// The database refuses a commit, and a row's time is over: both are in the log.
    @Test func aStreamFollowsTheLogAndNotTheDatabase() async throws {
        let store = try directory.open { $0.expiryInterval = .milliseconds(20) }
        let players = try store.table(Player.self)
        let stream = store.changes(of: players, named: "refused")
        try players.put(Player(id: 0, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
        try players.put(Player(id: 1, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.health.quarantined == 1)
        #expect(try await take(2, of: stream).map(\.key) == [0, 1])

        let sessions = try store.table(Session.self)
        let expired = store.changes(of: sessions, named: "expired")
        try sessions.put(Session(id: "s", until: 1))
        #expect(try await take(2, of: expired).map(\.operation) == [.put, .delete])
        try await store.close(deadline: .hang)
    }

    @Test func rowsFromBeforeAColumnWasAddedHaveItsDefault() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let old = store.changes(of: players, named: "old", from: .oldest)
        try players.put(Player(id: 1, name: "Ada"))
        let ranked = try store.table(PlayerWithRank.self)
        try await ranked.update(1) { $0.rank = 9 }
        try players.put(Player(id: 2, name: "Bo"))

        let changes = try await take(3, of: old)
        #expect(try changes[0]["rank"] == .integer(7))
        #expect(try changes[1].columns == ["rank": .integer(9)])
        // A program that lacks a column sets those that it has.
        #expect(changes[2].operation == .update)
        let new = store.changes(of: ranked, named: "new", from: .oldest)
        #expect(try await take(1, of: new)[0].new?.rank == 7)
        try await store.close(deadline: .hang)
    }

    // MARK: going on

    @Test(arguments: [true, false])
    func aStreamGoesOnBehindTheLastAcknowledgedCommit(isClosed: Bool) async throws {
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            let stream = store.changes(of: players, named: "resumed")
            for id in 1...5 { try players.put(Player(id: id, name: "p")) }
            let changes = try await take(5, of: stream)
            try await changes[2].acknowledge()
            // What was acknowledged later counts for what was before it.
            try await changes[1].acknowledge()
            if isClosed { try await store.close(deadline: .hang) }
        }
        let store = try directory.open()
        let players = try store.table(Player.self)
        #expect(store.changeStreams.map(\.name) == ["resumed"])
        let stream = store.changes(of: players, named: "resumed")
        #expect(try await take(2, of: stream, acknowledging: true).map(\.key) == [4, 5])
        try players.put(Player(id: 6, name: "p"))
        #expect(try await take(1, of: stream).map(\.key) == [6])
        try await store.close(deadline: .hang)
    }

    @Test func nothingIsDeliveredThatPowerLossCouldTakeBack() async throws {
        let store = try directory.open { $0.syncInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        let stream = store.changes(of: players, named: "durable")
        let writer = Task {
            for id in 0..<2000 { try players.put(Player(id: id, name: "p")) }
        }
        var count = 0
        for try await change in stream {
            #expect(change.sequence <= store.engine.log.readable)
            count += 1
            if count == 2000 { break }
        }
        try await writer.value
        try await store.close(deadline: .hang)
    }

    // MARK: one consumer

    @Test func aSecondConsumerIsRefusedUntilTheFirstHasEnded() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let stream = store.changes(of: players, named: "one", from: .oldest)
        try players.put(Player(id: 1, name: "p"))
        do {
            var iterator = stream.makeAsyncIterator()
            #expect(try await iterator.next()?.key == 1)
            #expect(store.changeStreams.first?.isConsumed == true)
            #expect(await streamProblem { _ = try await take(1, of: stream) } == .inUse)
            // Others have their own positions.
            let other = store.changes(of: players, named: "two", from: .oldest)
            #expect(try await take(1, of: other).map(\.key) == [1])
            #expect(try await take(1, of: other).map(\.key) == [1])
        }
        let waiting = Task { try await take(2, of: stream) }
        let isConsumed = await eventually { store.changeStreams.first?.isConsumed == true }
        #expect(isConsumed)
        waiting.cancel()
        await #expect { _ = try await waiting.value } throws: { StoreError.isCancelled($0) }
        #expect(store.changeStreams.first?.isConsumed == false)
        try players.put(Player(id: 2, name: "p"))
        #expect(try await take(2, of: stream).map(\.key) == [1, 2])
        try await store.close(deadline: .hang)
    }

    @Test func aConsumerThatWaitsEndsWhenTheStoreIsClosed() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let stream = store.changes(of: players, named: "waits")
        let waiting = Task { try await take(1, of: stream) }
        _ = await eventually { store.changeStreams.first?.isConsumed == true }
        try await store.close(deadline: .hang)
        guard case .closed? = await storeError({ _ = try await waiting.value }) else {
            Issue.record("it did not end with the store")
            return
        }
        #expect(await storeError { _ = try await store.removeChangeStream(named: "waits") } != nil)
    }

    /// A stepped store with so many blocks of log, in each of which the players 0 and 1 are put, and the table's number.
    private func stepped(blocks: Int) throws -> (SteppedStore, table: UInt32) {
        let store = try SteppedStore(directory)
        let table = try store.engine.declare(Player.schema).id
        store.flush()
        for _ in 0..<blocks {
            for id in 0..<2 as Range<Int64> {
                let (key, row) = try RowCodec.encode(
                    [.integer(id), .text("p"), .integer(0), .null], Player.schema)
                _ = try store.engine.write(
                    .put, table: UInt16(table), key: key.span, body: row.span)
            }
            store.flush()
        }
        return (store, table)
    }

    /// Two calls of `next()` on copies of one iterator both find that more must be read.
    @Test func aBlockThatWasReadIsDeliveredBeforeTheNextIsRead() throws {
        let (store, table) = try stepped(blocks: 4)
        let source = ChangeSource(
            store.store.changeStreams, named: "copied", table: table, after: nil)
        try source.fill()
        var sequences: [UInt64] = []
        for _ in 0..<5 {
            try source.fill()
            try source.fill()
            while let change = try source.take() { sequences.append(change.sequence) }
        }
        #expect(sequences == Array(2...9))
        try store.close()
    }

    /// One copy of an iterator has ended, and another goes on.
    @Test func aSourceThatHasEndedDeliversNothing() throws {
        let (store, table) = try stepped(blocks: 2)
        let source = ChangeSource(
            store.store.changeStreams, named: "ended", table: table, after: nil)
        try source.fill()
        while try source.take() == nil { try source.fill() }
        source.end()
        #expect { try source.fill() } throws: { StoreError.isCancelled($0) }
        #expect(try source.take() == nil)
        // Another consumer may have it by now.
        let other = ChangeSource(
            store.store.changeStreams, named: "ended", table: table, after: nil)
        try other.fill()
        source.end()
        #expect(store.store.changeStreams.list(store.engine.tables).first?.isConsumed == true)
        try store.close()
    }

    // MARK: names

    @Test func aNameBelongsToOneTableUntilItIsRemoved() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let names = try store.keyValues()
        try players.put(Player(id: 1, name: "p"))
        try names.put(KeyValue(key: "a", value: [1]))
        _ = try await take(1, of: store.changes(of: players, named: "mine", from: .oldest))
        let foreign = store.changes(of: names, named: "mine", from: .oldest)
        #expect(await streamProblem { _ = try await take(1, of: foreign) } == .ofAnotherTable)
        let known = try #require(store.health.changeStreams.first)
        #expect(known.name == "mine" && known.table == "player" && known.records > 0)

        #expect(try await store.removeChangeStream(named: "mine"))
        #expect(try await store.removeChangeStream(named: "mine") == false)
        #expect(store.changeStreams.isEmpty)
        #expect(try await take(1, of: foreign).map(\.key) == ["a"])
        for name in ["", String(repeating: "n", count: 256)] {
            let stream = store.changes(of: players, named: name, from: .oldest)
            #expect(
                await streamProblem { _ = try await take(1, of: stream) } == .badName(limit: 255))
        }
        try await store.close(deadline: .hang)
    }

    @Test func aConsumerOfARemovedStreamIsEnded() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        var iterator = store.changes(of: players, named: "gone").makeAsyncIterator()
        try players.put(Player(id: 1, name: "p"))
        let change = try #require(try await iterator.next())
        try await store.removeChangeStream(named: "gone")
        #expect(await streamProblem { try await change.acknowledge() } == .removed)
        try players.put(Player(id: 2, name: "p"))
        #expect(await streamProblem { while try await iterator.next() != nil {} } == .removed)
        #expect(try await iterator.next() == nil, "an iterator that threw has ended")
        try await store.close(deadline: .hang)
    }
}
