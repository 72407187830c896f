import EventLog
import TestSupport

/// Decides what recovery must decide, from the bytes of the files and the rules E1, E2 and E4 alone: slow, plain,
/// and apart from the code that it judges, of which it uses the decoders of single headers only.
struct LogOracle {
    private var next: UInt64 = 1
    /// Sequences that something says to have been synced.
    private var synced: UInt64 = 0

    static func judge(_ disk: SimulatedDisk) -> Verdict {
        var oracle = LogOracle()
        guard oracle.readSegments(disk) else { return .corrupt }
        let frames = stagedFrames(disk.readAll(LogHarness.layout.staging) ?? [])
        for frame in frames where frame.first == oracle.next { oracle.next += frame.count }
        let stray = frames.filter { $0.first >= oracle.next }.map(\.synced).max() ?? 0
        return max(oracle.synced, stray) >= oracle.next ? .corrupt : .prefix(end: oracle.next - 1)
    }

    /// False when the rules need no look at staging to see damage.
    private mutating func readSegments(_ disk: SimulatedDisk) -> Bool {
        let paths = LogHarness.segments(on: disk)
        for (index, path) in paths.enumerated() {
            let bytes = disk.readAll(path) ?? []
            let isLast = index == paths.count - 1
            let base = StoreLayout.sequence(ofFileNamed: String(path.suffix(24))) ?? 0
            guard let header = try? SegmentHeader(decoding: bytes.span) else {
                // E4, and E1 for all but the last.
                guard isLast, bytes.count <= SegmentHeader.byteCount else { return false }
                synced = max(synced, base - 1)
                continue
            }
            guard header.base == base, header.storeID == LogHarness.storeID,
                index == 0 || base == next
            else { return false }
            if index == 0 { next = base }
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
            synced = max(synced, block.synced ?? 0)
        }
    }

    private static func block(_ bytes: [UInt8], _ offset: Int, _ salt: UInt64) -> BlockHeader? {
        guard offset + BlockHeader.byteCount <= bytes.count else { return nil }
        return try? BlockHeader(decoding: bytes.span.extracting(offset...), salt: salt)
    }

    private struct FrameFound {
        var first: UInt64
        var count: UInt64
        var synced: UInt64
    }

    /// All valid frames by sequence, from the diagram in StagingFormat.swift.
    private static func stagedFrames(_ bytes: [UInt8]) -> [FrameFound] {
        guard let header = try? StagingHeader(decoding: bytes.span),
            header.storeID == LogHarness.storeID
        else { return [] }
        var frames: [FrameFound] = []
        for slot in 0..<header.slotCount {
            let start = StagingHeader.byteCount + slot * header.slotSize
            let end = start + header.slotSize
            guard end <= bytes.count, integer(bytes, start + 16, 4) == check(bytes, start, header)
            else { continue }
            let base = integer(bytes, start, 8)
            let generation = integer(bytes, start + 8, 8)
            var offset = start + 64
            while offset + 28 <= end {
                let length = Int(integer(bytes, offset, 4))
                let seed =
                    header.salt ^ (generation &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(length) << 32)
                let covered = offset + 8..<max(offset + 8, min(end, offset + 28 + length))
                let sum = Checksum.low(bytes.span.extracting(covered), seed: seed)
                guard length > 0, offset + 28 + length <= end,
                    integer(bytes, offset + 4, 4) == UInt64(sum)
                else {
                    offset += 8
                    continue
                }
                let first = base + (integer(bytes, offset + 12, 4) - base & 0xFFFF_FFFF)
                frames.append(
                    FrameFound(
                        first: first, count: integer(bytes, offset + 16, 3),
                        synced: first - 1 - integer(bytes, offset + 8, 4)))
                offset += (28 + length + 7) / 8 * 8
            }
        }
        return frames.sorted { $0.first < $1.first }
    }

    private static func check(_ bytes: [UInt8], _ start: Int, _ header: StagingHeader) -> UInt64 {
        let isUsed = integer(bytes, start, 8) > 0 && integer(bytes, start + 8, 8) > 0
        let sum = Checksum.low(bytes.span.extracting(start..<start + 16), seed: header.salt)
        return isUsed ? UInt64(sum) : .max
    }

    private static func integer(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
    }
}
