import EventLog
import Glibc
import TestSupport
import Testing

/// Commits synced in staging alone survive power loss as those in segments do.
@Suite struct StagingSyncTests {
    @Test func whatSomebodyWaitsForIsSyncedInStagingAndWritesNoBlock() throws {
        let harness = LogHarness()
        try harness.open()
        for count in 1...5 as ClosedRange<UInt64> {
            try harness.append()
            harness.makeSynced()
            #expect(harness.log?.durable == count)
        }
        #expect(harness.log?.readable == 0)
        #expect(harness.segments.isEmpty)
        for seed in 0..<50 as Range<UInt64> {
            let copy = harness.copy(seed: seed)
            copy.crash(.power)
            let log = try copy.open()
            #expect(log.recovery.commitsFromStaging == 5)
            #expect(try copy.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
        }
    }

    @Test func segmentsFollowAtTheirOwnPace() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append()
        harness.makeSynced()
        // Further callers that wait do not delay it.
        for _ in 0..<4 {
            harness.time.advance(milliseconds: 30)
            try harness.append()
            harness.makeSynced()
        }
        #expect((harness.log?.readable ?? 0) >= 4)
        harness.time.advance(milliseconds: 100)
        harness.flush()
        #expect(harness.log?.readable == 5)
    }

    @Test func muchIsSyncedInSegmentsInstead() throws {
        let harness = LogHarness()
        harness.options.stagingSyncLimit = 300
        try harness.open()
        try harness.append(commits: 10)
        harness.makeSynced()
        #expect(harness.log?.readable == 10)
        #expect(harness.log?.durable == 10)
        try harness.append()
        harness.makeSynced()
        #expect(harness.log?.readable == 10)
        #expect(harness.log?.durable == 11)
    }

    /// Another process may own the files by then: a segment of ours would be damage to it.
    @Test func anAbandonedLogWritesNothingMore() throws {
        let harness = LogHarness()
        let log = try harness.open()
        try harness.append()
        harness.makeSynced()
        log.abandon()
        log.makeDurableReadable()
        harness.makeDurable()
        harness.time.advance(milliseconds: 1000)
        harness.flush()
        #expect(harness.segments.isEmpty)
        #expect(log.readable == 0)
    }

    @Test func whoWaitsWhileTheDiskIsFullIsToldAsSoonAsStagingIsSynced() throws {
        let harness = LogHarness()
        harness.options.stagingSyncLimit = 0
        let log = try harness.open()
        harness.disk.capacity = 0
        try harness.append(commits: 3)
        harness.makeSynced()
        #expect(log.durable == 3)
        #expect(log.readable == 0)
        guard case .diskFull? = log.refusal else {
            Issue.record("\(String(describing: log.refusal))")
            return
        }
        for seed in 0..<20 as Range<UInt64> {
            let copy = harness.copy(seed: seed)
            copy.crash(.power)
            copy.disk.capacity = nil
            try copy.open()
            #expect(try copy.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
        }
    }

    @Test func whereTheBufferIsPlainMemorySegmentsAreSynced() throws {
        let harness = LogHarness()
        harness.disk.supportsSharedMapping = false
        try harness.open()
        try harness.append()
        harness.makeSynced()
        #expect(harness.log?.readable == 1)
    }

    /// Segments have synced the commits before it in its slot, but not the slot's head.
    @Test func aFrameInTheMiddleOfASlotIsSyncedWithTheHeadOfItsSlot() throws {
        let harness = LogHarness()
        harness.options.slotSize = 64 << 10
        try harness.open()
        try harness.append(commits: 90, byteCount: 100)
        harness.makeDurable()
        try harness.append()
        harness.makeSynced()
        #expect(harness.log?.durable == 91 && harness.log?.readable == 90)
        for seed in 0..<50 as Range<UInt64> {
            let copy = harness.copy(seed: seed)
            copy.crash(.power)
            try copy.open()
            #expect(try copy.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
        }
    }

    /// Both ways of syncing, in any order, over slots that are used again and again.
    @Test func powerLossAfterAnyMixOfSyncsKeepsWhatWasSynced() throws {
        for seed in 1...150 as ClosedRange<UInt64> {
            let harness = LogHarness(seed: seed, options: .tiny)
            var random = SeededRandom(seed: seed)
            for life in 0..<3 {
                try harness.open()
                for _ in 0..<Int.random(in: 1...40, using: &random) {
                    switch Int.random(in: 0..<10, using: &random) {
                    case 0..<5:
                        let size = Int.random(in: 1...90, using: &random)
                        if try !harness.append(byteCount: size) { harness.makeDurable() }
                    case 5, 6: harness.makeSynced()
                    case 7: harness.makeDurable()
                    case 8: harness.flush(steps: 1)
                    default: harness.time.advance(milliseconds: 60)
                    }
                    harness.noteDurable()
                }
                let crash: SimulatedDisk.Crash =
                    Int.random(in: 0..<4, using: &random) == 0 ? .process : .power
                harness.crash(crash)
                try harness.open()
                let fault = try harness.fault(mayLoseUnsynced: crash == .power)
                #expect(fault == nil, "seed \(seed), life \(life), \(crash)")
                guard fault == nil else { break }
                harness.crash(.process)
            }
        }
    }

    @Test func afterAFailedSyncOfStagingAppendsAreRefusedUntilReopening() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append()
        harness.makeSynced()
        harness.disk.fail(.synchronizeMapping, onFileNamed: "staging")
        try harness.append()
        harness.makeSynced()
        harness.disk.stopFailing()
        harness.makeSynced()
        guard case .poisoned? = logError({ try harness.append() }) else {
            Issue.record("appended after a failed sync")
            return
        }
        #expect(harness.log?.durable == 1)
        let killed = harness.copy(seed: 1)
        killed.crash(.process)
        try killed.open()
        #expect(try killed.fault(mayLoseUnsynced: false) == nil)
        for seed in 0..<20 as Range<UInt64> {
            let copy = harness.copy(seed: seed)
            copy.crash(.power)
            try copy.open()
            #expect(try copy.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
        }
    }
}
