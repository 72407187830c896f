import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// The log is kept for a change stream, up to its limit, and a position never leads into another history.
@Suite struct ChangeStreamLogTests {
    private let directory = TemporaryStore()

    /// Small segments, of which as few are kept as are needed.
    private func open(limit: Int = .max) throws -> Store {
        try directory.open {
            $0.segmentSize = 4 << 10
            $0.blockSize = 256
            $0.logKept = .zero
            $0.logBytesKept = 0
            $0.changeStreamLimit = limit
        }
    }

    /// Writes more than a segment holds, and makes what allows to delete it: two snapshots.
    private func fill<Row>(_ store: Store, _ table: StoredTable<Row>, _ row: (Int) -> Row)
        async throws
    {
        for number in 0..<100 {
            try table.put(row(number))
            if number % 10 == 0 { try await store.waitForAll(.durable, timeout: .hang) }
        }
        for number in 0..<2 {
            try table.put(row(number))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.snapshot()
        }
    }

    private func player(_ id: Int) -> Player {
        Player(id: id, name: String(UUID().uuidString.prefix(8)))
    }

    private var firstSegment: UInt64? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path + "/log"))
        return names?.compactMap { StoreLayout.sequence(ofFileNamed: $0) }.min()
    }

    private func first<Row>(_ stream: RowChanges<Row>) async throws -> RowChange<Row>? {
        var iterator = stream.makeAsyncIterator()
        return try await iterator.next()
    }

    private func problem(_ body: () async throws -> Void) async -> ChangeStreamProblem? {
        guard case .changeStream(_, let problem)? = await storeError(body) else { return nil }
        return problem
    }

    @Test func theLogIsKeptUntilItIsAcknowledgedOrTheStreamIsRemoved() async throws {
        let store = try open()
        let players = try store.table(Player.self)
        let start = try players.put(player(0)).sequence
        var iterator = store.changes(of: players, named: "slow", from: .oldest)
            .makeAsyncIterator()
        #expect(try await iterator.next()?.sequence == start)
        try await fill(store, players, player)
        try await fill(store, players, player)
        #expect(firstSegment == 1)
        #expect(store.health.changeStreams.first?.cause == nil)

        var last: RowChange<Player>?
        while let change = try await iterator.next() {
            last = change
            if change.sequence == store.engine.log.lastSequence { break }
        }
        try await last?.acknowledge()
        #expect(store.changeStreams.first?.records == 0)
        #expect(store.changeStreams.first?.seconds == 0)
        try await fill(store, players, player)
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)

        let held = firstSegment
        try await fill(store, players, player)
        #expect(firstSegment == held)
        #expect(try await store.removeChangeStream(named: "slow"))
        try await fill(store, players, player)
        let isFreedAgain = await eventually { firstSegment != held }
        #expect(isFreedAgain)
        try await store.close(deadline: .hang)
    }

    @Test func behindItsLimitAStreamEndsAndNamesWhatItMissed() async throws {
        let store = try open(limit: 2 << 10)
        let players = try store.table(Player.self)
        try players.put(player(0))
        let stream = store.changes(of: players, named: "late", from: .oldest)
        var last: UInt64 = 0
        do {
            var iterator = stream.makeAsyncIterator()
            let change = try #require(try await iterator.next())
            try await change.acknowledge()
            last = change.sequence
        }
        for _ in 0..<3 { try await fill(store, players, player) }
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        let isNamed = await eventually { store.health.changeStreams.first?.cause != nil }
        #expect(isNamed && store.health.verdict == .degraded)

        let found = await problem { _ = try await first(stream) }
        guard case .gone(last + 1, let end)? = found else {
            Issue.record("\(found as Any)")
            return
        }
        #expect(end > last)
        #expect(store.health.causes.contains { $0.contains("late") && $0.contains("deleted") })
        try await store.close(deadline: .hang)

        let oldest = try #require(firstSegment)
        let again = try open()
        let table = try again.table(Player.self)
        let late = again.changes(of: table, named: "late", from: .oldest)
        let gone = await problem { _ = try await first(late) }
        guard case .gone(last + 1, let lost)? = gone else {
            Issue.record("\(gone as Any)")
            return
        }
        #expect(lost >= oldest - 1)
        // Another stream is not concerned. The store may have deleted more since it was opened.
        let other = again.changes(of: table, named: "other", from: .oldest)
        let begin = try #require(try await first(other)?.sequence)
        #expect(begin > lost && begin <= firstSegment ?? 0)
        #expect(try await again.removeChangeStream(named: "late"))
        #expect(again.health.verdict == .healthy, "\(again.health.causes)")
        #expect(try #require(try await first(late)?.sequence) >= begin)
        try await again.close(deadline: .hang)
    }

    /// Nothing of its table is written, so nothing is acknowledged either.
    @Test func otherTablesDoNotHoldTheLogForAStream() async throws {
        let store = try open()
        let players = try store.table(Player.self)
        let names = try store.keyValues()
        let waiting = Task { try await first(store.changes(of: players, named: "idle")) }
        let isConsumed = await eventually { store.changeStreams.first?.isConsumed == true }
        #expect(isConsumed)
        for _ in 0..<2 {
            try await fill(store, names) {
                KeyValue(key: "k\($0)", value: Array(UUID().uuidString.utf8))
            }
        }
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        let receipt = try players.put(player(1))
        #expect(try await waiting.value?.sequence == receipt.sequence)
        try await store.close(deadline: .hang)
    }

    // MARK: other histories

    /// The program puts an older copy of the log beside the positions that it has now.
    @Test func anOlderCopyOfTheStoreIsAnotherHistory() async throws {
        let copy = directory.path + "-copy"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        do {
            let store = try open()
            try store.table(Player.self).put(player(1))
            try await store.close(deadline: .hang)
        }
        try FileManager.default.copyItem(atPath: directory.path, toPath: copy)
        var acknowledged: UInt64 = 0
        do {
            let store = try open()
            let players = try store.table(Player.self)
            try players.put(player(2))
            var iterator = store.changes(of: players, named: "copied", from: .oldest)
                .makeAsyncIterator()
            for _ in 0..<2 {
                let change = try #require(try await iterator.next())
                try await change.acknowledge()
                acknowledged = change.sequence
            }
            try await store.close(deadline: .hang)
        }
        let positions = directory.path + "/change-streams"
        let newer = try Data(contentsOf: URL(fileURLWithPath: positions))
        try FileManager.default.removeItem(atPath: directory.path)
        try FileManager.default.moveItem(atPath: copy, toPath: directory.path)
        try newer.write(to: URL(fileURLWithPath: positions))

        let store = try open()
        let players = try store.table(Player.self)
        let stream = store.changes(of: players, named: "copied")
        let other = ChangeStreamProblem.ofAnotherHistory(sequence: acknowledged)
        #expect(await problem { _ = try await first(stream) } == other, "the log ends before")
        for id in 3...5 { try players.put(player(id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(await problem { _ = try await first(stream) } == other, "it has other commits")
        #expect(store.health.changeStreams.first?.cause?.contains("another history") == true)
        try await store.close(deadline: .hang)
    }

    /// With its own positions, an older copy delivers again what was written since.
    @Test func aRestoredCopyGoesOnWhereItWas() async throws {
        let copy = directory.path + "-copy"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        do {
            let store = try open()
            let players = try store.table(Player.self)
            for id in 1...3 { try players.put(player(id)) }
            try await first(store.changes(of: players, named: "kept", from: .oldest))?
                .acknowledge()
            try await store.close(deadline: .hang)
        }
        try FileManager.default.copyItem(atPath: directory.path, toPath: copy)
        try FileManager.default.removeItem(atPath: directory.path)
        try FileManager.default.moveItem(atPath: copy, toPath: directory.path)
        let store = try open()
        let players = try store.table(Player.self)
        #expect(try await first(store.changes(of: players, named: "kept"))?.key == 2)
        try await store.close(deadline: .hang)
    }

    // MARK: the file

    @Test func aDisplacedStoreWritesNoPosition() async throws {
        let moved = directory.path + "-moved"
        defer { try? FileManager.default.removeItem(atPath: moved) }
        let store = try open()
        let players = try store.table(Player.self)
        for id in 1...2 { try players.put(player(id)) }
        var iterator = store.changes(of: players, named: "fenced", from: .oldest)
            .makeAsyncIterator()
        let change = try #require(try await iterator.next())
        let before = FileManager.default.contents(atPath: directory.path + "/change-streams")
        try FileManager.default.moveItem(atPath: directory.path, toPath: moved)
        guard case .fenced? = await storeError({ try await change.acknowledge() }) else {
            Issue.record("it was acknowledged")
            return
        }
        _ = try? await store.close(deadline: .zero)
        #expect(FileManager.default.contents(atPath: moved + "/change-streams") == before)
        #expect(!FileManager.default.fileExists(atPath: directory.path))
    }

    @Test func aDamagedFileIsNamedAndLeftAloneAndTheLogIsKept() async throws {
        let path = directory.path + "/change-streams"
        do {
            let store = try open()
            let players = try store.table(Player.self)
            try players.put(player(1))
            _ = try await first(store.changes(of: players, named: "lost", from: .oldest))
            try await store.close(deadline: .hang)
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[40] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        do {
            let store = try open()
            let players = try store.table(Player.self)
            let found = await problem {
                _ = try await first(store.changes(of: players, named: "new"))
            }
            guard case .unusable(let why)? = found, why.contains(path) else {
                Issue.record("\(found as Any)")
                return
            }
            #expect(store.health.verdict == .degraded && store.health.causes.contains(why))
            try await fill(store, players, player)
            try await fill(store, players, player)
            #expect(firstSegment == 1)
            try await store.close(deadline: .hang)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
        try FileManager.default.removeItem(atPath: path)
        let store = try open()
        #expect(store.health.verdict == .healthy && store.changeStreams.isEmpty)
        try await store.close(deadline: .hang)
    }

    /// The streams may be anywhere behind what is deleted already.
    @Test func aDamagedFileKeepsTheLogThatThereIs() async throws {
        let path = directory.path + "/change-streams"
        do {
            let store = try open()
            let players = try store.table(Player.self)
            try await fill(store, players, player)
            try await fill(store, players, player)
            #expect(await eventually { firstSegment != 1 })
            try players.put(player(1))
            _ = try await first(store.changes(of: players, named: "lost", from: .oldest))
            try await store.close(deadline: .hang)
        }
        let held = try #require(firstSegment)
        #expect(held > 1)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[40] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let store = try open()
        let players = try store.table(Player.self)
        for _ in 0..<3 { try await fill(store, players, player) }
        #expect(firstSegment == held)
        try await store.close(deadline: .hang)
    }
}
