import EventLog
import Glibc
import TestSupport
import Testing

/// Power loss at any moment, and any operation that fails.
///
/// Every third operation is tried with each error. With `EVENTLOG_EXHAUSTIVE` set in the environment, every one.
@Suite struct FaultTests {
    /// A life with all that the log does to files: open, append, write, sync, roll, close, open again.
    private func script(
        _ harness: LogHarness, after step: (LogHarness) throws -> Void = { _ in }
    ) throws {
        for round in 0..<2 {
            try harness.open()
            try step(harness)
            for index in 0..<4 {
                for _ in 0..<4 {
                    try harness.append(byteCount: 30 + 10 * index)
                    harness.time.advance(milliseconds: 30)
                }
                try step(harness)
                harness.flush(steps: 2)
                try step(harness)
                if index % 2 == round { harness.makeDurable() } else { harness.makeSynced() }
                try step(harness)
            }
            harness.makeDurable()
            if let refusal = harness.log?.refusal { throw refusal }
            try harness.close()
            try step(harness)
        }
    }

    @Test func whateverReachesTheDiskWhenPowerFailsIsAPrefixWithAllThatWasDurable() throws {
        let harness = LogHarness(seed: 3, options: .tiny)
        var point = 0
        try script(harness) { harness in
            harness.noteDurable()
            point += 1
            for seed in 0..<8 as Range<UInt64> {
                let copy = harness.copy(seed: UInt64(point) * 1000 + seed)
                copy.crash(.power)
                try copy.open()
                let fault = try copy.fault(mayLoseUnsynced: true)
                #expect(fault == nil, "point \(point), seed \(seed)")
                // And what is written from here on is as safe.
                try copy.append()
                copy.crash(.process)
                try copy.open()
                let second = try copy.fault(mayLoseUnsynced: false)
                #expect(second == nil, "point \(point), seed \(seed), second life")
            }
        }
    }

    private static let faults: [Fault] = [
        .errno(EIO), .errno(ENOSPC), .errno(EMFILE), .shortWrite(ENOSPC), .shortWrite(EIO),
    ]

    @Test(arguments: [false, true], SimulatedDisk.Crash.allCases)
    func noFailedOperationLosesWhatWasAcknowledged(
        permanently: Bool, crash: SimulatedDisk.Crash
    ) throws {
        let undisturbed = LogHarness(options: .tiny)
        try script(undisturbed)
        for n in 1...undisturbed.disk.operationCount {
            for (index, fault) in Self.faults.enumerated()
            where DamageTests.isExhaustive || n % 3 == index % 3 {
                let harness = LogHarness(seed: UInt64(n), options: .tiny)
                harness.disk.fail(at: n, with: fault, permanently: permanently)
                do {
                    try script(harness)
                } catch is LogError {
                } catch is SystemError {
                }
                harness.crash(crash)
                harness.disk.stopFailing()
                try harness.open()
                let wrong = try harness.fault(mayLoseUnsynced: crash == .power)
                #expect(wrong == nil, "operation \(n), \(fault), \(crash)")
            }
        }
    }

    @Test func afterAFailedSyncAppendsAreRefusedUntilReopening() throws {
        for nth in 1...6 {
            let harness = LogHarness(seed: UInt64(nth), options: .tiny)
            try harness.open()
            for _ in 0..<nth {
                try harness.append(commits: 3)
                harness.makeDurable()
            }
            let readable = try #require(harness.log?.readable)
            harness.disk.fail(.synchronize, onFileNamed: ".zst")
            try harness.append(commits: 2)
            harness.makeDurable()
            harness.disk.stopFailing()
            for _ in 0..<3 {
                harness.time.advance(milliseconds: 1000)
                harness.makeDurable()
                guard case .poisoned? = logError({ try harness.append() }) else {
                    Issue.record("appended after a failed sync")
                    return
                }
            }
            #expect(harness.log?.readable == readable)
            // Reads go on.
            let log = try #require(harness.log)
            #expect(try LogHarness.readAll(log).count == Int(readable))
            let reopened = harness.copy(seed: 1)
            try reopened.open()
            #expect(try reopened.fault(mayLoseUnsynced: false) == nil)
            for seed in 0..<20 as Range<UInt64> {
                let copy = harness.copy(seed: seed)
                copy.crash(.power)
                try copy.open()
                #expect(try copy.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
            }
            // Recovery has written the bytes that the failed sync had forgotten.
            reopened.crash(.power)
            try reopened.open()
            #expect(try reopened.fault(mayLoseUnsynced: false) == nil)
        }
    }

    /// Or power loss could keep the footer without the blocks, which would be taken for damage.
    @Test(arguments: [false, true])
    func noFooterIsWrittenBeforeTheBlocksAreSynced(atClose: Bool) throws {
        var options = LogOptions.small
        options.slotSize = 64 << 10
        options.segmentSize = 4096
        let harness = LogHarness(options: options)
        let log = try harness.open()
        try harness.append()
        harness.makeDurable()
        harness.disk.fail(.synchronize, onFileNamed: "1.zst")
        while !atClose, log.refusal == nil {
            try harness.append(commits: 10, byteCount: 100)
            harness.flush()
        }
        if atClose {
            try harness.append(commits: 10, byteCount: 100)
            #expect(logError { try log.close() } != nil)
        }
        harness.disk.stopFailing()
        for seed in 0..<100 as Range<UInt64> {
            let copy = harness.copy(seed: seed)
            copy.crash(.power)
            try copy.open()
            #expect(try copy.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
        }
    }

    @Test func aFailedWriteLeavesTheSegmentAtItsLastBlock() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 3)
        harness.makeDurable()
        let path = try #require(harness.segments.last)
        let before = harness.disk.readAll(path)
        harness.disk.fail(.write, onFileNamed: "1.zst", with: .shortWrite(ENOSPC), times: 1)
        try harness.append(commits: 3)
        harness.makeDurable()
        guard case .diskFull? = harness.log?.refusal else {
            Issue.record("\(String(describing: harness.log?.refusal))")
            return
        }
        #expect(harness.disk.readAll(path) == before)
    }

    /// A disk that is full may have room again; the effect of any other failed write is unknown.
    @Test func afterAWriteThatFailsForAnotherReasonAppendsAreRefusedUntilReopening() throws {
        let harness = LogHarness()
        let log = try harness.open()
        try harness.append()
        harness.makeDurable()
        harness.disk.fail(.write, onFileNamed: "1.zst", with: .errno(EIO), times: 1)
        for _ in 0..<3 {
            _ = try? harness.append(commits: 3)
            harness.time.advance(milliseconds: 1000)
            harness.makeDurable()
        }
        guard case .poisoned? = log.refusal else {
            Issue.record("\(String(describing: log.refusal))")
            return
        }
        // Nor does anything else take its place.
        log.abandon()
        #expect(log.refusal != .closed)
    }

    /// Else every further try would only find that the file exists.
    @Test func aSegmentThatCanBeNeitherWrittenNorRemovedEndsWritingUntilReopening() throws {
        let harness = LogHarness(options: .small)
        try harness.open()
        try harness.append(commits: 5)
        harness.disk.fail(.write, onFileNamed: ".zst", with: .errno(ENOSPC))
        harness.disk.fail(.remove, onFileNamed: ".zst")
        harness.makeDurable()
        guard case .poisoned? = harness.log?.refusal else {
            Issue.record("\(String(describing: harness.log?.refusal))")
            return
        }
        harness.crash(.process)
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        try harness.append(commits: 5)
        harness.makeDurable()
        #expect(harness.log?.readable == UInt64(harness.appended.count))
    }

    @Test func aFullDiskRefusesAppendsAndLosesNothing() throws {
        let harness = LogHarness(options: .small)
        try harness.open()
        try harness.append(commits: 5)
        harness.makeDurable()
        let used = harness.disk.usedBytes
        harness.disk.capacity = used + 700
        var refusal: LogError?
        while refusal == nil {
            refusal = logError {
                if try !harness.append() { harness.flush() }
                harness.makeDurable()
            }
        }
        guard case .diskFull? = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        harness.time.advance(milliseconds: 200)
        harness.flush()
        #expect(logError { try harness.append() } == refusal)
        let killed = harness.copy(seed: 9)
        killed.disk.capacity = nil
        try killed.open()
        #expect(try killed.fault(mayLoseUnsynced: false) == nil)

        harness.disk.capacity = used + 100_000
        harness.time.advance(milliseconds: 200)
        harness.makeDurable()
        #expect(harness.log?.refusal == nil)
        try harness.append(commits: 50)
        harness.makeDurable()
        #expect(harness.log?.readable == UInt64(harness.appended.count))
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }
}
