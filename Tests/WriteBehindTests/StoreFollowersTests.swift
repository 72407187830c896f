import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

/// Opens a database as soon as it can be reached.
private struct LateOpener: SinkOpener {
    let base: any SinkOpener
    let opens: @Sendable () -> Bool

    func name(for owner: SinkOwner) -> String { base.name(for: owner) }
    func open(for owner: SinkOwner) throws(SinkError) -> any Sink {
        guard opens() else { throw SinkError(.io, "unreachable") }
        return try base.open(for: owner)
    }
}

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
        secondary: (@Sendable (any Sink) -> any Sink)? = { $0 },
        opens: @escaping @Sendable () -> Bool = { true }
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
                    "reports",
                    LateOpener(
                        base: WrappingOpener(SQLiteOpener(options, path: other), secondary),
                        opens: opens))
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
            secondary.sink?.quarantine.commitCount == 1 && (try? count()) == 2
        }
        #expect(isRefused, "\(store.health.causes)")
        let health = store.health
        #expect(health.secondaries.map(\.quarantined) == [1] && health.verdict == .degraded)
        #expect(
            health.causes.contains { $0.contains("reports refused 1 commit") }, "\(health.causes)")
        #expect(try await players.get(2)?.name == "Ada")
        let quarantine = try #require(store.quarantine(of: "reports"))
        #expect(quarantine.list().map(\.rows) == [["player[2]"]])
        #expect(try await quarantine.retry() == Quarantine.Retried(applied: 0, left: 1))
        #expect(quarantine.list().map(\.attempts) == [2])
        let again = try DatabaseQueue(path: other)
        try await again.write { try $0.execute(sql: "DROP INDEX one_name") }
        try again.close()
        #expect(try await quarantine.retry() == Quarantine.Retried(applied: 1, left: 0))
        #expect(try count() == 3 && quarantine.list().isEmpty)
        let isHealthy = await eventually { store.health.verdict == .healthy }
        #expect(isHealthy, "\(store.health.causes)")
        try await store.close(deadline: .hang)
        await #expect(throws: StoreError.self) { try await quarantine.retry() }
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
        #expect(try store.followers.released(checkpoint: true) == 0)
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
        try await stranger.isToldOfAForeignDatabase("the database of another store")
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
        try await isToldOfAForeignDatabase("another history")
    }

    @Test func aSecondDatabaseAheadOfTheLogIsOfAnotherHistory() async throws {
        defer { cleanUp() }
        let store = try open()
        try await fill(store, from: 1)
        try await store.close(deadline: .hang)
        let queue = try DatabaseQueue(path: other)
        try await queue.write {
            try $0.execute(sql: "UPDATE _writebehind_watermark SET sequence = sequence + 500")
        }
        try queue.close()
        try await isToldOfAForeignDatabase("another history")
    }

    /// It was left out for some lives, in which nothing kept the log for it.
    @Test func aSecondDatabaseWhoseQuarantineTheLogLacksIsRefused() async throws {
        defer { cleanUp() }
        let store = try open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        _ = await eventually { (try? count()) == 1 }
        let queue = try DatabaseQueue(path: other)
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_name ON player(name)")
        }
        try queue.close()
        try players.put(Player(id: 2, name: "Ada"))
        try await fill(store, from: 3)
        try await store.close(deadline: .hang)
        #expect(firstSegment == 1)
        let without = try open(secondary: nil)
        try without.table(Player.self).put(Player(id: 0, name: "without"))
        try await without.snapshot()
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        try await without.close(deadline: .hang)
        try await isToldOfAForeignDatabase("the log does not hold what it needs")
    }

    /// The store works without it.
    private func isToldOfAForeignDatabase(_ reason: String) async throws {
        let store = try open()
        let isTold = await eventually {
            store.health.causes.contains {
                $0.contains("the secondary database reports") && $0.contains(reason)
            }
        }
        #expect(isTold, "\(store.health.causes)")
        #expect(store.health.secondaries.first?.materialized == nil)
        let receipt = try store.table(Player.self).put(Player(id: 5000, name: "works"))
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        try await store.close(deadline: .hang)
    }

    /// Nor does it lose anything: the log is kept until it is there.
    @Test func aSecondDatabaseThatCannotBeOpenedIsTriedAgainWhileTheStoreWorks() async throws {
        defer { cleanUp() }
        let isUp = Locked(false)
        let store = try open(opens: { isUp.withLock { $0 } })
        try await fill(store, from: 1)
        try await fill(store, from: 101)
        let isTold = await eventually {
            store.health.secondaries.first?.cause?.contains("unreachable") ?? false
        }
        #expect(isTold, "\(store.health.causes)")
        #expect(store.health.verdict == .degraded)
        #expect(store.health.secondaries.first?.materialized == nil)
        #expect(store.health.secondaries.first?.records == store.health.lag.staged)
        #expect(firstSegment == 1)
        #expect(try store.followers.released(checkpoint: true) == 0)
        let layout = StoreLayout(root: directory.path)
        let isReported = await eventually {
            SecondariesReport.read(layout, on: PosixDisk())?.databases.first?.cause != nil
        }
        #expect(isReported)
        isUp.withLock { $0 = true }
        let hasCaughtUp = await eventually {
            store.health.secondaries.first?.records == 0 && (try? count()) == 201
        }
        #expect(hasCaughtUp, "\(store.health.secondaries)")
        let isHealthy = await eventually { store.health.verdict == .healthy }
        #expect(isHealthy, "\(store.health.causes)")
        let end = store.health.lag.staged
        try await store.close(deadline: .hang)
        let report = try #require(SecondariesReport.read(layout, on: PosixDisk()))
        #expect(report.databases.map(\.materialized) == [end])
        #expect(report.databases.map(\.cause) == [nil])
        let alone = try open(secondary: nil)
        let isGone = await eventually {
            SecondariesReport.read(layout, on: PosixDisk()) == nil
        }
        #expect(isGone)
        try await alone.close(deadline: .hang)
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
            guard log.readable > start else { return 0 }
            let reader = try log.reader(from: start + 1)
            var count: UInt64 = 0
            while try reader.next(through: log.readable), let block = reader.block {
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

    /// A call that reads the past does so on its own thread.
    @Test func aFollowerLearnsOfLogThatAnotherThreadMakesReadable() throws {
        let stepped = try SteppedStore(directory)
        let reader = Reader()
        stepped.store.followers.add(reader)
        let definition = try stepped.engine.declare(Player.schema)
        #expect(definition.id == 1 && reader.wakes.withLock { $0 } == 0)
        stepped.engine.log.makeReadable(through: stepped.engine.log.lastSequence)
        #expect(reader.wakes.withLock { $0 } == 1)
        try stepped.close()
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
        #expect(try reader.read(log) == log.readable)
        try await fill(store, from: 201)
        let isFreed = await eventually { firstSegment != 1 }
        #expect(isFreed)
        _ = try reader.read(log)
        store.followers.remove(reader)
        try await store.close(deadline: .hang)
    }
}
