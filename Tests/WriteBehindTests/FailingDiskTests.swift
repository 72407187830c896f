import EventLog
import Foundation
import Glibc
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

/// A store with its threads, on real files of which each operation fails: every caller gets an answer, and
/// all acknowledged writes are there when the store is opened again on a healthy disk.
///
/// In the normal run every 43rd operation; with `EXHAUSTIVE` set in the environment, every one.
@Suite struct FailingDiskTests {
    private static let faults: [Fault] = [.errno(EIO), .shortWrite(ENOSPC)]

    private func open(_ directory: TemporaryStore, on disk: FailingDisk) throws -> Store {
        var configuration = StoreConfiguration.forTools
        // So little that writers wait for the flusher again and again.
        configuration.stagingSlots = 2
        configuration.stagingSlotSize = 4 << 10
        configuration.blockSize = 1 << 10
        configuration.segmentSize = 4 << 10
        configuration.cacheLimit = 8 << 20
        configuration.readers = 1
        configuration.retryLimit = .milliseconds(20)
        return try Store(
            at: directory.path, configuration: configuration,
            environment: .machine(configuration, disk: disk))
    }

    /// Opens, writes, waits, takes a snapshot and closes, as far as the disk lets it. Returns the rows that were
    /// acknowledged, and the errors.
    private func live(
        _ directory: TemporaryStore, on disk: FailingDisk, patience: Duration
    ) async -> (rows: [Player], errors: [any Error]) {
        var (rows, errors): ([Player], [any Error]) = ([], [])
        func attempt(_ body: () async throws -> Void) async {
            do { try await body() } catch { errors.append(error) }
        }
        await attempt {
            let store = try open(directory, on: disk)
            await attempt {
                let players = try store.table(Player.self)
                for id in 0..<120 {
                    let player = Player(id: id, name: UUID().uuidString, score: id)
                    try players.put(player)
                    rows.append(player)
                }
            }
            await attempt { try await store.waitForAll(.durable, timeout: patience) }
            await attempt { _ = try await store.snapshot() }
            await attempt { try await store.close(deadline: patience) }
        }
        return (rows, errors)
    }

    @Test(arguments: [false, true])
    func noFailedOperationLosesAWriteOrLeavesACallerWaiting(permanently: Bool) async throws {
        let healthy = FailingDisk(PosixDisk())
        let whole = await live(TemporaryStore(), on: healthy, patience: .hang)
        try #require(whole.errors.isEmpty && whole.rows.count == 120, "\(whole.errors)")
        let isExhaustive = ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil
        if isExhaustive { print("a store's life: \(healthy.operationCount) operations") }
        for n in 1...healthy.operationCount {
            for (index, fault) in Self.faults.enumerated()
            where isExhaustive || (n + 21 * index) % 43 == 0 {
                let directory = TemporaryStore()
                let disk = FailingDisk(PosixDisk())
                disk.fail(at: n, with: fault, permanently: permanently)
                let lived = await live(
                    directory, on: disk, patience: permanently ? .milliseconds(50) : .hang)
                let name: Comment = "operation \(n), \(fault)"
                for error in lived.errors {
                    guard let error = error as? StoreError else {
                        Issue.record("\(name): \(error)")
                        continue
                    }
                    if case .timedOut = error, !permanently { Issue.record("\(name): \(error)") }
                }
                try await check(directory, holds: lived.rows, name)
            }
        }
    }

    /// As with a full disk. It is not known when there will be room, so no call waits for it.
    @Test(arguments: [EIO, ENOSPC])
    func aSnapshotOfWhatCannotBeWrittenFails(code: Int32) async throws {
        let directory = TemporaryStore()
        let disk = FailingDisk(PosixDisk())
        let store = try open(directory, on: disk)
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "p"))
        disk.fail(at: 1, with: .errno(code), permanently: true)
        let outcome = Locked<StoreError?>(nil)
        let taking = Task {
            let error = await storeError { try await store.snapshot() }
            outcome.withLock { $0 = error }
        }
        #expect(await eventually(within: 120) { outcome.withLock { $0 } != nil })
        taking.cancel()
        _ = await storeError { try await store.close(deadline: .zero) }
    }

    @Test func whatTheLogRefusesIsNotRead() async throws {
        let directory = TemporaryStore()
        let disk = FailingDisk(PosixDisk())
        let store = try open(directory, on: disk)
        let players = try store.table(Player.self)
        let before = Player(id: 1, name: "before")
        try players.put(before)
        try await store.waitForAll(.materialized, timeout: .hang)
        disk.fail(at: 1, with: .errno(EIO), permanently: true)
        let after = Player(id: 1, name: "after")
        let isRefusing = await eventually {
            await storeError { try players.put(Player(id: 2, name: "p")) } != nil
        }
        #expect(isRefusing)
        for _ in 0..<3 {
            #expect(await storeError { try players.put(after) } != nil)
            let error = await storeError {
                try store.transaction { try $0.put(after, in: players) }
            }
            #expect(error != nil)
            #expect(try await players.get(1) == before)
        }
        _ = await storeError { try await store.close() }
    }

    private func check(
        _ directory: TemporaryStore, holds rows: [Player], _ name: Comment
    ) async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        for row in rows {
            let found = try await players.get(row.id)
            #expect(found == row, name)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
    }
}
