import EventLog
import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

@Suite struct StoreHealthTests {
    /// A clock that was ahead by an hour in the life before.
    private struct AheadTime: TimeSource {
        func monotonicNanoseconds() -> UInt64 { SystemTime().monotonicNanoseconds() }
        func wallMilliseconds() -> UInt64 { SystemTime().wallMilliseconds() + 3_600_000 }
    }

    @Test func aClockThatWasAheadOnceIsToldUntilItIsThereAgain() async throws {
        let directory = TemporaryStore()
        var environment = StoreEnvironment.machine(readers: 1)
        environment.time = AheadTime()
        let configuration = StoreConfiguration()
        let ahead = try Store(
            at: directory.path, configuration: configuration, environment: environment)
        try ahead.keyValues().put(KeyValue(key: "a", value: [1]))
        #expect(!ahead.health.causes.contains { $0.contains("ahead of the clock") })
        try await ahead.close(deadline: .hang)
        environment.time = SystemTime()
        let store = try Store(
            at: directory.path, configuration: configuration, environment: environment)
        #expect(store.health.causes.contains { $0.contains("ahead of the clock") })
        #expect(store.health.verdict == .degraded)
        try await store.close(deadline: .hang)
    }

    /// SQLite cannot empty the WAL while it is read, so the WAL grows. Health says so until the reader ends.
    @Test func aLongReadThatKeepsTheWALIsToldWithItsAgeAndSizeUntilItEnds() async throws {
        let directory = TemporaryStore()
        let configuration = StoreConfiguration()
        var environment = StoreEnvironment.machine(configuration)
        var options = SQLiteOptions()
        options.checkpointPages = 200
        environment.opener = SQLiteOpener(options)
        let store = try Store(
            at: directory.path, configuration: configuration, environment: environment)
        let players = try store.table(Player.self)
        func write(_ count: Int) async throws {
            for id in 0..<count {
                try players.put(Player(id: id, name: String(repeating: "long ", count: 300)))
            }
            try await store.waitForAll(.materialized, timeout: .hang)
        }
        try await write(1)
        let database = try store.database
        let (started, goOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let reading = Task.detached {
            try database.read { db in
                _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM player")
                started.signal()
                goOn.wait()
            }
        }
        await Task.detached { started.wait() }.value
        var cause: String?
        let end = ContinuousClock.now + .hang
        while cause == nil, ContinuousClock.now < end {
            try await write(500)
            cause = store.health.causes.first { $0.contains("kept database.sqlite-wal") }
        }
        #expect(cause?.hasPrefix("for ") == true && cause?.contains(" MiB now") == true)
        func walBytes() -> Int {
            let attributes = try? FileManager.default.attributesOfItem(
                atPath: directory.database + "-wal")
            return (attributes?[.size] as? NSNumber)?.intValue ?? 0
        }
        let long = walBytes()
        #expect(store.health.verdict == .degraded && long > 1 << 20)
        goOn.signal()
        try await reading.value
        let isWell = try await eventually {
            try await write(500)
            return store.health.verdict == .healthy
        }
        #expect(isWell, "\(store.health.causes)")
        try await store.close(deadline: .hang)
        #expect(walBytes() < long)
    }

    @Test func aFailingDatabaseDegradesThenStallsAndHeals() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let lines = Locked<[String]>([])
        let store = try directory.open(failing: failing) {
            $0.stallAfter = .milliseconds(200)
            $0.logger = Logger(label: "test") { _ in CapturingLog(lines) }
        }
        let players = try store.table(Player.self)
        try await store.waitForAll(.materialized, timeout: .hang)
        // Where a disk or the machine is slow, a step may take longer than a worker has here.
        #expect(await eventually { store.health.verdict == .healthy })
        failing.now = SinkError(.diskFull, "no space left for tests")
        try players.put(Player(id: 1, name: "Ada"))
        let isTold = await eventually {
            let health = store.health
            return health.verdict >= .degraded
                && health.causes.contains { $0.contains("no space left for tests") }
        }
        #expect(isTold, "\(store.health.causes)")
        #expect(await eventually { store.health.verdict == .stalled })
        let lag = store.health.lag
        #expect(lag.records == 1 && lag.bytes > 0 && lag.seconds > 0)
        try players.put(Player(id: 2, name: "Bo"))  // writes go on
        failing.now = nil
        #expect(await eventually { store.health.verdict == .healthy })
        #expect(await eventually { store.health.lag.records == 0 })
        #expect(lines.withLock { $0.contains { $0.contains("no space left for tests") } })
        try await store.close()
    }

    @Test func aStoreThatWasClosedSaysSo() async throws {
        for deadline in [Duration.zero, .hang] {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Player.self).put(Player(id: 1, name: "Ada"))
            try await store.close(deadline: deadline)
            #expect(store.health.verdict == .closed)
            #expect(store.health.causes.first == "the store was closed")
        }
        let directory = TemporaryStore()
        let closing = try directory.open()
        async let report = closing.close()
        _ = try await (report, closing.close())
        #expect(closing.health.verdict == .closed)
    }

    @Test func aProbeGetsHealthAsOneJSONObject() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        failing.now = SinkError(.busy, "locked")
        let receipt = try store.table(Player.self).put(Player(id: 1, name: "Ada"))
        try await store.wait(for: .durable, receipt, timeout: .hang)
        func object() throws -> [String: Any] {
            let data = try JSONEncoder().encode(store.health)
            return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        }
        let found = try await eventually { try object()["verdict"] as? String == "degraded" }
        #expect(found)
        let degraded = try object()
        let causes = try #require(degraded["causes"] as? [String])
        #expect(causes.contains { $0.contains("locked") })
        let lag = try #require(degraded["lag"] as? [String: Any])
        #expect(lag["staged"] as? Int == Int(receipt.sequence))
        #expect((lag["seconds"] as? Double ?? -1) >= 0)
        #expect(degraded["survivesKill"] is Bool && degraded["quarantined"] as? Int == 0)
        try await store.close(deadline: .zero)
        #expect(try object()["verdict"] as? String == "closed")
    }

    @Test func whoHasWaitedForTheDatabaseFindsItWell() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        for round in 0..<20 {
            failing.now = SinkError(.busy, "injected")
            let receipt = try players.put(Player(id: round, name: "p"))
            #expect(await eventually { store.health.verdict >= .degraded })
            let waiting = (0..<16).map { _ in
                Task {
                    try await store.wait(for: .materialized, receipt, timeout: .hang)
                    return store.health.causes
                }
            }
            failing.now = nil
            for task in waiting { #expect(try await task.value == []) }
        }
        try await store.close()
    }

    @Test func aWorkerThatDiesIsStartedAgainAndOneThatHangsIsTold() async throws {
        let directory = TemporaryStore()
        let lines = Locked<[String]>([])
        var configuration = StoreConfiguration()
        configuration.stallAfter = .milliseconds(300)
        configuration.logger = Logger(label: "test") { _ in CapturingLog(lines) }
        let store = try OpenStore(
            path: directory.path, configuration: configuration, environment: .machine(readers: 1))
        let isDying = Locked(true)
        let isHanging = Locked(true)
        let dying = Worker("dying", signal: Signal()) {
            if isDying.withLock({ $0 }) { throw SinkError(.io, "a step fails") }
            return .wait(nanoseconds: 10_000_000)
        }
        let hanging = Worker("hanging", signal: Signal()) {
            while isHanging.withLock({ $0 }) { usleep(1000) }
            return .wait(nanoseconds: 10_000_000)
        }
        let watchdog = Watchdog(store, workers: [dying, hanging])
        let looking = Worker("watchdog", signal: Signal()) { watchdog.step() }
        for worker in [dying, hanging, looking] { worker.start() }
        for cause in ["worker dying died: io: a step fails", "worker hanging has been"] {
            #expect(await eventually { watchdog.health.causes.contains { $0.contains(cause) } })
        }
        #expect(
            await eventually {
                lines.withLock { $0.filter { $0.contains("started again") }.count >= 2 }
            })
        isDying.withLock { $0 = false }
        isHanging.withLock { $0 = false }
        #expect(await eventually { watchdog.health.verdict == .healthy })
        for worker in [looking, dying, hanging] { worker.stop() }
    }

    @Test func metricsArrive() async throws {
        let factory = TestMetrics.bootstrapped
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<50 { try players.put(Player(id: id, name: "p")) }
        try await store.waitForAll(.materialized, timeout: .hang)
        let names = [
            "cache_bytes", "writes", "raw_bytes", "sync_time", "batch_records", "lag_seconds",
        ].map { "writebehind_" + $0 }
        // They come one after the other, from several threads.
        #expect(await eventually { factory.names.isSuperset(of: names) }, "\(factory.names)")
        #expect(await eventually { factory.sum("writebehind_writes") >= 51 })
        try await store.close()
    }

    /// Other stores have the same metrics, so this has a process of its own.
    @Test func theMetricOfQuarantineFollowsWhatLeavesIt() async {
        await #expect(processExitsWith: .success) {
            let factory = TestMetrics.bootstrapped
            let directory = TemporaryStore()
            let store = try directory.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 0, name: "poison"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try directory.user("CREATE UNIQUE INDEX unique_name ON player (name)")
            try players.put(Player(id: 1, name: "poison"))
            let isTold = await eventually { factory.last("writebehind_quarantined_commits") == 1 }
            precondition(isTold)
            try directory.user("DROP INDEX unique_name")
            try await store.quarantine.retry()
            let isOver = await eventually(within: 60) {
                factory.last("writebehind_quarantined_commits") == 0
            }
            precondition(isOver)
            try await store.close()
        }
    }
}
