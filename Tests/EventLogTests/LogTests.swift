import EventLog
import TestSupport
import Testing

@Suite struct LogTests {
    @Test func whatIsAppendedIsReadBackInOrder() throws {
        let harness = LogHarness()
        try harness.open()
        for _ in 0..<500 {
            while try !harness.append(count: 2) { harness.flush() }
        }
        harness.makeDurable()
        #expect(harness.log?.readable == 1000)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func aCommitIsTakenUpToItsLimitAndRefusedBeyond() throws {
        let harness = LogHarness()
        let log = try harness.open()
        let overhead = LogHarness.records(unique: 1, count: 1, byteCount: log.commitLimit).count
        let longest = 2 * log.commitLimit - overhead
        #expect(try harness.append(byteCount: longest))
        #expect(
            logError { try harness.append(byteCount: longest + 1) }
                == .commitTooLarge(byteCount: log.commitLimit + 1, limit: log.commitLimit))
        harness.crash(.process)
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.appended.count == 1)
    }

    /// A segment's first block holds all definitions and its first commit, and its header says how long a block may be.
    @Test func aSegmentHasRoomForAllDefinitionsAndTheLongestCommit() throws {
        let commit = LogOptions().rawBlockBound
        let header = SegmentHeader(
            kind: .segment, storeID: LogHarness.storeID, salt: 1, base: 1, chain: 2, other: 0,
            created: 3, rawBlockBound: UInt32(Preamble.byteLimit + 2 * commit + 128), epoch: 1)
        #expect(try SegmentHeader(decoding: header.encoded().span) == header)
    }

    @Test func timesOfCommitsNeverDecreaseThoughTheClockIsPutBack() throws {
        let harness = LogHarness()
        let log = try harness.open()
        for _ in 0..<4 {
            try harness.append(commits: 3)
            harness.time.jump(toWall: harness.time.wallMilliseconds() - 60_000)
            try harness.append(commits: 3)
            harness.makeDurable()
        }
        #expect(try LogHarness.readAll(log).count == 24)
        harness.crash(.process)
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.appended.count == 24)
    }

    @Test(arguments: [true, false])
    func noCommitEndsBeyondTheEndOfAWholeLog(isSealed: Bool) throws {
        let harness = LogHarness()
        var log = try harness.open()
        try harness.append(commits: 3)
        harness.makeDurable()
        if isSealed {
            try harness.close()
            log = try harness.open()
        }
        #expect(try log.chain(at: log.readable) != nil)
        for beyond in [log.readable + 1, log.readable + 500, 1 << 62, .max] {
            #expect(try log.chain(at: beyond) == nil)
            #expect(try LogReader.chain(at: .max, log.environment) == nil)
        }
    }

    @Test func theLogBehindASequenceIsMeasuredWithoutAnotherWalk() throws {
        let harness = LogHarness()
        let log = try harness.open()
        var place: BlockPlace?
        func measure(after sequence: UInt64) throws -> Int {
            try SegmentList.byteCount(after: sequence, from: &place, log.environment)
        }
        for _ in 0..<40 {
            try harness.append(commits: 1)
            harness.makeDurable()
        }
        let sequence = log.readable
        #expect(try measure(after: sequence) == 0)
        let before = try SegmentList.byteCount(after: 0, log.environment)
        for _ in 0..<40 {
            try harness.append(commits: 1)
            harness.makeDurable()
        }
        _ = try measure(after: sequence)
        harness.disk.clearOperations()
        let measured = try measure(after: sequence)
        #expect(harness.disk.operations.count { $0.kind == .read } < 5)
        #expect(try measured == SegmentList.byteCount(after: sequence, log.environment))
        #expect(try measured + before == SegmentList.byteCount(after: 0, log.environment))
        #expect(try measure(after: sequence + 40) == 0)
    }

    /// Writers wait when staging is full, so a backlog is compressed in a hurry.
    @Test func theFullerStagingIsTheLessIsCompressed() throws {
        var options = LogOptions()
        options.slotSize = 64 << 10
        options.blockSize = 2 << 10
        let harness = LogHarness(options: options)
        let log = try harness.open()
        while try harness.append(byteCount: 200) {}
        harness.makeDurable()
        let calm = log.readable + 1
        for _ in 0..<20 { try harness.append(byteCount: 200) }
        harness.makeDurable()
        func ratio(ofBlockAt sequence: UInt64) throws -> Double {
            let reader = try log.reader(from: sequence)
            try #require(try reader.next(through: log.readable))
            let block = try #require(reader.block)
            return Double(block.packedLength) / Double(block.rawLength)
        }
        #expect(try ratio(ofBlockAt: 1) > ratio(ofBlockAt: calm) * 1.1)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func aCleanCloseSealsAndLeavesNoStaging() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append()
        try harness.close()
        #expect(harness.disk.readAll("/store/staging") == nil)
        let log = try harness.open()
        #expect(log.recovery.wasUnclean == false)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func anAppendedCommitSurvivesTheDeathOfTheProcess() throws {
        let harness = LogHarness()
        try harness.open()
        for _ in 0..<20 { try harness.append() }
        harness.crash(.process)
        let log = try harness.open()
        #expect(log.recovery.commitsFromStaging == 20)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func aDurableCommitSurvivesPowerLoss() throws {
        let harness = LogHarness()
        try harness.open()
        for _ in 0..<20 { try harness.append() }
        harness.makeDurable()
        harness.crash(.power)
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: true) == nil)
        #expect(harness.appended.count == 20)
    }

    @Test func appendingGoesOnAfterEveryKindOfEnd() throws {
        let harness = LogHarness()
        for kind in [SimulatedDisk.Crash.process, .power, .process, .power] {
            try harness.open()
            #expect(
                try harness.acknowledged == 0
                    || harness.fault(mayLoseUnsynced: kind == .process) == nil)
            for _ in 0..<30 { try harness.append() }
            harness.makeDurable()
            harness.crash(kind)
        }
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: true) == nil)
        #expect(harness.appended.count == 120)
    }

    /// Random appends, flushes, closes and crashes, checked after each reopen.
    @Test(arguments: 0..<300)
    func nothingAcknowledgedIsLostAndNothingInvented(seed: Int) throws {
        let harness = LogHarness(seed: UInt64(seed) + 1000)
        try harness.open()
        var mayLose = false
        for _ in 0..<40 {
            if harness.log == nil {
                try harness.open()
                let fault = try harness.fault(mayLoseUnsynced: mayLose)
                try #require(fault == nil, "seed \(seed): \(fault ?? "")")
            }
            switch UInt64.random(in: 0..<20, using: &harness.random) {
            case 0..<12:
                let count = UInt32.random(in: 1...4, using: &harness.random)
                let size = Int.random(in: 0...200, using: &harness.random)
                if try !harness.append(count: count, byteCount: size) { harness.flush() }
                harness.time.advance(milliseconds: 7)
            case 12: harness.makeDurable()
            case 13..<17: harness.flush(steps: 1)
            case 17: try harness.close()
            case 18:
                harness.crash(.process)
                mayLose = false
            default:
                harness.crash(.power)
                mayLose = true
            }
        }
    }
}
