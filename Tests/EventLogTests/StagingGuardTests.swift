import EventLog
import Glibc
import TestSupport
import Testing

/// The guards of the write buffer: against bytes that change behind the store's back, and missing room.
@Suite struct StagingGuardTests {
    private static let path = "/store/staging"
    /// Where the second frame starts: in the slot that is used first, the second, behind a frame as long.
    private static let secondCommit: Int = {
        let records = LogHarness.records(unique: 1, count: 1, byteCount: 40).count
        return StagingHeader.byteCount + LogOptions.small.slotSize + SlotHeader.byteCount
            + StagedCommit.byteCount(records: records)
    }()

    /// The fate of a staged commit, by the offset of a byte in it.
    @Test(arguments: [
        ("its length", 0), ("its header's checksum", 4), ("its records' checksum", 8),
        ("unsynced", 12), ("its sequence", 16), ("its count", 20), ("its time", 24),
        ("its first record", StagedCommit.headerByteCount),
        ("a value", StagedCommit.headerByteCount + 32),
    ])
    func aFrameThatWasChangedNeverReachesASegment(what: String, offset: Int) throws {
        let harness = LogHarness()
        let log = try harness.open()
        for _ in 0..<3 { try harness.append() }
        let place = Self.secondCommit + offset
        let byte = try #require(harness.disk.readAll(Self.path))[place]
        harness.disk.changeInPlace(Self.path, at: place, [byte ^ 0x10])
        harness.makeDurable()
        #expect(log.refusal == .bufferChanged(sequence: 2))
        #expect(log.readable == 0)
        #expect(logError { try harness.append() } == .bufferChanged(sequence: 2))
        // For good, even when the memory shows the right byte again.
        harness.disk.changeInPlace(Self.path, at: place, [byte])
        harness.makeDurable()
        #expect(logError { try log.close() } == .bufferChanged(sequence: 2))
        #expect(harness.disk.readAll(Self.path) != nil)
        // Nothing acknowledged was lost with it.
        harness.crash(.process)
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func aPageThatComesBackOldOrEmptyNeverReachesASegment() throws {
        for isOld in [false, true] {
            let harness = LogHarness()
            let log = try harness.open()
            // Until the first slot is used for the second time.
            for _ in 0..<150 {
                if try !harness.append() { harness.makeDurable() }
            }
            harness.makeDurable()
            let before = try #require(harness.disk.readAll(Self.path))
            let readable = log.readable
            for _ in 0..<3 { try harness.append() }
            let now = try #require(harness.disk.readAll(Self.path))
            let changed = try #require(
                now.indices.dropFirst(StagingHeader.byteCount).first { now[$0] != before[$0] })
            let page = changed / 512 * 512
            let old = isOld ? Array(before[page..<page + 512]) : [UInt8](repeating: 0, count: 512)
            harness.disk.changeInPlace(Self.path, at: page, old)
            harness.makeDurable()
            #expect(log.refusal == .bufferChanged(sequence: readable + 1))
            #expect(log.readable == readable)
        }
    }

    @Test func aFullBufferIsFlushedAtOnceHoweverSmallItIs() throws {
        var options = LogOptions.small
        options.blockSize = 1 << 20
        options.slotCount = 2
        options.syncInterval = 1_000_000_000_000
        let harness = LogHarness(options: options)
        let log = try harness.open()
        for _ in 0..<5 {
            harness.flush()
            while try harness.append() {}
            let woken = log.work?.current
            #expect(try !harness.append())
            #expect(log.work?.current != woken)
            harness.flush()
            #expect(try harness.append())
        }
        #expect(harness.time.monotonicNanoseconds() == 1)
    }

    /// Segments hold a slot's commits already; a writer comes just before its room is reserved again.
    @Test func aWriterThatComesBeforeRoomIsReservedFindsNone() throws {
        let harness = LogHarness()
        harness.disk.canShareBlocks = true
        let log = try harness.open()
        while try harness.append() {}
        let time = harness.time.wallMilliseconds()
        let found = Locked<Result<Staging.Outcome, any Error>?>(nil)
        harness.disk.beforeReserving = {
            found.withLock { found in
                guard found == nil else { return }
                let records = LogHarness.records(unique: 1, count: 1, byteCount: 40)
                found = Result {
                    try records.withUnsafeBytes {
                        try log.append($0, count: 1, flags: [], time: time)
                    }
                }
            }
        }
        harness.makeDurable()
        harness.disk.beforeReserving = nil
        let outcome = try #require(found.withLock { $0 }).get()
        guard case .full = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try harness.append())
    }

    @Test func noSlotIsUsedAgainBeforeThereIsRoomForSure() throws {
        let harness = LogHarness()
        harness.disk.canShareBlocks = true
        let log = try harness.open()
        while try harness.append() {}
        let before = try #require(harness.disk.readAll(Self.path))
        harness.disk.fail(.reserve, onFileNamed: "staging", with: .errno(ENOSPC), times: 1000)
        harness.makeDurable()
        guard case .diskFull? = log.refusal else {
            Issue.record("\(String(describing: log.refusal))")
            return
        }
        #expect(logError { try harness.append() } == log.refusal)
        #expect(log.readable == log.lastSequence)
        let now = try #require(harness.disk.readAll(Self.path))
        #expect(now.dropFirst(StagingHeader.byteCount) == before.dropFirst(StagingHeader.byteCount))
        harness.disk.stopFailing()
        harness.flush()
        #expect(log.refusal == nil)
        for _ in 0..<100 {
            if try !harness.append() { harness.makeDurable() }
        }
        try harness.close()
        try harness.open()
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    /// A lap is a use of each slot. The log may be idle when the copy is made.
    @Test(arguments: [0, 1, 150, 151])
    func noStoreNeedsRoomAfterACopyThatSharesItsBlocks(commits: Int) throws {
        // The room when the copy is noticed; nil is enough, and then none. With less than a page, blocks can be written.
        for room in [nil, 0, 3000] {
            let harness = LogHarness()
            harness.disk.canShareBlocks = true
            let (disk, log) = (harness.disk, try harness.open())
            for _ in 0..<commits {
                if try !harness.append() { harness.makeDurable() }
            }
            harness.flush()
            let used = disk.usedBytes
            try disk.share(Self.path, with: "/copy")
            disk.capacity = room.map { used + $0 }
            harness.time.advance(milliseconds: Flusher.reserveInterval / 1_000_000)
            harness.flush()
            if room != nil {
                guard case .diskFull? = logError({ try harness.append() }) else {
                    Issue.record("a commit was taken without room for it")
                    return
                }
                harness.makeDurable()
                harness.makeSynced()
                #expect(logError { try log.close() } != nil)
                harness.crash(.process)
                #expect(!disk.hasStoredWithoutRoom)
                disk.capacity = nil
                try harness.open()
            } else {
                disk.capacity = 0
                while try harness.append() {}
                harness.makeSynced()
                #expect(!disk.hasStoredWithoutRoom)
                disk.capacity = nil
                harness.makeDurable()
                #expect(log.refusal == nil)
                #expect(try harness.append())
            }
            try harness.close()
            try harness.open()
            #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        }
    }

    @Test func writesGoOnWhenThereIsRoomForAllThatACopyShares() throws {
        let harness = LogHarness()
        harness.disk.canShareBlocks = true
        let (disk, log) = (harness.disk, try harness.open())
        try harness.append()
        try disk.share(Self.path, with: "/copy")
        disk.capacity = 0
        harness.time.advance(milliseconds: 100)
        harness.flush()
        #expect(logError { try harness.append() } == log.refusal && log.refusal != nil)
        disk.capacity = nil
        harness.flush()
        #expect(log.refusal == nil)
        for _ in 0..<100 {
            if try !harness.append() { harness.makeDurable() }
        }
        try harness.close()
        #expect(!disk.hasStoredWithoutRoom)
    }

    @Test func anIdleFlusherComesBackToReserveRoomWhereCopiesCanShareBlocks() throws {
        for canShare in [true, false] {
            let harness = LogHarness()
            harness.disk.canShareBlocks = canShare
            let flusher = try #require(try harness.open().flusher)
            #expect(flusher.step() == .wait(nanoseconds: canShare ? 100_000_000 : nil))
            for _ in 0..<200 {
                harness.time.advance(milliseconds: 100)
                while try !harness.append() { harness.makeDurable() }
                harness.flush()
            }
            #expect((harness.disk.count(of: .reserve) > 0) == canShare)
        }
    }

    /// The page cache shows the bytes that were written, even if the device lost them.
    @Test func whatRecoveryWritesIsReadBackFromTheDevice() throws {
        let harness = LogHarness()
        try harness.open()
        for _ in 0..<3 { try harness.append() }
        harness.makeDurable()
        harness.crash(.process)
        harness.disk.clearOperations()
        try harness.open()
        let temporary = "/store/log/00000000000000000001.zst.tmp"
        let kinds = harness.disk.operations.filter { $0.path == temporary }.map(\.kind)
        let synced = try #require(kinds.lastIndex(of: .synchronize))
        let dropped = try #require(kinds.lastIndex(of: .dropCache))
        let read = try #require(kinds.lastIndex(of: .open))
        #expect(synced < dropped && dropped < read)
    }
}
