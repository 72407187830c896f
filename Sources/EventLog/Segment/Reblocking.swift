/// Copies the blocks of a segment into another one, and joins short neighbours into one block.
///
/// Measured on a lightly loaded log (`SegmentMergeTests`): 2,000 commits of one well compressible row of
/// about 90 bytes, each synced alone and so a block of its own, took 282,560 bytes, and 12,851 afterwards:
/// alone, a commit costs the block's header and zstd finds nothing to refer to.
struct Reblocking {
    private let scan: SegmentScan
    private let writer: SegmentWriter
    private let keepsPreamble: Bool
    /// A block whose payload has at least this many bytes is long enough. Together with a short one it stays below the
    /// limit in the segment's header.
    private let target: Int
    private let compressor: Compressor
    private var builder = BlockBuilder()
    private var loader = BlockLoader()
    private var chain: UInt64
    private var durable: UInt64 = 0

    /// - Parameter keepsPreamble: whether the segment is the first in the new file. The others need no preamble there.
    init(
        _ scan: SegmentScan, to writer: SegmentWriter, _ options: LogOptions, keepsPreamble: Bool
    ) {
        self.scan = scan
        self.writer = writer
        self.keepsPreamble = keepsPreamble
        target = min(options.blockSize, Int(writer.header.rawBlockBound) / 4)
        compressor = Compressor(level: options.compressionLevel)
        chain = scan.segment.header.chain
    }

    /// Copies everything. The last block ends where the segment ends, so that this stays a boundary between two blocks.
    mutating func run() throws(LogError) {
        for found in scan.blocks {
            let isFirst = found.offset == SegmentHeader.byteCount
            if Int(found.header.rawLength) <= target / 2, !(isFirst && keepsPreamble) {
                try gather(found)
            } else {
                try flush()
                try writer.append(found, of: scan.segment)
            }
            chain = found.header.chain
        }
        try flush()
    }

    private mutating func gather(_ found: SegmentScan.Found) throws(LogError) {
        let fault = try loader.load(
            found.header, at: found.offset, of: scan.segment, chainBefore: chain)
        guard fault == nil else { throw readsDifferently }
        if builder.isEmpty { durable = found.header.durable ?? 0 }
        let payload = loader.payload
        do throws(MalformedRecord) {
            var commits = try CommitCursor(found.header, payload.span)
            while let commit = try commits.next(payload.span) {
                builder.append(
                    commit, payload.span.extracting(commit.records), of: found.header)
            }
        } catch {
            throw readsDifferently
        }
        guard builder.rawByteCount >= target else { return }
        chain = found.header.chain
        try flush()
    }

    private mutating func flush() throws(LogError) {
        guard !builder.isEmpty else { return }
        var packed: [UInt8] = []
        let header = builder.pack(
            chain: chain, durable: durable, salt: writer.header.salt, using: compressor,
            into: &packed)
        try writer.append(packed.span, header)
    }

    /// The error if bytes changed since the segment was checked.
    private var readsDifferently: LogError { .readsDifferently(path: scan.segment.path) }
}
