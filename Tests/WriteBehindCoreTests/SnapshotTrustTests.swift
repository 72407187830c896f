import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// A snapshot from an earlier process is trusted only after it was read to its end and compared with the log.
@Suite struct SnapshotTrustTests {
    /// Three snapshots, the newest of which is at the log's end; then the store is opened again.
    private func reopened(
        seed: UInt64, damaging offset: Int?, rule: RetentionRule? = nil
    ) throws -> (PastHarness, newest: UInt64) {
        let harness = PastHarness(seed: seed)
        if let rule { harness.rule = rule }
        try harness.open()
        try harness.define()
        for _ in 0..<3 {
            for _ in 0..<20 { try harness.appendRandom() }
            try harness.snapshot()
        }
        let newest = try #require(harness.snapshots.last)
        try harness.close()
        if let offset { try harness.disk.flip(PastHarness.layout.snapshot(newest), at: offset) }
        harness.crash(.process)
        let log = try harness.open()
        #expect(log.readable == newest)
        return (harness, newest)
    }

    /// Steps until nothing is left to do, and waits after each failure.
    private func settle(_ harness: PastHarness) throws {
        for _ in 0..<5 {
            try harness.snapshot()
            harness.time.advance(milliseconds: 60_000)
        }
    }

    private func isGood(_ sequence: UInt64, _ harness: PastHarness) -> Bool {
        (try? SnapshotReader.verify(sequence, in: harness.environment)) != nil
    }

    @Test(arguments: [100, 300, 350])
    func aDamagedSnapshotOfTheLogsEndIsMadeAgainOnRequest(offset: Int) throws {
        let (harness, newest) = try reopened(seed: 31, damaging: offset)
        #expect(!isGood(newest, harness))
        try settle(harness)
        #expect(isGood(newest, harness))
        #expect(try harness.fault() == nil)
    }

    @Test func aSnapshotThatTidyingFindsDamagedIsMadeAgainOnRequest() throws {
        let (harness, newest) = try reopened(seed: 32, damaging: 300)
        let snapshotter = try #require(harness.snapshotter)
        // Without a request, deleting the third one makes it read those that are kept.
        harness.rule = RetentionRule(snapshots: 1, age: 0, bytes: 0)
        while case .stepAgain = snapshotter.step() {}
        harness.time.advance(milliseconds: 60_000)
        try settle(harness)
        #expect(isGood(newest, harness))
    }

    @Test func aGoodSnapshotOfTheLogsEndServesAndIsNotMadeAgain() throws {
        let (harness, newest) = try reopened(seed: 33, damaging: nil)
        harness.disk.clearOperations()
        try settle(harness)
        #expect(harness.disk.operations.allSatisfy { $0.kind != .rename })
        #expect(harness.snapshots.last == newest)
    }

    /// They were put there from a copy of the store that went another way.
    @Test func forSnapshotsOfAnotherHistoryNoLogIsDeleted() throws {
        let rule = RetentionRule(snapshots: 2, age: 0, bytes: 0)
        let harness = PastHarness(seed: 34)
        try harness.open()
        try harness.define()
        for _ in 0..<10 { try harness.appendRandom() }
        try harness.close()
        let other = PastHarness(seed: 35, disk: harness.disk.snapshot())
        try other.open()
        for _ in 0..<2 {
            for _ in 0..<10 { try other.appendRandom() }
            try other.snapshot()
        }
        harness.rule = rule
        for _ in 0..<4 {
            try harness.open()
            for _ in 0..<20 { try harness.appendRandom() }
            try harness.close()
        }
        for sequence in other.snapshots {
            let path = PastHarness.layout.snapshot(sequence)
            try harness.disk.overwrite(path, try #require(other.disk.readAll(path)))
        }
        try harness.open()
        harness.time.advance(milliseconds: 60_000)
        let segments = harness.segments
        #expect(other.snapshots.count == 2 && segments.count > 2)
        let snapshotter = try #require(harness.snapshotter)
        for _ in 0..<5 {
            while case .stepAgain = snapshotter.step() {}
            harness.time.advance(milliseconds: 60_000)
        }
        #expect(harness.segments.first == 1)
        #expect(try harness.fault() == nil)
    }
}
