import EventLog
import TestSupport
import Testing

/// If a log has no writer, all evidence shows up to where it had been durable, not staging's header alone.
@Suite struct DurableEvidenceTests {
    private static let layout = LogHarness.layout

    private func durable(
        _ harness: LogHarness, witnesses: [Witness] = []
    ) throws -> UInt64 {
        try LogInspection(harness.environment, witnesses: witnesses).judgement.durable
    }

    /// As a writer leaves staging that ended while it opened the store, or between two of its stores to this place.
    private func erasePublished(_ harness: LogHarness) throws {
        var bytes = try #require(harness.disk.readAll(Self.layout.staging))
        bytes.replaceSubrange(64..<88, with: repeatElement(0, count: 24))
        try harness.disk.overwrite(Self.layout.staging, bytes)
    }

    @Test(arguments: StoreShape.allCases)
    func whatWasAcknowledgedIsToldAfterAKill(shape: StoreShape) throws {
        let harness = try shape.made()
        #expect(try durable(harness) == harness.acknowledged)
    }

    @Test(arguments: StoreShape.allCases)
    func aWriterThatEndedWhileOpeningHidesNothing(shape: StoreShape) throws {
        let harness = try shape.made()
        let log = try harness.open()
        let last = log.lastSequence
        harness.crash(.process)
        try erasePublished(harness)
        #expect(try durable(harness) == last, "all of it is in sealed segments")
    }

    /// The sealed segment before the last one, and what later blocks knew, without a word from staging.
    @Test func segmentsTellItThemselves() throws {
        let harness = try StoreShape.sealedAndActive.made()
        try erasePublished(harness)
        let base = try #require(
            harness.segments.last.flatMap {
                StoreLayout.sequence(ofFileNamed: String($0.suffix(24)))
            })
        #expect(base > 1)
        #expect(try durable(harness) >= base - 1)
        // The last segment's first block is torn, so no header of a block shows it.
        try harness.eraseStagedCommits()
        try erasePublished(harness)
        let last = try #require(harness.segments.last)
        harness.disk.cutInPlace(last, to: SegmentHeader.byteCount + 40)
        #expect(try durable(harness) == base - 1)

        let single = LogHarness()
        try single.open()
        for _ in 0..<3 {
            try single.append(commits: 3)
            single.makeDurable()
        }
        single.crash(.process)
        try single.eraseStagedCommits()
        try erasePublished(single)
        #expect(try durable(single) == 6, "the last of three blocks was built when 6 were synced")
    }

    @Test func stagedCommitsTellItToo() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 3)
        harness.makeSynced()
        try harness.append()
        harness.crash(.process)
        try erasePublished(harness)
        #expect(try durable(harness) == 3)
    }

    @Test func whoeverHoldsAStateProvesIt() throws {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 5)
        harness.crash(.process)
        #expect(try durable(harness) == 0)
        #expect(try durable(harness, witnesses: [Witness(name: "database", sequence: 2)]) == 2)
        let beyond = [Witness(name: "database", sequence: 9)]
        #expect(try durable(harness, witnesses: beyond) == 0, "segments hold none of it")
    }

    /// Whatever power loss leaves: no more is called durable than is there, and what opening makes of it is all durable.
    @Test(arguments: 0..<40 as Range<UInt64>) func nothingIsCalledDurableThatIsNotThere(
        seed: UInt64
    ) throws {
        let harness = LogHarness(seed: seed)
        for _ in 0..<3 {
            try harness.open()
            for _ in 0..<Int.random(in: 1...6, using: &harness.random) {
                try harness.append(commits: 2)
                switch Int.random(in: 0..<3, using: &harness.random) {
                case 0: harness.makeDurable()
                case 1: harness.makeSynced()
                default: harness.flush(steps: 1)
                }
            }
            let isPower = Bool.random(using: &harness.random)
            harness.crash(isPower ? .power : .process)
            let judgement = try LogInspection(harness.environment, witnesses: []).judgement
            #expect(judgement.durable <= judgement.end)
            if !isPower { #expect(judgement.durable >= harness.acknowledged) }
            try harness.open()
            try harness.close()
            #expect(try durable(harness) == judgement.end)
        }
    }

    @Test(arguments: 0..<56) func aDamagedFirstPageOfStagingIsNotWhatIsTornInTheLog(
        offset: Int
    ) throws {
        let harness = try StoreShape.oneBlock.made()
        try harness.disk.flip(Self.layout.staging, at: offset, mask: 0x01)
        let path = try #require(harness.segments.last)
        let bytes = try #require(harness.disk.readAll(path))
        try harness.disk.overwrite(path, bytes + [UInt8](repeating: 0xA5, count: 90))
        let inspection = try LogInspection(harness.environment, witnesses: [])
        let findings = inspection.judgement.findings
        #expect(findings.first { $0.severity == .warning }?.path == Self.layout.staging)
        let torn = try #require(findings.first { $0.severity == .torn })
        #expect(torn.path == path)
        #expect(inspection.plan.tornReason == torn.reason)
    }
}
