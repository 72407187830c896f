import EventLog
import TestSupport
import Testing

/// Cases in which recovery must look twice.
@Suite struct RecoveryEvidenceTests {
    @Test func whatIsCutOffSurvivesPowerLossAsFoundWhereTheReportSays() throws {
        let base = try StoreShape.oneBlock.made()
        let path = try #require(base.segments.last)
        let torn = (base.disk.readAll(path) ?? []) + [UInt8](repeating: 0xA5, count: 700)
        try base.disk.overwrite(path, torn)
        for seed in 0..<20 as Range<UInt64> {
            let harness = base.copy(seed: seed)
            let log = try harness.open()
            let kept = try #require(log.recovery.cutOff.first)
            harness.crash(.power)
            let bytes = harness.disk.readAll(kept) ?? []
            #expect(bytes.dropFirst(SegmentHeader.byteCount) == torn.suffix(700), "seed \(seed)")
            let header = try SegmentHeader(decoding: bytes.span)
            #expect(header.kind == .cutOff)
        }
    }

    /// Neither segment nor staging holds the first commit any more, but a later staged commit shows that it was synced.
    @Test func aLaterCommitProvesThatWhatIsLostWasDurable() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 3)
        harness.makeDurable()
        try harness.append()
        harness.crash(.process)
        let staging = LogHarness.layout.staging
        // The second slot is the first to be used; its head has 64 bytes.
        let slot = StagingHeader.byteCount + harness.options.slotSize
        try harness.disk.flip(staging, at: slot + 64 + 32)
        try harness.disk.flip(try #require(harness.segments.last), at: SegmentHeader.byteCount + 20)
        let corruption = try #require(try harness.open().recovery.corruption)
        #expect(corruption.firstLost == 1)
        guard case .laterWitness(staging, _, durable: 3) = corruption.evidence else {
            Issue.record("\(corruption)")
            return
        }
    }

    @Test func aFooterProvesThatTheBlocksBeforeItWereDurable() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 3)
        try harness.close()
        let path = try #require(harness.segments.last)
        try harness.disk.flip(path, at: SegmentHeader.byteCount + 20)
        let corruption = try #require(try harness.open().recovery.corruption)
        #expect(corruption.firstLost == 1 && corruption.evidence == .sealed)
    }

    @Test func aCutSeekTableIsRebuiltWhereThereIsNoStagingFile() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 20)
        try harness.close()
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        try harness.disk.overwrite(path, Array(bytes.dropLast(3)))
        let log = try harness.open()
        #expect(log.recovery.wasUnclean)
        #expect(log.recovery.tornReason != nil)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.disk.readAll(path)?.count == bytes.count)
    }

    @Test func aDamagedSeekTableOfTheLastSegmentIsNoticedAndRebuilt() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 20)
        try harness.close()
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        try harness.disk.flip(path, at: bytes.count - 20)
        let log = try harness.open()
        #expect(log.recovery.tornReason == "the seek table is damaged")
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func aLastFileWithoutHeaderProvesThatTheOneBeforeItWasSealed() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 20)
        try harness.close()
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        try harness.disk.overwrite(path, Array(bytes.prefix(bytes.count / 2)))
        try harness.disk.overwrite(LogHarness.layout.segment(21), [])
        let log = try harness.open()
        #expect(log.recovery.corruption?.evidence == .sealed)
        #expect(log.recovery.corruption?.path == path)
    }

    @Test func schemasAreNotTakenFromADamagedSegment() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 20)
        try harness.close()
        try harness.open()
        try harness.append()
        harness.makeDurable()
        let first = try #require(harness.segments.first)
        let last = try #require(harness.segments.last)
        #expect(first != last)
        let bytes = try #require(harness.disk.readAll(last))
        harness.crash(.process)
        try harness.disk.overwrite(last, Array(bytes.prefix(SegmentHeader.byteCount)))
        try harness.eraseStagedCommits()
        try harness.disk.flip(first, at: SegmentHeader.byteCount + BlockHeader.byteCount + 4)
        let log = try harness.open()
        #expect(log.recovery.corruption?.path == first)
        #expect(log.recovery.corruption?.evidence == .sealed)
    }

    @Test func aDamagedLogIsReadableUpToWhatItsSegmentsHold() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 10)
        harness.makeDurable()
        try harness.append(commits: 10)
        harness.crash(.process)
        let log = try harness.open(witnesses: [Witness(name: "database", sequence: 99)])
        #expect(
            log.recovery.corruption?.evidence == .appliedBy(name: "database", sequence: 99))
        #expect(log.readable == 10)
        #expect(try LogHarness.readAll(log) == Array(harness.appended.prefix(10)))
        #expect(logError { try harness.append() } != nil)
        #expect(log.flusher == nil)
    }

    @Test func stagedCommitsSurviveAReopeningWithSmallerBounds() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(byteCount: 3000)
        harness.crash(.process)
        harness.options.rawBlockBound = 512
        harness.options.blockSize = 256
        harness.options.slotSize = 1024
        let log = try harness.open()
        #expect(log.recovery.commitsFromStaging == 1)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func commitsBehindADamagedOneThatSegmentsHoldAreStillTaken() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 2)
        harness.makeDurable()
        try harness.append(commits: 2)
        harness.crash(.process)
        try harness.disk.flip(
            LogHarness.layout.staging, at: StagingHeader.byteCount + 4096 + 64 + 34)
        let log = try harness.open()
        #expect(log.recovery.commitsFromStaging == 2)
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test(arguments: 0..<56) func aDamagedStagingHeaderIsToldAndReadFromItsCopy(offset: Int) throws
    {
        let harness = try StoreShape.stagedCommits.made()
        try harness.disk.flip(LogHarness.layout.staging, at: offset, mask: 0x01)
        let log = try harness.open()
        #expect(log.judgement.findings.map(\.severity) == [.warning])
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
    }

    @Test func aStagingFileOfWhichBothHeadersAreDamagedIsNotPassedOver() throws {
        let harness = try StoreShape.stagedCommits.made()
        for page in 0..<2 { try harness.disk.flip(LogHarness.layout.staging, at: page * 4096 + 30) }
        let files = harness.disk.allFiles.map { harness.disk.readAll("/" + $0) }
        let log = try harness.open()
        #expect(log.recovery.corruption?.path == LogHarness.layout.staging)
        #expect(log.recovery.corruption?.lost == nil, "nothing shows how much it held")
        #expect(harness.disk.allFiles.map { harness.disk.readAll("/" + $0) } == files)
    }

    @Test func aDamagedSlotHeaderIsReadFromItsCopy() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 3)
        harness.crash(.process)
        let slot = StagingHeader.byteCount + harness.options.slotSize
        for offset in [0, 8, 16] {
            let disk = harness.disk.snapshot()
            try disk.flip(LogHarness.layout.staging, at: slot + offset)
            let log = try LogHarness.opened(disk, options: harness.options)
            #expect(log.recovery.commitsFromStaging == 3)
        }
    }

    /// Of what it held nothing is known, and nothing shows that it was durable.
    @Test func aSlotOfWhichBothHeadersAreDamagedIsTold() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 3)
        harness.crash(.process)
        let slot = StagingHeader.byteCount + harness.options.slotSize
        try harness.disk.flip(LogHarness.layout.staging, at: slot)
        try harness.disk.flip(LogHarness.layout.staging, at: slot + harness.options.slotSize - 64)
        let log = try harness.open()
        #expect(log.judgement.isTorn)
        #expect(log.judgement.findings.contains { $0.severity == .torn && $0.offset == slot })
    }

    @Test func stagedCommitsBehindADamagedOneAreToldAndKept() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 9)
        harness.crash(.process)
        let slot = StagingHeader.byteCount + harness.options.slotSize
        try harness.disk.flip(LogHarness.layout.staging, at: slot + 64 + 32)
        let log = try harness.open()
        #expect(log.judgement.isTorn)
        #expect(log.judgement.steps.contains(.cutStaged(commits: 8, sequences: 2...9)))
        let kept = try StagedFile(try #require(log.recovery.cutOff.first), on: harness.disk)
        #expect(kept.commits.map(\.commit.firstSequence) == Array(2...9))
        #expect(kept.findings.compactMap(\.lost) == [1...1])
    }
}
