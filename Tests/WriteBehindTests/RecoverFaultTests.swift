import EventLog
import Foundation
import Glibc
import Logging
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// `writebehind recover --apply` on real files of which each operation fails: an error, or all is well.
/// Either way the next one, on a healthy disk, makes all of it good.
///
/// In the normal run every 17th operation; with `EXHAUSTIVE` set in the environment, every one.
@Suite struct RecoverFaultTests {
    enum Trouble: String, CaseIterable {
        /// The writer was killed, and half a block is at the end of the log.
        case torn
        /// Rows of the database are not what the log says, and there is a snapshot.
        case drifted
    }

    private static let count = 40

    /// A store in trouble, as files to be copied.
    private func prepare(_ trouble: Trouble) async throws -> TemporaryStore {
        let live = TemporaryStore()
        let store = try live.open()
        let players = try store.table(Player.self)
        for id in 0..<Self.count { try players.put(Player(id: id, name: "n\(id)", score: id)) }
        try await store.waitForAll(.materialized)
        let directory = TemporaryStore()
        switch trouble {
        case .torn:
            try copy(live, to: directory)
            try await store.close()
            let segment = try #require(
                try FileManager.default.contentsOfDirectory(atPath: directory.path + "/log").first)
            let file = try FileHandle(
                forWritingTo: URL(filePath: directory.path + "/log/" + segment))
            try file.seekToEnd()
            try file.write(contentsOf: Data(repeating: 0x57, count: 100))
            try file.close()
        case .drifted:
            try await store.snapshot()
            try await store.close()
            try copy(live, to: directory)
            try directory.user("DELETE FROM player WHERE id > 10")
        }
        return directory
    }

    private func copy(_ source: TemporaryStore, to target: TemporaryStore) throws {
        try FileManager.default.copyItem(atPath: source.path, toPath: target.path)
    }

    /// Looks at a store and repairs it. Returns what was to be done.
    private func recover(
        _ directory: TemporaryStore, on disk: any Disk, patience: Duration = .hang
    ) async throws -> RecoveryPlan {
        let inspection = try StoreInspection(path: directory.path, disk: disk)
        let plan = try RecoveryPlan(inspection, jobs: 1, progress: { _ in }, differs: { _, _ in })
        guard plan.isNeeded, plan.isRepairable else { return plan }
        var configuration = StoreConfiguration.forTools
        configuration.stagingSlotSize = 64 << 10
        configuration.cacheLimit = 8 << 20
        configuration.readers = 1
        // It is given up after ten times this.
        configuration.stallAfter = patience / 10
        configuration.retryLimit = .milliseconds(20)
        _ = try await plan.apply(configuration) { _ in }
        return plan
    }

    @Test(arguments: Trouble.allCases)
    func aRecoveryThatFailsLosesNothingAndCanBeRepeated(trouble: Trouble) async throws {
        let base = try await prepare(trouble)
        let whole = TemporaryStore()
        try copy(base, to: whole)
        let counting = FailingDisk(PosixDisk())
        let expected = try await recover(whole, on: counting)
        try #require(expected.isNeeded && expected.isRepairable)
        try await check(whole)
        let isExhaustive = ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil
        if isExhaustive { print("recover, \(trouble): \(counting.operationCount) operations") }
        for n in 1...counting.operationCount {
            for (index, fault) in [EIO, ENOSPC, EIO, ENOSPC].enumerated()
            where isExhaustive || (n + 17 * index) % 68 == 0 {
                let directory = TemporaryStore()
                try copy(base, to: directory)
                let disk = FailingDisk(PosixDisk())
                disk.fail(at: n, with: .errno(fault), permanently: index > 1)
                let name: Comment = "operation \(n), \(fault), \(index > 1 ? "for good" : "once")"
                do {
                    // A disk that fails for good is given up soon.
                    let plan = try await recover(
                        directory, on: disk, patience: .milliseconds(200))
                    #expect(plan.database.fault == expected.database.fault, name)
                    #expect(plan.steps.count == expected.steps.count, name)
                } catch let error where Self.isOurs(error) {
                } catch {
                    Issue.record("\(name): \(error)")
                }
                let again = try await recover(directory, on: PosixDisk())
                #expect(again.isRepairable, name)
                try await check(directory)
            }
        }
    }

    private static func isOurs(_ error: any Error) -> Bool {
        error is StoreError || error is LogError || error is SinkError || error is SystemError
            || error is SnapshotError || error is HistoryError
    }

    /// Everything is there, and log, snapshots and database agree.
    private func check(_ directory: TemporaryStore) async throws {
        let store = try StoreInspection(path: directory.path)
        let log = try LogVerification(store)
        #expect(log.worst == nil, "\(log.findings)")
        let database = try DatabaseVerification(store) { _, _ in }
        #expect(database.fault == nil && database.differenceCount == 0)
        #expect(database.rowCount == Self.count)
        let snapshots = try SnapshotVerification(store.environment).snapshots
        #expect(snapshots.allSatisfy { $0.fault == nil })
    }
}
