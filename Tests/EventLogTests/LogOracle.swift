import EventLog
import TestSupport

/// Decides what recovery must decide, from the bytes of the files and the rules E1, E2 and E4 to E7 alone: slow,
/// plain, and apart from the code that it judges, of which it uses the decoders of single headers only.
struct LogOracle {
    private var next: UInt64 = 1
    /// Sequences that something says to have been synced.
    private var durable: UInt64 = 0
    /// The highest epoch in the segments.
    private var epoch: UInt64 = 0
    private var isUnsupported = false

    static func judge(_ disk: SimulatedDisk) -> Verdict {
        var oracle = LogOracle()
        let start = oracle.edge(.start, disk.readAll(LogHarness.layout.logStart))
        let cleanEnd = oracle.edge(.cleanEnd, disk.readAll(LogHarness.layout.cleanEnd))
        guard oracle.readSegments(disk, deleted: start?.sequence ?? 0) else {
            return oracle.isUnsupported ? .unsupported : .corrupt
        }
        let bytes = disk.readAll(LogHarness.layout.staging)
        let staging = bytes.flatMap(StagedBytes.init)
        for commit in staging?.commits ?? [] where commit.isWhole && commit.first == oracle.next {
            oracle.next += commit.count
        }
        let isClosed = cleanEnd.map { bytes == nil || $0.epoch >= staging?.epoch ?? .max } ?? false
        let stray =
            (staging?.commits ?? []).filter { $0.first >= oracle.next || !$0.isWhole }
            .map(\.durable).max() ?? 0
        let proven = [
            oracle.durable, isClosed ? 0 : max(stray, staging?.durable ?? 0), start?.sequence ?? 0,
            cleanEnd?.sequence ?? 0,
        ]
        let end = oracle.next - 1
        guard proven.allSatisfy({ $0 <= end }) else { return .corrupt }
        // E7, by the table of what is there.
        let isNew =
            bytes == nil && disk.readAll(LogHarness.layout.cleanEnd) == nil
            && LogHarness.segments(on: disk).isEmpty
        let isOpen = staging.map { $0.epoch >= max(oracle.epoch, cleanEnd?.epoch ?? 0) } ?? false
        guard isNew || isOpen || isClosed && cleanEnd?.sequence == end else { return .corrupt }
        return .prefix(end: end)
    }

    private func edge(_ kind: LogEdge.Kind, _ bytes: [UInt8]?) -> LogEdge? {
        guard let bytes, let edge = try? LogEdge(kind, decoding: bytes.span) else { return nil }
        return edge.storeID == LogHarness.storeID ? edge : nil
    }

    /// False when the rules need no look at staging to see damage.
    private mutating func readSegments(_ disk: SimulatedDisk, deleted: UInt64) -> Bool {
        let paths = LogHarness.segments(on: disk)
        for (index, path) in paths.enumerated() {
            let bytes = disk.readAll(path) ?? []
            let isLast = index == paths.count - 1
            let base = StoreLayout.sequence(ofFileNamed: String(path.suffix(24))) ?? 0
            let header: SegmentHeader
            do throws(FormatFault) {
                header = try SegmentHeader(decoding: bytes.span)
            } catch {
                isUnsupported = error.isNewer
                // E4, and E1 for all but the last.
                guard !error.isNewer, isLast, bytes.count <= SegmentHeader.byteCount else {
                    return false
                }
                durable = max(durable, base - 1)
                continue
            }
            guard header.base == base, header.storeID == LogHarness.storeID,
                index == 0 ? base <= deleted + 1 : base == next
            else { return false }
            if index == 0 { next = base }
            epoch = max(epoch, header.epoch)
            let (end, isSealed) = walk(bytes, header)
            if isSealed { continue }
            // E1: another segment is made only when this one has been sealed.
            guard isLast || isHeaderless(paths[index + 1], disk, isLast: index == paths.count - 2)
            else { return false }
            searchWitness(bytes, from: end, header.salt)
        }
        return true
    }

    private func isHeaderless(_ path: String, _ disk: SimulatedDisk, isLast: Bool) -> Bool {
        let bytes = disk.readAll(path) ?? []
        return isLast && bytes.count <= SegmentHeader.byteCount
            && (try? SegmentHeader(decoding: bytes.span)) == nil
    }

    /// Walks blocks to the first that fails a check.
    private mutating func walk(_ bytes: [UInt8], _ header: SegmentHeader) -> (Int, Bool) {
        var offset = SegmentHeader.byteCount
        var blocks: UInt32 = 0
        while let block = Self.block(bytes, offset, header.salt) {
            if block.kind == .footer {
                let matches = block.firstSequence == next && block.count == blocks
                return (offset, matches)
            }
            let start = offset + BlockHeader.byteCount
            let end = start + Int(block.packedLength)
            guard block.firstSequence == next, end <= bytes.count,
                Checksum.of(bytes.span.extracting(start..<end), seed: header.salt) == block.content
            else { break }
            next = block.nextSequence
            blocks += 1
            offset = end
        }
        return (offset, false)
    }

    /// E2, and E1 for a footer, which says that everything before it had been synced.
    private mutating func searchWitness(_ bytes: [UInt8], from start: Int, _ salt: UInt64) {
        for offset in start..<max(start, bytes.count) {
            guard let block = Self.block(bytes, offset, salt) else { continue }
            durable = max(durable, block.durable ?? 0)
        }
    }

    private static func block(_ bytes: [UInt8], _ offset: Int, _ salt: UInt64) -> BlockHeader? {
        guard offset + BlockHeader.byteCount <= bytes.count else { return nil }
        return try? BlockHeader(decoding: bytes.span.extracting(offset...), salt: salt)
    }
}

/// A staging file, read by the diagram in StagingFormat.swift.
private struct StagedBytes {
    struct StagedCommit {
        var first: UInt64
        var count: UInt64
        var durable: UInt64
        /// Its records match their checksum, too.
        var isWhole: Bool
    }

    /// By sequence.
    var commits: [StagedCommit] = []
    /// The last durable sequence that the header page says; 0 if it says nothing.
    var durable: UInt64 = 0
    var epoch: UInt64
    private let bytes: [UInt8]
    private let salt: UInt64

    init?(_ bytes: [UInt8]) {
        guard let header = try? StagingHeader(decoding: bytes.span),
            header.storeID == LogHarness.storeID,
            bytes.count >= 8192 + header.slotCount * header.slotSize
        else { return nil }
        self.bytes = bytes
        salt = header.salt
        epoch = header.epoch
        if Checksum.of(bytes.span.extracting(64..<80), seed: salt) == integer(80, 8) {
            durable = integer(72, 8)
        }
        for slot in 0..<header.slotCount {
            let start = 8192 + slot * header.slotSize
            readCommits(start, end: start + header.slotSize - 64)
        }
        commits.sort { $0.first < $1.first }
    }

    private mutating func readCommits(_ start: Int, end: Int) {
        let heads = [start, end].filter { integer($0, 8) > 0 && integer($0 + 8, 8) > 0 }
            .filter { at in
                UInt64(Checksum.low(bytes.span.extracting(at..<at + 16), seed: salt))
                    == integer(at + 16, 4)
            }
        guard let head = heads.max(by: { integer($0 + 8, 8) < integer($1 + 8, 8) }) else { return }
        let (base, generation) = (integer(head, 8), integer(head + 8, 8))
        var offset = start + 64
        while offset + 32 <= end {
            let length = integer(offset, 4)
            let seed = salt ^ (generation &* 0x9E37_79B9_7F4A_7C15) ^ (length << 32)
            let after = offset + 32 + Int(length)
            guard length > 0, after <= end, check(offset + 8..<offset + 32, seed, offset + 4)
            else {
                offset += 8
                continue
            }
            let first = base + (integer(offset + 16, 4) - base & 0xFFFF_FFFF)
            commits.append(
                StagedCommit(
                    first: first, count: integer(offset + 20, 3),
                    durable: first - 1 - integer(offset + 12, 4),
                    isWhole: check(offset + 32..<after, seed, offset + 8)))
            offset = (after + 7) / 8 * 8
        }
    }

    private func check(_ range: Range<Int>, _ seed: UInt64, _ at: Int) -> Bool {
        UInt64(Checksum.low(bytes.span.extracting(range), seed: seed)) == integer(at, 4)
    }

    private func integer(_ start: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
    }
}
