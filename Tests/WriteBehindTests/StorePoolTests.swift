import EventLog
import Foundation
import GRDB
import Glibc
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

/// No thread of Swift's pool ever waits for a disk, a database or another thread. The pool has one thread here, and
/// what a store may wait for goes on only once that thread has run a task meanwhile: if it is the one that waits, it
/// waits for itself.
@Suite struct StorePoolTests {
    @Test func aStoreWhoseDiskNeedsThePoolDoesEverything() async {
        await #expect(processExitsWith: .success) {
            await Pool.narrow()
            let disk = FailingDisk(PosixDisk(), before: Pool.letRun)
            let life = try await StoreLife(.machine(.forTools, disk: disk))
            try await life.write()
            try await life.lookBack()
            try await life.follow()
            try await life.settle()
            try await life.end()
        }
    }

    @Test func aStoreWhoseDatabaseNeedsThePoolDoesEverything() async {
        await #expect(processExitsWith: .success) {
            await Pool.narrow()
            var environment = StoreEnvironment.machine(.forTools)
            let failing = Failing()
            failing.before = Pool.letRun
            environment.opener = WrappingOpener(environment.opener) {
                Pool.letRun()
                return FailingSink($0, failing)
            }
            let life = try await StoreLife(environment)
            try await life.write()
            try await life.lookBack()
            try await life.settle()
            try await life.end()
        }
    }

    /// Also while their database is lost and another takes its place.
    @Test(arguments: [2, 20])
    func usersQueriesThatDoNotEndHoldNobodyUp(count: Int) async {
        await #expect(processExitsWith: .success) { [count] in
            await Pool.narrow()
            let life = try await StoreLife(.machine(.forTools))
            try await life.write()
            let queries = await EndlessQueries(life.store, count)
            try await life.write()
            try await life.lookBack()
            try await life.settle()
            for suffix in ["", "-wal", "-shm"] { unlink(life.directory.database + suffix) }
            try await life.crowd()
            try await life.settle()
            try await life.end()
            await queries.end()
        }
    }
}

/// `precondition` for what is awaited.
private func must(_ holds: Bool, _ what: @autoclosure () -> String = "", line: UInt = #line) {
    precondition(holds, what(), line: line)
}

/// Swift's pool of threads.
private enum Pool {
    /// Leaves one thread to the tasks that come: there are as many as processors, and all others wait from now on.
    static func narrow() async {
        let waiting = Locked(0)
        let others = ProcessInfo.processInfo.activeProcessorCount - 1
        for _ in 0..<others {
            Task.detached {
                waiting.withLock { $0 += 1 }
                DispatchSemaphore(value: 0).wait()
            }
        }
        must(await eventually { waiting.withLock { $0 } == others })
        let hasRun = DispatchSemaphore(value: 0)
        let isWide = await Task.detached {
            Task.detached { hasRun.signal() }
            return hasRun.wait(timeout: .now() + 0.2) == .success
        }.value
        must(!isWide, "two tasks run at once")
    }

    /// Waits until it has run a task.
    @Sendable static func letRun() {
        let hasRun = DispatchSemaphore(value: 0)
        Task.detached { hasRun.signal() }
        precondition(
            hasRun.wait(timeout: .now() + 100) == .success,
            "a thread of the pool waits: \(Thread.callStackSymbols.joined(separator: "\n"))")
    }
}

/// Queries that a user runs at the same time. Each runs until `end()` is called.
private struct EndlessQueries {
    private let tasks: [Task<Void, Never>]
    private let goOn = DispatchSemaphore(value: 0)

    init(_ store: Store, _ count: Int) async {
        let started = Locked(0)
        tasks = (0..<count).map { [goOn] _ in
            Task {
                try? await store.database.read { _ in
                    started.withLock { $0 += 1 }
                    goOn.wait()
                }
            }
        }
        // More wait for a connection.
        let first = min(count, StoreConfiguration.forTools.readers)
        must(await eventually { started.withLock { $0 } >= first })
    }

    func end() async {
        for _ in tasks { goOn.signal() }
        for task in tasks { await task.value }
    }
}

/// Uses a store for all that it is there for.
private struct StoreLife {
    let directory = TemporaryStore()
    let environment: StoreEnvironment
    let store: Store
    let players: StoredTable<Player>

    init(_ environment: StoreEnvironment) async throws {
        // This process runs one test alone. If a call never returns, the process ends here, so that its test fails
        // and the others go on.
        Thread {
            sleep(280)
            fatalError("a call does not return")
        }
        .start()
        self.environment = environment
        store = try await Self.open(directory, environment)
        players = try store.table(Player.self)
    }

    private static func open(
        _ directory: TemporaryStore, _ environment: StoreEnvironment
    ) async throws -> Store {
        try await Store(opening: directory.path, .forTools, environment)
    }

    func write() async throws {
        for id in 0..<20 { try players.put(Player(id: id, name: "p\(id)")) }
        try await store.waitForAll(.materialized)
        for id in 0..<20 { try players.evict(id) }
        must(try await players.get(1)?.name == "p1")
        try await players.update(2) { $0.score = 2 }
        try await players.increment(3, "score")
        let (_, receipt) = try await store.transaction { transaction in
            let score = try await transaction.get(4, in: players)?.score ?? 0
            try transaction.put(Player(id: 5, name: "five", score: score), in: players)
            try transaction.delete(6, in: players)
        }
        try await store.wait(for: .durable, receipt)
        try await store.wait(for: .materialized, receipt)
        let names = try store.keyValues()
        try names.put(KeyValue(key: "name", value: [1]))
        try names.clear()
        try await store.waitForAll(.durable, timeout: .hang)
        try await store.waitForAll(.materialized, timeout: .hang)
        must(store.health.lag.records == 0)
    }

    func lookBack() async throws {
        try store.mark("here")
        let last = try players.put(Player(id: 1, name: "Ada"))
        must(try await store.snapshot()?.sequence == last.sequence)
        try players.delete(1)
        must(try await store.snapshots().last?.sequence == last.sequence)
        must(try await store.marks().last?.name == "here")
        must(try await players.history(of: 1).last?.sequence == last.sequence)
        must(try await players.get(1, asOf: .mark("here"))?.name == "p1")
    }

    /// Several consumers at once, and a writer that they wait for.
    func follow() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask {
                    var count = 0
                    var acknowledging: [Task<Void, any Error>] = []
                    let stream = store.changes(of: players, named: "s\(number)", from: .oldest)
                    for try await change in stream {
                        count += 1
                        // The loop goes on to read the log meanwhile.
                        if count.isMultiple(of: 10) {
                            acknowledging.append(Task { try await change.acknowledge() })
                        }
                        if change.key == -1 { break }
                    }
                    for task in acknowledging { try await task.value }
                }
            }
            for id in 0..<20 { try players.put(Player(id: id, name: "p\(id)")) }
            try await store.waitForAll(.durable)
            try players.put(Player(id: -1, name: "last"))
            try await group.waitForAll()
        }
        for stream in store.changeStreams {
            must(try await store.removeChangeStream(named: stream.name))
        }
    }

    /// Gets commits into quarantine, and out of it in each way.
    func settle() async throws {
        try players.clear()
        try await store.waitForAll(.materialized)
        try directory.user("CREATE UNIQUE INDEX IF NOT EXISTS unique_name ON player (name)")
        try players.put(Player(id: 0, name: "taken"))
        let refused = try (1...3).map { try players.put(Player(id: $0, name: "taken")) }
        try await store.waitForAll(.materialized)
        must(store.quarantine.list().map(\.sequence) == refused.map(\.sequence))
        let error = await storeError { try await store.wait(for: .materialized, refused[0]) }
        guard case .quarantined? = error else { preconditionFailure("\(error as Any)") }
        must(try await store.quarantine.retry().left == 3)
        try await store.quarantine.skip(refused[0].sequence, reason: "a test")
        let free = Player(id: 2, name: "free")
        try await store.quarantine.correct(
            refused[1].sequence, with: free, in: players, reason: "a test")
        try await store.waitForAll(.materialized)
        try directory.user("DROP INDEX unique_name")
        must(try await store.quarantine.retry().applied == 1)
        must(store.health.quarantined == 0)
    }

    /// Much at once, of what waits for the database.
    func crowd() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    let receipt = try players.put(Player(id: 100 + number, name: "c\(number)"))
                    switch number % 4 {
                    case 0: _ = try? await store.quarantine.retry()
                    case 1: _ = try await store.snapshot()
                    case 2: try await store.wait(for: .materialized, receipt)
                    default:
                        let error = await storeError {
                            try await store.quarantine.skip(receipt.sequence, reason: "a test")
                        }
                        guard case .notInQuarantine? = error else {
                            preconditionFailure("\(error as Any)")
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        try await store.waitForAll(.materialized)
        must(store.health.verdict == .healthy, "\(store.health.causes)")
    }

    /// Closes the store twice at once, opens it again, drops it without closing, and opens it once more.
    func end() async throws {
        async let first = store.close(deadline: .seconds(1))
        async let second = store.close(deadline: .seconds(1))
        _ = try await (first, second)
        do {
            let again = try await Self.open(directory, environment)
            let row = try await again.table(Player.self).get(2)
            precondition(row?.name == "free")
        }
        try await Self.open(directory, environment).close()
    }
}
