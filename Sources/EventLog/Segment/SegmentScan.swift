/// One segment, read from its start to its end, with all checks.
struct SegmentScan {
    struct Found {
        var header: BlockHeader
        var offset: Int
    }

    let segment: SegmentReader
    private(set) var blocks: [Found] = []
    /// The end of the last good block, or of the footer and seek table.
    private(set) var end = SegmentHeader.byteCount
    private(set) var chain: UInt64
    private(set) var nextSequence: UInt64
    private(set) var preamble = Preamble()
    /// Milliseconds since 1970.
    private(set) var lastTime: UInt64 = 0
    private(set) var isSealed = false
    /// The fault at ``end``, where a block should be; nil if the file ends there or is sealed.
    private(set) var fault: String?
    let fileByteCount: Int

    /// The end of the last good block.
    var blocksEnd: Int {
        blocks.last.map { $0.offset + BlockHeader.byteCount + Int($0.header.packedLength) }
            ?? SegmentHeader.byteCount
    }

    init(_ segment: SegmentReader) throws(LogError) {
        self.segment = segment
        chain = segment.header.chain
        nextSequence = segment.header.base
        fileByteCount = try segment.byteCount()
        var loader = BlockLoader()
        while fault == nil, !isSealed, end < fileByteCount {
            try step(&loader)
        }
    }

    /// Reads back a sealed segment that was just written, and checks that it is complete.
    static func verify(
        _ path: String, nextSequence: UInt64, chain: UInt64, on disk: any Disk
    ) throws(LogError) {
        guard case .opened(let segment) = try SegmentReader.open(path, on: disk) else {
            throw .readsDifferently(path: path)
        }
        let scan = try SegmentScan(segment)
        guard scan.isSealed, scan.fault == nil, scan.nextSequence == nextSequence,
            scan.chain == chain
        else { throw .readsDifferently(path: path) }
    }

    private mutating func step(_ loader: inout BlockLoader) throws(LogError) {
        switch try segment.item(at: end, fileByteCount: fileByteCount) {
        case .block(let header):
            guard header.firstSequence == nextSequence else {
                fault =
                    "a block with sequence \(header.firstSequence) is in the place of "
                    + "\(nextSequence)"
                return
            }
            fault = try loader.load(header, at: end, of: segment, chainBefore: chain)
            if fault == nil, loader.firstTime < lastTime {
                fault = "the block is older than the one before it"
            }
            if fault == nil { try take(header, loader) }
        case .footer(let footer):
            guard footer.firstSequence == nextSequence, footer.chain == chain,
                Int(footer.count) == blocks.count
            else {
                fault = "the footer does not match the blocks before it"
                return
            }
            isSealed = true
            let footerOffset = end
            let sealedEnd = end + BlockHeader.byteCount + Int(footer.packedLength)
            end = min(sealedEnd, fileByteCount)
            if sealedEnd > fileByteCount {
                fault = "the seek table is cut short"
            } else if try segment.seekTable(footer, at: footerOffset) == nil {
                fault = "the seek table is damaged"
            } else if sealedEnd < fileByteCount {
                fault = "there are bytes behind the seek table"
            }
        case .end:
            fault = "the segment ends early"
        case .damaged(let reason):
            fault = reason
        }
    }

    private mutating func take(_ header: BlockHeader, _ loader: BlockLoader) throws(LogError) {
        if !header.flags.isDisjoint(with: [.preamble, .define]) {
            do throws(MalformedRecord) {
                try note(header, loader.payload.span)
            } catch {
                fault = "the block holds no valid records: \(error.reason)"
                return
            }
        }
        blocks.append(Found(header: header, offset: end))
        end += BlockHeader.byteCount + Int(header.packedLength)
        chain = header.chain
        nextSequence = header.nextSequence
        lastTime = header.time / 1000
    }

    private mutating func note(
        _ header: BlockHeader, _ payload: Span<UInt8>
    ) throws(MalformedRecord) {
        var commits = try CommitCursor(header, payload)
        if let range = commits.preamble {
            preamble = try Preamble(decoding: payload.extracting(range))
        }
        guard header.flags.contains(.define) else { return }
        while let commit = try commits.next(payload) {
            // Any commit of the block may define a table. Records behind a good checksum that cannot be read define
            // nothing; the code that applies them reports it.
            try? preamble.note(payload.extracting(commit.records))
        }
    }
}
