/// Writes one snapshot, or one run, row by row in their order.
///
/// The file is complete only after ``finish()``; before that, it has no footer and no reader accepts it. It
/// should have a temporary name until it has been read back.
package final class SnapshotWriter {
    package let head: SnapshotHead
    package let path: String
    /// The number of rows: all records except the first, which holds the schemas.
    package var rowCount: UInt64 { nextRecord + UInt64(recordsInBlock) - 2 }
    /// The file's length so far.
    package private(set) var byteCount = SegmentHeader.byteCount
    private var header: SegmentHeader
    private let file: any DiskFile
    private let compressor: Compressor
    private let blockSize: Int
    private var table = SeekTable()
    private var raw: [UInt8] = []
    private var packed: [UInt8] = []
    private var recordsInBlock: UInt32 = 0
    private var nextRecord: UInt64 = 1
    private var blockCount: UInt32 = 0
    private var chain: UInt64
    private var unsyncedBytes = 0

    /// The file is synced each time after this many bytes, so that one long fsync at the end does not delay
    /// the log's.
    private static let syncStride = 16 << 20

    /// - Parameters:
    ///   - preamble: the schemas of all tables.
    ///   - blockSize: a block is written when it has this many raw bytes.
    package init(
        creating path: String, _ head: SnapshotHead, preamble: Preamble, blockSize: Int,
        compressionLevel: Int, in environment: LogEnvironment
    ) throws(SnapshotError) {
        assert(head.sequence > 0)
        self.head = head
        self.path = path
        self.blockSize = blockSize
        chain = head.chain
        compressor = Compressor(level: compressionLevel)
        header = SegmentHeader(
            kind: .snapshot, storeID: environment.storeID, salt: environment.random(),
            base: head.sequence, chain: head.chain, other: head.previous,
            created: head.created * 1000, rawBlockBound: 0, epoch: 0)
        file = try onFile { () throws(SystemError) in
            try environment.disk.open(path, .createExclusively)
        }
        try onFile { () throws(SystemError) in try file.write(header.encoded().span, at: 0) }
        table.append(compressed: SegmentHeader.byteCount, decompressed: 0)
        let records = preamble.records
        raw.append(contentsOf: [Operation.preamble.rawValue, 0, 0])
        raw.append(varint: UInt64(records.count))
        raw.append(contentsOf: records)
        recordsInBlock = 1
        try writeBlock(flags: .preamble)
    }

    /// Appends a row behind all others.
    package func append(
        _ row: SnapshotRow, key: Span<UInt8>, body: Span<UInt8>
    ) throws(SnapshotError) {
        row.append(to: &raw, key: key, body: body, in: head)
        recordsInBlock += 1
        if raw.count >= blockSize { try writeBlock(flags: []) }
    }

    private func writeBlock(flags: LogFlags) throws(SnapshotError) {
        guard raw.count <= Int(SegmentHeader.rawBlockCap) else {
            throw .damaged(
                path: path, offset: byteCount, reason: "a row of \(raw.count) bytes is too long")
        }
        packed.removeAll(keepingCapacity: true)
        let length = compressor.append(raw.span, to: &packed)
        chain = Checksum.of(raw.span, seed: chain)
        let block = BlockHeader(
            kind: .block, firstSequence: nextRecord, count: recordsInBlock, flags: flags,
            unsyncedBefore: 0, packedLength: UInt32(length), rawLength: UInt32(raw.count), span: 0,
            time: head.time * 1000, content: Checksum.of(packed.span, seed: header.salt),
            chain: chain)
        try write(block.encoded(salt: header.salt) + packed)
        table.append(compressed: BlockHeader.byteCount, decompressed: 0)
        table.append(compressed: length, decompressed: raw.count)
        header.rawBlockBound = max(header.rawBlockBound, UInt32(raw.count))
        blockCount += 1
        nextRecord = block.nextSequence
        recordsInBlock = 0
        raw.removeAll(keepingCapacity: true)
    }

    private func write(_ bytes: [UInt8]) throws(SnapshotError) {
        try onFile { () throws(SystemError) in
            try file.write(bytes.span, at: byteCount)
            unsyncedBytes += bytes.count
            if unsyncedBytes >= Self.syncStride {
                try file.synchronize()
                unsyncedBytes = 0
            }
        }
        byteCount += bytes.count
    }

    /// Writes the last rows, footer and seek table, and the header again, now with its bound.
    ///
    /// - Parameter isDurable: whether to return only once the file survives power loss, except for its name.
    package func finish(isDurable: Bool) throws(SnapshotError) {
        if recordsInBlock > 0 { try writeBlock(flags: []) }
        table.append(compressed: BlockHeader.byteCount, decompressed: 0)
        let seek = table.encoded()
        let footer = BlockHeader(
            kind: .footer, firstSequence: nextRecord, count: blockCount, flags: .footer,
            unsyncedBefore: 0, packedLength: UInt32(seek.count), rawLength: 0, span: 0,
            time: head.time * 1000, content: Checksum.of(seek.span, seed: header.salt),
            chain: chain)
        try write(footer.encoded(salt: header.salt) + seek)
        try onFile { () throws(SystemError) in
            try file.write(header.encoded().span, at: 0)
            if isDurable { try file.synchronize() }
            // The synced file will be read back, and must come from the device.
            if isDurable { file.dropCache() }
        }
    }
}

/// Runs file operations, and turns their errors into those of a snapshot.
@inline(always)
func onFile<T>(_ body: () throws(SystemError) -> T) throws(SnapshotError) -> T {
    do throws(SystemError) {
        return try body()
    } catch {
        throw .system(error)
    }
}
