import EventLog
import Foundation
import GRDB
import Glibc
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

@Suite struct StoreWaitTests {
    @Test func aThousandTasksWaitAtOnce() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for id in 0..<1000 {
                group.addTask {
                    let receipt = try players.put(Player(id: id, name: "p"))
                    let stage: Stage = id % 2 == 0 ? .durable : .materialized
                    try await store.wait(for: stage, receipt, timeout: .hang)
                    let lag = store.health.lag
                    #expect(lag.durable >= receipt.sequence)
                    if stage == .materialized { #expect(lag.materialized >= receipt.sequence) }
                }
            }
            try await group.waitForAll()
        }
        try await store.close()
    }

    @Test func aWaitEndsWhenItsTimeIsOverOrItsTaskCancelled() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = SinkError(.busy, "injected")
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        let receipt = try players.put(Player(id: 1, name: "Ada"))
        try await store.wait(for: .durable, receipt, timeout: .hang)
        for _ in 0..<5 {
            let error = await storeError {
                try await store.wait(for: .materialized, receipt, timeout: .milliseconds(5))
            }
            guard case .timedOut(.materialized)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
        let waiting = Task { try await store.wait(for: .materialized, receipt) }
        try await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        await #expect { try await waiting.value } throws: { StoreError.isCancelled($0) }
        failing.now = nil
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        try await store.close()
    }

    @Test func whoeverClosesTheStoreIsClosedAfterwards() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<100 { try players.put(Player(id: id, name: "p")) }
        async let other = store.close(deadline: .hang)
        #expect(try await store.close(deadline: .hang).pending == 0)
        try await directory.open().close()
        #expect(try await other.pending == 0)
        let error = await storeError { _ = try await players.get(1000) }
        guard case .closed? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func closingAtOnceLeavesTheRestToTheNextOpen() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = SinkError(.busy, "injected")
        let closing = try directory.open(failing: failing)
        let late = try closing.table(Player.self)
        for id in 0..<100 { try late.put(Player(id: id, name: "p")) }
        let waiting = Task { try await closing.waitForAll(.materialized) }
        try await Task.sleep(for: .milliseconds(20))
        let report = try await closing.close(deadline: .zero)
        #expect(report.durable == 101)
        #expect(report.pending == 101 - report.materialized && report.pending > 0)
        let outcome = await storeError { try await waiting.value }
        guard case .closed? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        let refused = await storeError { try late.put(Player(id: 1, name: "late")) }
        guard case .closed? = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }

        let store = try directory.open()
        _ = try store.table(Player.self)
        try await store.waitForAll(.materialized, timeout: .hang)
        let count = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
        }
        #expect(count == 100)
        #expect(try await store.close(deadline: .hang).pending == 0)
    }

    @Test func whoWaitsWithATimeoutAgainAndAgainFillsNoMemory() async throws {
        let list = WaitList(reached: 0)
        for _ in 0..<5000 {
            let task = Task { try await list.wait(for: 1) }
            task.cancel()
            _ = await task.result
        }
        #expect(list.count == 0)
        list.advance(to: 1)
        try await list.wait(for: 1)
    }

    @Test(arguments: [EIO, ENXIO, ESTALE])
    func nobodyWaitsForADatabaseThatIsFedFromALogThatHasFailed(code: Int32) async throws {
        let directory = TemporaryStore()
        let disk = FailingDisk(PosixDisk())
        var configuration = StoreConfiguration.forTools
        configuration.cacheLimit = 16 << 20
        configuration.retryLimit = .milliseconds(20)
        // The database is brought forward only for callers that wait.
        configuration.materializeInterval = .seconds(3600)
        let store = try Store(
            at: directory.path, configuration: configuration,
            environment: .machine(configuration, disk: disk))
        let players = try store.table(Player.self)
        try await store.waitForAll(.materialized, timeout: .hang)
        let receipt = try players.put(Player(id: 1, name: "Ada"))
        try await store.snapshot()
        disk.fail(at: 1, with: .errno(code), permanently: true)
        for _ in 0..<2 {
            let error = await storeError {
                try await store.wait(for: .materialized, receipt, timeout: .hang)
            }
            guard case .logFailed? = error else {
                Issue.record("\(String(describing: error))")
                break
            }
        }
        let health = store.health
        #expect(health.verdict >= .degraded)
        #expect(health.causes.contains { $0.contains("the log") }, "\(health.causes)")
        disk.fail(at: 1, with: .errno(code), permanently: false)
        let comesIn = await eventually {
            let error = await storeError { try await store.wait(for: .materialized, receipt) }
            return error == nil
        }
        #expect(comesIn, "what passes, passes")
        _ = try? await store.close()
    }

    @Test func whatWasMaterializedIsSoAgainOnlyOnceARebuiltDatabaseHoldsIt() async throws {
        let (directory, failing) = (TemporaryStore(), Failing())
        let store = try directory.open(failing: failing)
        let players = try store.table(Player.self)
        let old = try players.put(Player(id: 1, name: "old"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try FileManager.default.removeItem(atPath: directory.database)
        failing.now = SinkError(.gone, "the file is not there")
        try players.put(Player(id: 2, name: "new"))
        #expect(await eventually { store.health.causes.contains { $0.contains("being rebuilt") } })
        let isBehind = await eventually {
            let lag = store.health.lag
            return lag.records >= 2 && lag.bytes > 0 && lag.seconds > 0
        }
        #expect(isBehind, "\(store.health.lag)")
        let early = await storeError {
            try await store.wait(for: .materialized, old, timeout: .milliseconds(50))
        }
        guard case .timedOut? = early else {
            Issue.record("\(String(describing: early))")
            return
        }
        failing.now = nil
        try await store.wait(for: .materialized, old, timeout: .hang)
        let database = try DatabaseQueue(path: directory.database)
        let name = try await database.read { db in
            try String.fetchOne(db, sql: "SELECT name FROM player WHERE id = 1")
        }
        #expect(name == "old")
        try await store.close()
    }

    @Test func aReadThatIsCancelledSaysSo() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.readers = 1 }
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        let reader = try BusyReader(of: store)
        let getting = Task { try await players.get(1) }
        try await Task.sleep(for: .milliseconds(20))
        getting.cancel()
        reader.end()
        await #expect { try await getting.value } throws: { StoreError.isCancelled($0) }
        #expect(try await players.get(1)?.name == "Ada")
        try await store.close()
    }
}
