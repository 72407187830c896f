import EventLog
import Glibc
import TestSupport
import Testing

/// Files that claim to be long cost no more than the format allows.
@Suite struct HostileFileTests {
    private static let salt: UInt64 = 7

    private func block(
        _ kind: BlockHeader.Kind, count: UInt32 = 1, raw: UInt32, packed: UInt32
    ) -> [UInt8] {
        BlockHeader(
            kind: kind, firstSequence: 10, count: count, flags: kind == .footer ? .footer : [],
            unsyncedBefore: 0, packedLength: packed, rawLength: raw, span: 0, time: 0, content: 0,
            chain: 0
        ).encoded(salt: Self.salt)
    }

    private func fault(_ bytes: [UInt8]) -> FormatFault? {
        do throws(FormatFault) {
            _ = try BlockHeader(decoding: bytes.span, salt: Self.salt)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [1, 100, 65536, 1 << 20, 64 << 20] as [UInt32])
    func aBlockIsNotLongerPackedThanZstdMakesIt(raw: UInt32) {
        let bound = raw + raw / 256 + 64
        #expect(fault(block(.block, raw: raw, packed: bound)) == nil)
        for packed in [bound + 1, 3 << 30, .max] {
            #expect(
                fault(block(.block, raw: raw, packed: packed))
                    == .outOfRange(field: "packed length"))
        }
    }

    @Test(arguments: [1, 2, 1000] as [UInt32])
    func aSeekTableHasTwoEntriesForEachBlock(count: UInt32) {
        let bound = (2 * count + 2) * 8 + 17
        #expect(fault(block(.footer, count: count, raw: 0, packed: bound)) == nil)
        #expect(
            fault(block(.footer, count: count, raw: 0, packed: bound + 1))
                == .outOfRange(field: "packed length"))
    }

    @Test func aFooterCountsNoMoreBlocksThanStandBeforeIt() throws {
        let harness = try StoreShape.severalSegments.made()
        let path = try #require(harness.segments.first)
        guard case .opened(let segment) = try SegmentReader.open(path, on: harness.disk),
            let (footer, offset) = try segment.footer()
        else {
            Issue.record("the segment is sealed")
            return
        }
        var claim = footer
        claim.count = 1 << 27
        claim.packedLength = (2 * claim.count + 2) * 8 + 17
        let bytes = try #require(harness.disk.readAll(path))
        let crafted = bytes[..<offset] + claim.encoded(salt: segment.header.salt)
        try harness.disk.overwrite(path, Array(crafted))
        guard case .opened(let again) = try SegmentReader.open(path, on: harness.disk) else {
            return
        }
        let item = try again.item(at: offset, fileByteCount: crafted.count)
        #expect(item == .damaged(reason: "the footer counts blocks that are not there"))
    }

    // MARK: sparse files

    private let directory = TemporaryDirectory()
    private var layout: StoreLayout { StoreLayout(root: directory.path) }
    private static let length = 4 << 30

    private func open() throws -> Log {
        for path in [layout.log, layout.aside] { try PosixDisk().createDirectory(path) }
        let environment = LogEnvironment(
            disk: PosixDisk(), layout: layout, storeID: LogHarness.storeID)
        return try Log(opening: environment, options: .small, witnesses: [])
    }

    /// A log with a commit that was not synced.
    private func fill() throws {
        let log = try open()
        let records = LogHarness.records(unique: 1, count: 1, byteCount: 50)
        _ = try records.withUnsafeBytes {
            try log.append($0, count: 1, flags: [], time: 1_700_000_000_000)
        }
    }

    private func blocks(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }

    @Test func ofAStagingFileThatGrewOnlyItsSlotsAreRead() throws {
        try fill()
        try PosixDisk().open(layout.staging, .readWrite).truncate(to: Self.length)
        let log = try open()
        #expect(log.recovery.commitsFromStaging == 1)
        #expect(log.lastSequence == 1)
    }

    /// It is empty: it is kept as a file of zeros, which takes no room.
    @Test func whatIsKeptOfAnEmptyFileTakesNoRoom() throws {
        try fill()
        try open().close()
        let file = try PosixDisk().create(layout.staging, [1, 2, 3])
        let length = 256 << 20
        try file.truncate(to: length)
        let log = try open()
        let kept = try #require(log.recovery.cutOff.first)
        #expect(try PosixDisk().byteCount(of: kept) == length)
        #expect(try PosixDisk().open(kept, .read).read(4) == [1, 2, 3, 0])
        #expect(blocks(kept) < 4 << 20, "\(blocks(kept))")
    }
}
