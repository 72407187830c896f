/// A segment as its two ends describe it.
package struct SegmentSummary: Equatable, Sendable {
    package var header: SegmentHeader
    package var path: String
    package var byteCount: Int
    /// nil for a segment without a (whole) footer: the active one, or one that a crash left.
    package var footer: BlockHeader?
    /// The sequence behind its last one; nil for the last segment as long as it has no footer.
    package var nextSequence: UInt64?
    /// The chain value after its last record, known with ``nextSequence``.
    package var nextChain: UInt64?
    /// The time of its last block, milliseconds since 1970. Without a footer, it is the time when the next segment
    /// was created.
    package var lastTime: UInt64?

    package var base: UInt64 { header.base }
}

/// The segments of a log, and the leftovers of an interrupted merge.
///
/// Merging (SegmentMerge.swift) replaces the first of several segments by one long segment, then removes
/// the others. Until they are removed they are leftovers: their sequences are on disk twice. A leftover is
/// recognized by evidence, not by its place: it is sealed, all of its sequences are in the
/// segment before it, and both have the same history.
package struct SegmentList: Sendable {
    /// In order, without leftovers.
    package private(set) var segments: [SegmentSummary] = []
    /// The bases of leftovers.
    package private(set) var leftovers: [UInt64] = []

    package init(_ environment: LogEnvironment) throws(LogError) {
        try self.init(environment, bases: try LogReader.segmentBases(environment))
    }

    /// - Parameter bases: the segments to read, ascending. Segments without a valid header are left out.
    init(_ environment: LogEnvironment, bases: [UInt64]) throws(LogError) {
        var last: SegmentReader?
        for base in bases {
            let path = environment.layout.segment(base)
            guard case .opened(let reader) = try SegmentReader.open(path, on: environment.disk),
                reader.header.base == base, reader.header.kind == .segment,
                reader.header.storeID == environment.storeID
            else { continue }
            let footer = try reader.footer()?.header
            if let last, let footer, let end = segments.last?.footer?.firstSequence,
                base < end, try Self.holds(last, reader.header, footer)
            {
                leftovers.append(base)
                continue
            }
            close(before: reader.header)
            segments.append(
                SegmentSummary(
                    header: reader.header, path: path, byteCount: try reader.byteCount(),
                    footer: footer, nextSequence: footer?.firstSequence, nextChain: footer?.chain,
                    lastTime: footer.map { $0.time / 1000 }))
            last = reader
        }
    }

    /// If a segment's footer cannot be read, it ends where the next one starts.
    private mutating func close(before next: SegmentHeader) {
        guard let index = segments.indices.last, segments[index].nextSequence == nil else { return }
        segments[index].nextSequence = next.base
        segments[index].nextChain = next.chain
        segments[index].lastTime = next.created / 1000
    }

    /// Whether a segment holds the whole history of another one, judged by its ends.
    private static func holds(
        _ segment: SegmentReader, _ header: SegmentHeader, _ footer: BlockHeader
    ) throws(LogError) -> Bool {
        let count = try segment.byteCount()
        var offset = SegmentHeader.byteCount
        var chain = segment.header.chain
        var hasStart = false
        while case .block(let block) = try segment.item(at: offset, fileByteCount: count) {
            if block.firstSequence == header.base {
                guard chain == header.chain else { return false }
                hasStart = true
            }
            if block.nextSequence == footer.firstSequence {
                return hasStart && block.chain == footer.chain
            }
            offset += BlockHeader.byteCount + Int(block.packedLength)
            chain = block.chain
        }
        return false
    }

    /// How many bytes of blocks the log holds behind a sequence.
    package static func byteCount(
        after sequence: UInt64, _ environment: LogEnvironment
    ) throws(LogError) -> Int {
        var place: BlockPlace?
        return try byteCount(after: sequence, from: &place, environment)
    }

    /// The same for a caller that asks often: the segment with the sequence is walked only once, because `place` keeps
    /// where the sequence ends in it.
    package static func byteCount(
        after sequence: UInt64, from place: inout BlockPlace?, _ environment: LogEnvironment
    ) throws(LogError) -> Int {
        let bases = try LogReader.segmentBases(environment)
        var total = 0
        for base in bases where base > sequence {
            total += try onDisk { () throws(SystemError) in
                try environment.disk.open(environment.layout.segment(base), .read).byteCount()
            }
        }
        guard let base = bases.last(where: { $0 <= sequence }),
            case .opened(let segment) = try SegmentReader.open(
                environment.layout.segment(base), on: environment.disk)
        else { return total }
        let count = try segment.byteCount()
        // Merging makes a segment anew, and takes away the one behind it.
        let next = bases.first { $0 > base }
        if place?.sequence != sequence || place?.base != base || place?.next != next {
            place = BlockPlace(
                sequence: sequence, base: base, next: next,
                offset: try segment.end(of: sequence, fileByteCount: count))
        }
        return total + max(0, count - (place?.offset ?? count))
    }
}

/// The place in a segment where the blocks begin that are behind a sequence.
package struct BlockPlace: Sendable {
    fileprivate var sequence: UInt64
    fileprivate var base: UInt64
    /// The base of the next segment; nil if there is none.
    fileprivate var next: UInt64?
    fileprivate var offset: Int
}

extension SegmentReader {
    /// The offset of the first block that reaches beyond a sequence, or of the end of the blocks.
    fileprivate func end(of sequence: UInt64, fileByteCount: Int) throws(LogError) -> Int {
        var offset = SegmentHeader.byteCount
        while case .block(let block) = try item(at: offset, fileByteCount: fileByteCount),
            block.nextSequence - 1 <= sequence
        {
            offset += BlockHeader.byteCount + Int(block.packedLength)
        }
        return offset
    }
}
