import EventLog
import TestSupport
import Testing

/// Files whose checksums are all right and that no store wrote. Every number in them is checked before it is computed with:
/// each is refused, named, or harmless, and none ends the process.
@Suite struct RightChecksumTests {
    private static let layout = LogHarness.layout

    private func open(_ disk: SimulatedDisk) throws -> Log {
        let log = try LogHarness.opened(disk, options: .small)
        // The tool judges by the same code, without repairing.
        _ = try LogInspection(log.environment, witnesses: [])
        return log
    }

    /// A log of nine commits, not closed, and with nothing in staging behind them.
    private func nine() throws -> LogHarness {
        let harness = LogHarness()
        try harness.open()
        try harness.append(commits: 9)
        harness.makeDurable()
        harness.crash(.process)
        return harness
    }

    // MARK: headers of segments and snapshots

    @Test(arguments: [1 << 32 + 1, 1 << 63, .max - 1, .max] as [UInt64])
    func aBufferLongerThanAnyIsRefused(length: UInt64) throws {
        let harness = try nine()
        let path = try #require(harness.segments.first)
        var bytes = try #require(harness.disk.readAll(path))
        var header = try SegmentHeader(decoding: bytes.span)
        for (kind, field) in [
            (SegmentHeader.Kind.segment, "buffer length"), (.cutOff, "buffer length"),
            (.snapshot, length > 1 << 62 ? "earlier snapshot" : nil),
        ] {
            (header.kind, header.other) = (kind, length)
            let fault = fault { _ = try SegmentHeader(decoding: header.encoded().span) }
            #expect(fault == field.map { .outOfRange(field: $0) })
        }
        header.kind = .segment
        bytes.replaceSubrange(..<SegmentHeader.byteCount, with: header.encoded())
        try harness.disk.overwrite(path, bytes)
        // With neither of the files that show where the log ends, the length counts.
        for isStaged in [true, false] {
            if !isStaged { try harness.disk.erase(Self.layout.staging) }
            let corruption = try open(harness.disk.snapshot()).recovery.corruption
            #expect(corruption?.evidence == .headerLost)
        }
    }

    @Test func theLongestBufferIsAccepted() throws {
        let harness = try nine()
        let path = try #require(harness.segments.first)
        var bytes = try #require(harness.disk.readAll(path))
        var header = try SegmentHeader(decoding: bytes.span)
        header.other = 1 << 32
        bytes.replaceSubrange(..<SegmentHeader.byteCount, with: header.encoded())
        try harness.disk.overwrite(path, bytes)
        #expect(try open(harness.disk.snapshot()).readable == 9)
        try harness.disk.erase(Self.layout.staging)
        let evidence = try open(harness.disk).recovery.corruption?.evidence
        #expect(evidence == .endUnknown(bufferByteCount: 1 << 32))
    }

    private func fault(_ body: () throws -> Void) -> FormatFault? {
        do {
            try body()
            return nil
        } catch {
            return error as? FormatFault
        }
    }

    // MARK: names

    /// An empty file is a segment that never got its header, so only its name counts.
    @Test(arguments: [0, 1 << 62 + 1, .max] as [UInt64])
    func aFileThatIsNamedAfterNoSequenceIsNoSegment(sequence: UInt64) throws {
        let name = StoreLayout.fileName(sequence)
        #expect(StoreLayout.sequence(ofFileNamed: name) == nil)
        for isNew in [true, false] {
            let harness = isNew ? LogHarness() : try nine()
            try harness.open()
            try harness.close()
            if isNew { try harness.disk.erase(Self.layout.cleanEnd) }
            try harness.disk.overwrite(Self.layout.log + "/" + name, [])
            #expect(try open(harness.disk).recovery.corruption == nil)
        }
        for known in [1, 1 << 62] as [UInt64] {
            #expect(StoreLayout.sequence(ofFileNamed: StoreLayout.fileName(known)) == known)
        }
    }

    // MARK: staging

    private struct Crafted {
        var sequence: UInt64
        var count: UInt32
        var length: Int
    }

    /// Puts commits into the first slot of staging.
    private func stage(_ commits: [Crafted], base: UInt64, on disk: SimulatedDisk) throws {
        var bytes = try #require(disk.readAll(Self.layout.staging))
        let header = try StagingHeader(decoding: bytes.span)
        let start = StagingHeader.byteCount
        bytes.replaceSubrange(
            start..<start + header.slotSize, with: repeatElement(0, count: header.slotSize))
        var slot: [UInt8] = []
        let generation: UInt64 = 1000
        slot.append(integer: base)
        slot.append(integer: generation)
        slot.append(integer: Checksum.low(slot.span, seed: header.salt))
        bytes.replaceSubrange(start..<start + slot.count, with: slot)
        var offset = start + SlotHeader.byteCount
        for commit in commits {
            let staged = Self.staged(commit, salt: header.salt, generation: generation)
            bytes.replaceSubrange(offset..<offset + staged.count, with: staged)
            offset += StagedCommit.byteCount(records: commit.length)
        }
        try disk.overwrite(Self.layout.staging, bytes)
    }

    private static func staged(_ commit: Crafted, salt: UInt64, generation: UInt64) -> [UInt8] {
        let length = UInt32(commit.length)
        let seed = salt ^ (generation &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(length) << 32)
        let records = [UInt8](repeating: 1, count: commit.length)
        var checked: [UInt8] = []
        checked.append(integer: Checksum.low(records.span, seed: seed))
        checked.append(integer: UInt32.max)
        checked.append(integer: UInt32(truncatingIfNeeded: commit.sequence))
        checked.append(integer: commit.count)
        checked.append(integer: 1_800_000_000_000 as UInt64)
        var bytes: [UInt8] = []
        bytes.append(integer: length)
        bytes.append(integer: Checksum.low(checked.span, seed: seed))
        return bytes + checked + records
    }

    /// Staged behind nine commits: the sequences of commits with 30 or 2 records, in the order of the file.
    @Test(
        arguments: [
            ([20, 10], 39, nil), ([50, 45, 10], 39, 45...51), ([20, 60, 10], 39, 60...61),
            ([10, 60, 41], 39, 41...61), ([41, 60], 9, 41...61), ([60, 41], 9, 41...61),
        ] as [([UInt64], UInt64, ClosedRange<UInt64>?)])
    func stagedCommitsMayComeInAnyOrder(
        sequences: [UInt64], end: UInt64, left: ClosedRange<UInt64>?
    ) throws {
        let harness = try nine()
        let commits = sequences.map {
            Crafted(sequence: $0, count: $0 == 10 ? 30 : 2, length: $0 == 10 ? 40 : 8)
        }
        try stage(commits, base: 10, on: harness.disk)
        let log = try LogHarness.opened(harness.disk, options: .small)
        #expect(log.recovery.corruption == nil)
        #expect(log.readable == end)
        let cut = log.judgement.steps.compactMap { step in
            if case .cutStaged(let count, let range) = step { (count, range) } else { nil }
        }
        #expect(cut.first?.1 == left && cut.count == (left == nil ? 0 : 1))
        let torn = log.judgement.findings.first { $0.reason.contains("follow a gap") }
        #expect(torn?.lost == left.map { end + 1...$0.upperBound })
    }

    @Test(arguments: [.max, 1 << 63, 1 << 62 + 1] as [UInt64])
    func progressThatNoWriterPublishesIsIgnored(sequence: UInt64) throws {
        for isDurable in [true, false] {
            let harness = try nine()
            var bytes = try #require(harness.disk.readAll(Self.layout.staging))
            let header = try StagingHeader(decoding: bytes.span)
            bytes.store(integer: isDurable ? 9 : sequence, at: 64)
            bytes.store(integer: isDurable ? sequence : 9, at: 72)
            let check = Checksum.of(bytes.span.extracting(64..<80), seed: header.salt)
            bytes.store(integer: check, at: 80)
            try harness.disk.overwrite(Self.layout.staging, bytes)
            let published = try LogInspection.published(harness.environment)
            #expect(published == (isDurable ? 9 : nil))
            let log = try open(harness.disk)
            #expect(log.recovery.corruption == nil && log.readable == 9)
        }
    }

    /// On the real disk, because the bytes between the headers are a hole in the file.
    @Test(arguments: [(StagedCommit.recordsLimit, true), (StagedCommit.recordsLimit + 1, false)])
    func aStagedCommitFitsIntoABlock(length: Int, isTaken: Bool) throws {
        try checkStaged(length: length, isTaken: isTaken)
    }

    /// Longer than any block.
    @Test func aStagedCommitLongerThanABlockIsNone() throws {
        try checkStaged(length: Int(SegmentHeader.rawBlockCap) + 8, isTaken: false)
    }

    private func checkStaged(length: Int, isTaken: Bool) throws {
        let directory = TemporaryDirectory()
        let layout = StoreLayout(root: directory.path)
        let disk = PosixDisk()
        for path in [layout.log, layout.aside] { try disk.createDirectory(path) }
        let environment = LogEnvironment(
            disk: disk, layout: layout, storeID: LogHarness.storeID)
        _ = try Log(opening: environment, options: .small, witnesses: [])
        let file = try disk.open(layout.staging, .readWrite)
        var page = try file.bytes(StagingHeader.pageByteCount)
        let salt = try StagingHeader(decoding: page.span).salt
        let slotSize = (length + 256) & ~7
        page.store(integer: UInt64(slotSize), at: 32)
        page.store(integer: 1 as UInt32, at: 40)
        page.store(integer: Checksum.of(page.span.extracting(0..<56), seed: 0), at: 56)
        page.replaceSubrange(64..<88, with: repeatElement(0, count: 24))
        var slot: [UInt8] = []
        for field in [1, 1] as [UInt64] { slot.append(integer: field) }
        slot.append(integer: Checksum.low(slot.span, seed: salt))
        try file.truncate(to: 0)
        try file.truncate(to: StagingHeader.byteCount + slotSize)
        try file.write((page + page + slot).span, at: 0)
        let commit = Crafted(sequence: 1, count: 1, length: length)
        let staged = Self.staged(commit, salt: salt, generation: 1)
        try file.write(staged.span, at: StagingHeader.byteCount + SlotHeader.byteCount)
        let log = try Log(opening: environment, options: .small, witnesses: [])
        #expect(log.recovery.corruption == nil)
        #expect(log.recovery.commitsFromStaging == (isTaken ? 1 : 0))
        #expect(log.readable == (isTaken ? 1 : 0))
    }

    // MARK: counts

    /// A block of one commit that has so many records of one byte each, and says that it has others.
    private func block(
        _ first: UInt64, count: UInt32, length: Int, chain: inout Chain, salt: UInt64
    ) -> [UInt8] {
        let records = [UInt8](repeating: 1, count: length)
        let time: UInt64 = 1_700_000_000_000
        var raw: [UInt8] = []
        for field in [time, UInt64(count), UInt64(length), 0] { raw.append(varint: field) }
        raw += records
        chain.append(time: time, records: records.span)
        // zstd: one block, stored as it is.
        var packed: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, UInt8(raw.count)]
        packed += [UInt8(raw.count << 3 & 0xFF) | 1, UInt8(raw.count >> 5), 0] + raw
        return BlockHeader(
            kind: .block, firstSequence: first, count: count, flags: [], unsyncedBefore: .max,
            packedLength: UInt32(packed.count), rawLength: UInt32(raw.count), span: 0,
            time: time * 1000, content: Checksum.of(packed.span, seed: salt), chain: chain.value
        ).encoded(salt: salt) + packed
    }

    @Test(arguments: [(8, 8, true), (9, 8, false), (1 << 24, 8, false), (.max, 100, false)])
    func aCommitHasNoMoreRecordsThanBytes(count: UInt32, length: Int, isAccepted: Bool) throws {
        let harness = LogHarness()
        try harness.open()
        harness.crash(.process)
        let header = SegmentHeader(
            kind: .segment, storeID: LogHarness.storeID, salt: 7, base: 1,
            chain: LogHarness.storeID.low, other: 0, created: 0, rawBlockBound: 1 << 20, epoch: 1)
        var chain = Chain(startOf: LogHarness.storeID)
        let bytes = block(1, count: count, length: length, chain: &chain, salt: header.salt)
        try harness.disk.overwrite(Self.layout.segment(1), header.encoded() + bytes)
        let log = try open(harness.disk)
        #expect(log.readable == (isAccepted ? UInt64(count) : 0))
    }

    /// Two blocks, each with half as many records as a block can count, in a segment that is merged with the next one.
    @Test(arguments: [[1 << 31, 1 << 31], [1 << 30, 1 << 30, 1 << 31]] as [[UInt32]])
    func blocksThatClaimMoreRecordsThanOneCanCountAreNotMerged(counts: [UInt32]) throws {
        let harness = LogHarness()
        try harness.open()
        harness.crash(.process)
        var chain = Chain(startOf: LogHarness.storeID)
        var next: UInt64 = 1
        for counts in [counts, [1], [1]] {
            let header = SegmentHeader(
                kind: .segment, storeID: LogHarness.storeID, salt: 7, base: next,
                chain: chain.value, other: 0, created: 0, rawBlockBound: 1 << 20, epoch: 1)
            var bytes = header.encoded()
            var table = SeekTable()
            table.append(compressed: SegmentHeader.byteCount, decompressed: 0)
            for count in counts {
                let block = block(next, count: count, length: 8, chain: &chain, salt: header.salt)
                table.append(compressed: BlockHeader.byteCount, decompressed: 0)
                table.append(compressed: block.count - BlockHeader.byteCount, decompressed: 20)
                bytes += block
                next += UInt64(count)
            }
            table.append(compressed: BlockHeader.byteCount, decompressed: 0)
            let seek = table.encoded()
            bytes +=
                BlockHeader(
                    kind: .footer, firstSequence: next, count: UInt32(counts.count),
                    flags: .footer, unsyncedBefore: 0, packedLength: UInt32(seek.count),
                    rawLength: 0, span: 0, time: 1_700_000_000_000_000,
                    content: Checksum.of(seek.span, seed: header.salt), chain: chain.value
                ).encoded(salt: header.salt) + seek
            try harness.disk.overwrite(Self.layout.segment(header.base), bytes)
        }
        let list = try SegmentList(harness.environment)
        let error = logError {
            try SegmentMerge(harness.environment, options: .small)
                .merge(Array(list.segments.prefix(2)))
        }
        guard case .corrupt(let corruption)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(corruption.reason.contains("impossible commit header"))
    }

    @Test func definitionsBeyondTheirLimitAreNoneOfALog() throws {
        let half = Preamble.byteLimit / 2
        var preamble = Preamble()
        for table in 1...3 as ClosedRange<UInt8> {
            var record: [UInt8] = [Operation.define.rawValue, table, 0]
            record.append(varint: UInt64(half - 16))
            record += [UInt8](repeating: 0x20, count: half - 16)
            var refused = false
            do throws(MalformedRecord) {
                try preamble.note(record.span)
                // A later definition of the same table replaces the first.
                try preamble.note(record.span)
            } catch {
                refused = true
            }
            #expect(refused == (table == 3))
        }
        #expect(preamble.records.count <= Preamble.byteLimit)
    }
}
