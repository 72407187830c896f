import EventLog
import TestSupport
import Testing
import WriteBehindCore

@Suite struct RetentionTests {
    private func fill(_ harness: PastHarness, rounds: Int = 5) throws {
        try harness.open()
        try harness.define()
        for _ in 0..<rounds {
            for _ in 0..<8 { try harness.appendRandom() }
            harness.time.advance(milliseconds: 1000)
            try harness.snapshot()
            try harness.close()
            try harness.open()
        }
    }

    private func tidy(_ harness: PastHarness) throws {
        let snapshotter = try #require(harness.snapshotter)
        while case .stepAgain = snapshotter.step() {}
    }

    @Test func withoutRoomForThePastOnlyWhatIsNeededStays() throws {
        let harness = PastHarness(seed: 41)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: .max)
        try fill(harness)
        #expect(harness.snapshots.count == 2)
        let oldest = try #require(harness.snapshots.first)
        let first = try #require(harness.segments.first)
        #expect(first > 1 && first <= oldest + 1)
        #expect(try harness.fault() == nil)
        for (sequence, rows) in harness.states where sequence >= oldest {
            let found = try PastHarness.all(harness.history.fold(to: .sequence(sequence)))
            #expect(found == rows)
        }
        #expect(throws: HistoryError.self) {
            try harness.history.fold(to: .sequence(oldest - 1))
        }
    }

    @Test func whatSinkOrQuarantineNeedIsKept() throws {
        let harness = PastHarness(seed: 42)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: .max)
        harness.needed.withLock { $0 = 20 }
        try fill(harness)
        let first = try #require(harness.segments.first)
        #expect(first > 1 && first <= 21)
        harness.needed.withLock { $0 = .max }
        harness.drop()
        try harness.open()
        try tidy(harness)
        #expect(try #require(harness.segments.first) > first)
    }

    @Test func whatACheckpointDoesNotReachIsKept() throws {
        let harness = PastHarness(seed: 42)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: .max)
        harness.checkpointed.withLock { $0 = 20 }
        try fill(harness)
        let first = try #require(harness.segments.first)
        #expect(first > 1 && first <= 21)
    }

    @Test func youngLogIsKeptUnlessThereIsTooMuchOfIt() throws {
        let harness = PastHarness(seed: 43)
        harness.rule = RetentionRule(snapshots: 2, age: 3500, bytes: .max)
        try fill(harness)
        let byAge = harness.segments
        #expect(byAge.count >= 3)
        harness.drop()
        harness.rule = RetentionRule(snapshots: 2, age: .max, bytes: 0)
        try harness.open()
        try tidy(harness)
        #expect(harness.segments.count < byAge.count)
        #expect(try harness.fault() == nil)
    }

    @Test func oneSnapshotAloneLetsNothingGo() throws {
        let harness = PastHarness(seed: 44)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: 0)
        try fill(harness, rounds: 1)
        #expect(harness.snapshots.count == 1)
        #expect(harness.segments.first == 1)
    }

    @Test func aBadSnapshotDoesNotCountAsKept() throws {
        let harness = PastHarness(seed: 45)
        try fill(harness, rounds: 2)
        let bad = harness.snapshots[0]
        harness.drop()
        try harness.disk.flip(PastHarness.layout.snapshot(bad), at: 200)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: 0)
        try harness.open()
        for _ in 0..<3 {
            try tidy(harness)
            harness.time.advance(milliseconds: 60_000)
        }
        #expect(harness.segments.first == 1, "only one good snapshot is left")
        for _ in 0..<8 { try harness.appendRandom() }
        try harness.snapshot()
        #expect(try #require(harness.segments.first) > 1)
        #expect(harness.snapshots.contains(bad))
        #expect(try harness.fault() == nil)
    }

    @Test func aClockThatIsSetAheadForAMinuteMakesNoLogOld() throws {
        let harness = PastHarness(seed: 48)
        harness.rule = RetentionRule(snapshots: 2, age: 86_400_000, bytes: .max)
        try fill(harness)
        harness.time.advance(milliseconds: 60_000)
        try tidy(harness)
        #expect(harness.segments.first == 1)
        let start = harness.time.wallMilliseconds()
        harness.time.jump(toWall: start + 365 * 86_400_000)
        harness.time.advance(milliseconds: 60_000)
        try tidy(harness)
        #expect(harness.segments.first == 1, "the clock was set ahead just now")
        harness.time.jump(toWall: start + 60_000)
        for _ in 0..<3 {
            harness.time.advance(milliseconds: 3_600_000)
            try tidy(harness)
        }
        #expect(harness.segments.first == 1, "the clock is right again")
        harness.time.jump(toWall: start + 365 * 86_400_000)
        for _ in 0..<3 {
            try tidy(harness)
            harness.time.advance(milliseconds: 3_600_000)
        }
        #expect(try #require(harness.segments.first) > 1, "it has stood so for an hour")
    }

    /// Times in the log do not decrease, so all later log has the time of the run with the wrong clock.
    @Test func logBehindARunWhoseClockWasAYearAheadGrowsOld() throws {
        let harness = PastHarness(seed: 47)
        harness.rule = RetentionRule(snapshots: 2, age: 3500, bytes: .max)
        let start = harness.time.wallMilliseconds()
        harness.time.jump(toWall: start + 365 * 86_400_000)
        try fill(harness, rounds: 2)
        harness.time.jump(toWall: start + 10_000)
        for _ in 0..<2 {
            for _ in 0..<8 { try harness.appendRandom() }
            try harness.snapshot()
            try harness.close()
            try harness.open()
        }
        #expect(harness.segments.first == 1, "nothing is older than a few seconds")
        for _ in 0..<6 {
            for _ in 0..<8 { try harness.appendRandom() }
            harness.time.advance(milliseconds: 1000)
            try harness.snapshot()
            try harness.close()
            try harness.open()
        }
        #expect(try #require(harness.segments.first) > 1)
    }

    @Test func historyGoesOnFromASnapshotWhereTheLogsHeadIsGone() throws {
        let harness = PastHarness(seed: 46)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: .max)
        try fill(harness)
        let oldest = harness.snapshots[0]
        for number in 0..<12 {
            let key = Array("k\(number)".utf8)
            let versions = try harness.history.history(of: key, in: PastHarness.definition)
            for (sequence, rows) in harness.states where sequence >= oldest {
                let version = versions.last { $0.sequence <= sequence }
                #expect(version?.row == rows[key].map { Bodies.row($0.values) })
            }
        }
    }
}
