import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

/// Several databases, and readers alone, follow one log.
@Suite struct StoreFollowersTests {
    private let directory = TemporaryStore()
    private let other: String

    init() {
        self.init(other: FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString)
    }

    private init(other: String) { self.other = other }

    /// Opens the store with a second SQLite database beside its own, and with as little log kept as is needed.
    private func open(
        secondary: (@Sendable (any Sink) -> any Sink)? = { $0 }
    ) throws -> Store {
        var configuration = StoreConfiguration()
        configuration.stagingSlotSize = 1 << 20
        configuration.cacheLimit = 16 << 20
        configuration.segmentSize = 4 << 10
        configuration.blockSize = 256
        configuration.logKept = .zero
        configuration.logBytesKept = 0
        configuration.retryLimit = .milliseconds(20)
        var environment = StoreEnvironment.machine(configuration)
        if let secondary {
            var options = SQLiteOptions()
            options.readerCount = 1
            environment.secondaries = [
                SecondaryDatabase.Place(
                    "reports", WrappingOpener(SQLiteOpener(options, path: other), secondary))
            ]
        }
        return try Store(
            at: directory.path, configuration: configuration, environment: environment)
    }

    /// Writes more than a segment holds, and makes what allows to delete it: two snapshots.
    private func fill(_ store: Store, from first: Int) async throws {
        let players = try store.table(Player.self)
        for id in first..<first + 100 {
            try players.put(Player(id: id, name: String(UUID().uuidString.prefix(8)), score: id))
            if id % 10 == 0 { try await store.waitForAll(.durable, timeout: .hang) }
        }
        for _ in 0..<2 {
            try players.put(Player(id: 0, name: "last", score: first))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.snapshot()
        }
    }

    private var firstSegment: UInt64? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path + "/log"))
        return names?.compactMap { StoreLayout.sequence(ofFileNamed: $0) }.min()
    }

    private func count() throws -> Int? {
        let queue = try DatabaseQueue(path: other)
        defer { try? queue.close() }
        return try queue.read { try? Int.fetchOne($0, sql: "SELECT count(*) FROM player") }
    }

    private func cleanUp() {
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: other + suffix)
        }
    }

    @Test func aSecondDatabaseGetsWhatTheFirstGets() async throws {
        defer { cleanUp() }
        let store = try open()
        try await fill(store, from: 1)
        try await store.close(deadline: .hang)
        #expect(try count() == 101)
        let again = try open()
        try await fill(again, from: 101)
        try await again.close(deadline: .hang)
        #expect(try count() == 201)
    }

    @Test func whatTheSecondRefusesIsInItsQuarantineAlone() async throws {
        defer { cleanUp() }
        let store = try open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        let secondary = try #require(store.secondaries.first)
        _ = await eventually { (try? count()) == 1 }
        let queue = try DatabaseQueue(path: other)
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_name ON player(name)")
        }
        try queue.close()
        let receipt = try players.put(Player(id: 2, name: "Ada"))
        try players.put(Player(id: 3, name: "Bo"))
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        #expect(store.health.quarantined == 0)
        let isRefused = await eventually {
            secondary.sink.quarantine.commitCount == 1 && (try? count()) == 2
        }
        #expect(isRefused, "\(store.health.causes)")
        #expect(try await players.get(2)?.name == "Ada")
        try await store.close(deadline: .hang)
    }

    @Test func aSecondDatabaseThatFailsHoldsUpNobodyAndTheLogIsKeptForIt() async throws {
        defer { cleanUp() }
        let failing = Failing()
        failing.now = SinkError(.io, "down")
        let store = try open { FailingSink($0, failing) }
        try await fill(store, from: 1)
        try await fill(store, from: 101)
        let isTold = await eventually {
            store.health.causes.contains { $0.contains("the secondary database reports") }
        }
        #expect(isTold, "\(store.health.causes)")
        #expect(firstSegment == 1)
        failing.now = nil
        let hasCaughtUp = await eventually { (try? count()) == 201 }
        #expect(hasCaughtUp)
        let isHealthy = await eventually { store.health.verdict == .healthy }
        #expect(isHealthy, "\(store.health.causes)")
        try await fill(store, from: 201)
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        try await store.close(deadline: .hang)
    }

    @Test func aNewSecondDatabaseIsFilledFromASnapshotWhereTheLogIsGone() async throws {
        defer { cleanUp() }
        let store = try open(secondary: nil)
        try await fill(store, from: 1)
        try await fill(store, from: 101)
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        try await store.close(deadline: .hang)
        let again = try open()
        try await again.close(deadline: .hang)
        #expect(try count() == 201)
    }

    @Test func aSecondDatabaseOfAnotherStoreIsRefused() async throws {
        defer { cleanUp() }
        let store = try open()
        try await fill(store, from: 1)
        try await store.close(deadline: .hang)
        let stranger = StoreFollowersTests(other: other)
        let error = await storeError { _ = try stranger.open() }
        guard case .foreignDatabase = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func aSecondDatabaseOfAnotherHistoryIsRefused() async throws {
        defer { cleanUp() }
        let copy = directory.path + "-copy"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        let store = try open(secondary: nil)
        try await fill(store, from: 1)
        try await store.close(deadline: .hang)
        try FileManager.default.copyItem(atPath: directory.path, toPath: copy)
        // The copy goes another way than the store, and the second database went with the store.
        let first = try open()
        try first.table(Player.self).put(Player(id: 1, name: "with the store"))
        try await first.close(deadline: .hang)
        try FileManager.default.removeItem(atPath: directory.path)
        try FileManager.default.moveItem(atPath: copy, toPath: directory.path)
        let other = try open(secondary: nil)
        try other.table(Player.self).put(Player(id: 1, name: "with the copy"))
        try await other.close(deadline: .hang)
        let error = await storeError { _ = try open() }
        guard case .foreignDatabase(_, let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("another history"))
    }

    /// Reads the log and nothing else.
    private final class Reader: LogFollower {
        let position = Locked<UInt64>(0)
        let wakes = Locked(0)

        func released(checkpoint: Bool) -> UInt64 { position.withLock { $0 } }
        func logDidGrow() { wakes.withLock { $0 += 1 } }

        /// Reads on to the end; returns how many records there were.
        func read(_ log: Log) throws -> UInt64 {
            let start = position.withLock { $0 }
            guard log.durable > start else { return 0 }
            let reader = try log.reader(from: start + 1)
            var count: UInt64 = 0
            while try reader.next(through: log.durable), let block = reader.block {
                count += UInt64(block.count)
            }
            position.withLock { $0 = start + count }
            return count
        }
    }

    @Test(arguments: [[9, 4], [4, 9], [7, 4, 9]] as [[UInt64]])
    func whatAnyFollowerNeedsIsNotReleased(released: [UInt64]) throws {
        final class Fixed: LogFollower {
            let sequence: UInt64
            init(_ sequence: UInt64) { self.sequence = sequence }
            func released(checkpoint: Bool) -> UInt64 { sequence }
            func logDidGrow() {}
        }
        let followers = Followers()
        #expect(try followers.released(checkpoint: true) == .max)
        let all = released.map(Fixed.init)
        for follower in all { followers.add(follower) }
        #expect(try followers.released(checkpoint: true) == 4)
        for follower in all where follower.sequence == 4 { followers.remove(follower) }
        #expect(try followers.released(checkpoint: true) > 4)
    }

    @Test func theLogIsKeptForAFollowerThatOnlyReads() async throws {
        let store = try open(secondary: nil)
        let reader = Reader()
        store.followers.add(reader)
        try await fill(store, from: 1)
        try await fill(store, from: 101)
        #expect(reader.wakes.withLock { $0 } > 0)
        #expect(firstSegment == 1)
        let log = store.engine.log
        #expect(try reader.read(log) == log.durable)
        try await fill(store, from: 201)
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        _ = try reader.read(log)
        store.followers.remove(reader)
        try await store.close(deadline: .hang)
    }
}
