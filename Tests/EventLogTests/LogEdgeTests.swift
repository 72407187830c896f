import EventLog
import TestSupport
import Testing

/// Where a log begins and ends is recorded, so that what is missing there is no less noticed than in the middle.
@Suite struct LogEdgeTests {
    private static let layout = LogHarness.layout

    /// Killed with commits in segments, not sealed, and in staging.
    private func killed() throws -> LogHarness { try StoreShape.stagedCommits.made() }

    private func closed() throws -> LogHarness { try StoreShape.severalSegments.made() }

    /// Closed with one segment of several blocks.
    private func closedInBlocks() throws -> LogHarness {
        let harness = LogHarness()
        try harness.open()
        for _ in 0..<3 {
            try harness.append(commits: 3)
            harness.makeDurable()
        }
        try harness.close()
        return harness
    }

    private func damage(_ harness: LogHarness) throws -> Corruption {
        let files = harness.disk.allFiles.map { harness.disk.readAll("/" + $0) }
        let damage = try #require(try harness.open().recovery.corruption)
        #expect(harness.disk.allFiles.map { harness.disk.readAll("/" + $0) } == files)
        return damage
    }

    @Test func stagingThatIsGoneIsDamageAndSaysHowMuchMayBeMissing() throws {
        let harness = try killed()
        try harness.disk.erase(Self.layout.staging)
        let damage = try damage(harness)
        #expect(damage.lost == nil)
        guard case .endUnknown(let bytes) = damage.evidence else {
            Issue.record("\(damage)")
            return
        }
        #expect(bytes > 0 && bytes <= harness.options.slotSize * harness.options.slotCount)
    }

    @Test func aCleanEndThatIsGoneIsDamage() throws {
        let harness = try closed()
        try harness.disk.erase(Self.layout.cleanEnd)
        guard case .endUnknown = try damage(harness).evidence else {
            Issue.record("the end is known")
            return
        }
    }

    @Test func aClosedLogThatIsCutBetweenTwoBlocksIsDamage() throws {
        let base = try closedInBlocks()
        let path = try #require(base.segments.last)
        let bytes = try #require(base.disk.readAll(path))
        guard case .opened(let segment) = try SegmentReader.open(path, on: base.disk) else {
            return
        }
        var offset = SegmentHeader.byteCount
        while case .block(let block) = try segment.item(at: offset, fileByteCount: bytes.count) {
            let harness = base.copy(seed: 1)
            try harness.disk.overwrite(path, Array(bytes.prefix(offset)))
            let damage = try damage(harness)
            #expect(damage.evidence == .closedAt(9))
            #expect(damage.lost == block.firstSequence...9)
            offset += BlockHeader.byteCount + Int(block.packedLength)
        }
        #expect(offset > SegmentHeader.byteCount)
    }

    @Test func aClosedLogThatLostItsFooterAloneIsSealedAnew() throws {
        let harness = try closedInBlocks()
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        guard case .opened(let segment) = try SegmentReader.open(path, on: harness.disk),
            let footer = try segment.footer()
        else { return }
        try harness.disk.overwrite(path, Array(bytes.prefix(footer.offset)))
        let log = try harness.open()
        #expect(log.judgement.findings.map(\.severity) == [.warning])
        #expect(try harness.fault(mayLoseUnsynced: false) == nil)
        #expect(harness.disk.readAll(path)?.count == bytes.count)
    }

    @Test func aLogThatBeginsLaterThanAnythingSaysIsDamage() throws {
        let harness = try closed()
        try harness.disk.erase(try #require(harness.segments.first))
        let damage = try damage(harness)
        #expect(damage.evidence == .startMissing(deleted: 0))
        #expect(damage.lost?.lowerBound == 1)
    }

    @Test func aLogWhoseStartWasDeletedSaysSo() throws {
        let harness = try closed()
        let list = try SegmentList(harness.environment)
        try SegmentList.delete(list.segments[0], harness.environment)
        #expect(try harness.open().recovery.corruption == nil)
        try harness.close()
        try harness.disk.erase(list.segments[1].path)
        let last = try #require(list.segments[0].nextSequence) - 1
        #expect(try damage(harness).evidence == .startMissing(deleted: last))
    }

    @Test func oneBadSectorOfTheCleanEndIsSurvived() throws {
        let harness = try closed()
        try harness.disk.flip(Self.layout.cleanEnd, at: 30)
        #expect(try harness.open().recovery.corruption == nil)
    }

    @Test func anOlderCleanEndBesideALaterLogIsNamed() throws {
        let harness = try closed()
        let old = try #require(harness.disk.readAll(Self.layout.cleanEnd))
        try harness.open()
        try harness.append(commits: 3)
        try harness.close()
        try harness.disk.overwrite(Self.layout.cleanEnd, old)
        #expect(try damage(harness).path == Self.layout.cleanEnd)
    }

    @Test func anOlderStagingBesideALaterLogIsNamed() throws {
        let harness = try killed()
        let old = try #require(harness.disk.readAll(Self.layout.staging))
        try harness.open()
        try harness.append(commits: 3)
        harness.makeDurable()
        harness.crash(.process)
        try harness.disk.overwrite(Self.layout.staging, old)
        #expect(try damage(harness).path == Self.layout.staging)
    }

    @Test func segmentsThatAreOlderThanWhatStagingSaysAreNamed() throws {
        let harness = try killed()
        let before = harness.segments.map { ($0, harness.disk.readAll($0) ?? []) }
        try harness.open()
        try harness.append(commits: 3)
        harness.makeDurable()
        harness.crash(.process)
        for path in harness.segments { try harness.disk.erase(path) }
        for (path, bytes) in before { try harness.disk.overwrite(path, bytes) }
        let damage = try damage(harness)
        switch damage.evidence {
        case .stagingSays, .laterWitness: break
        default: Issue.record("\(damage)")
        }
    }

    @Test(arguments: [StoreShape.stagedCommits, .severalSegments, .sealedAndActive])
    func whoBelievesTheSegmentsGoesOnFromThem(shape: StoreShape) throws {
        let harness = try shape.made()
        for path in [Self.layout.staging, Self.layout.cleanEnd]
        where harness.disk.readAll(path) != nil { try harness.disk.erase(path) }
        #expect(try harness.open().recovery.corruption != nil)
        try LogInspection.believeSegments(harness.environment)
        #expect(try harness.open().recovery.corruption == nil)
        #expect(try harness.append())
    }
}

/// Reading a damaged buffer takes no longer than the buffer is long.
@Suite struct StagingWorkTests {
    /// Its records are frames themselves, as far as one can write them without the salt.
    @Test func aDamagedValueThatLooksLikeCommitsCostsNothingAndHidesNothing() throws {
        let harness = LogHarness(options: LogOptions())
        try harness.open()
        try harness.append(byteCount: 250_000)
        try harness.append(commits: 2)
        harness.crash(.process)
        let path = LogHarness.layout.staging
        var bytes = try #require(harness.disk.readAll(path))
        let start = StagingHeader.byteCount + harness.options.slotSize + 64
        // At every eighth byte the length of a frame that reaches far.
        for offset in stride(from: start + 64, to: start + 250_000, by: 8) {
            bytes.store(integer: UInt32(1_000_000), at: offset)
        }
        try harness.disk.overwrite(path, bytes)
        let log = try harness.open()
        #expect(log.judgement.isTorn)
        #expect(log.judgement.steps.contains(.cutStaged(commits: 2, sequences: 2...3)))
    }
}
