/// Reads one snapshot, or one run, row by row, in the order of tables and keys, and checks everything it reads.
///
/// Memory holds one block. Opening checks header, schemas and footer. Reading to the end checks the whole
/// file: ``next()`` returns false only after the last row of a file without any fault.
package final class SnapshotReader {
    package let head: SnapshotHead
    /// The schemas of all tables.
    package let preamble: Preamble
    package let rowCount: UInt64
    package let byteCount: Int
    /// The block that is being read, at the row that the last ``next()`` went to.
    package private(set) var rows = SnapshotBlock()
    private let file: SegmentReader
    private let footer: BlockHeader
    private let isRun: Bool
    private let firstOffset: Int
    private let firstChain: UInt64
    private let decompressor = Decompressor()
    private var offset: Int
    private var nextRecord: UInt64 = 2
    private var blocksRead: UInt32 = 1
    private var chain: UInt64
    private var isAtEnd = false

    package var path: String { file.path }

    /// - Parameter isRun: whether patches and deletes are allowed, too.
    package init(
        opening path: String, isRun: Bool = false, in environment: LogEnvironment
    ) throws(SnapshotError) {
        let opening = try SnapshotOpening(path, environment)
        file = opening.file
        head = opening.head
        preamble = opening.preamble
        footer = opening.footer
        byteCount = opening.byteCount
        rowCount = opening.footer.firstSequence - 2
        offset = opening.firstOffset
        firstOffset = opening.firstOffset
        chain = opening.chain
        firstChain = opening.chain
        self.isRun = isRun
    }

    /// Goes to the next row; false behind the last.
    package func next() throws(SnapshotError) -> Bool {
        while rows.rowsLeft == 0 {
            guard !isAtEnd else { return false }
            try nextBlock()
        }
        if let fault = rows.next(in: head, isRun: isRun) { throw damaged(fault) }
        return true
    }

    /// The row that the last ``next()`` went to.
    package var row: SnapshotRow { rows.row }

    /// Hands out the row's key, in place.
    @inline(__always)
    package func withKey<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let rows = self.rows
        return try body(rows.payload.span.extracting(rows.key))
    }

    /// Hands out the row's body, in place.
    @inline(__always)
    package func withBody<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let rows = self.rows
        return try body(rows.payload.span.extracting(rows.body))
    }

    private func nextBlock() throws(SnapshotError) {
        switch try item(at: offset) {
        case .block(let block):
            guard block.firstSequence == nextRecord else {
                throw damaged("a block is missing or is here twice")
            }
            try load(block, continuing: true)
            chain = Checksum.of(rows.payload.span, seed: chain)
            guard chain == block.chain else {
                throw damaged("the block does not continue the ones before it")
            }
            nextRecord = block.nextSequence
            blocksRead += 1
            offset += BlockHeader.byteCount + Int(block.packedLength)
        case .footer(let footer):
            try end(footer)
        case .end: throw damaged("the file ends early")
        case .damaged(let reason): throw damaged(reason)
        }
    }

    private func end(_ found: BlockHeader) throws(SnapshotError) {
        guard found == footer, footer.firstSequence == nextRecord, footer.chain == chain,
            footer.count == blocksRead
        else { throw damaged("the footer does not match the blocks before it") }
        guard offset + BlockHeader.byteCount + Int(footer.packedLength) == byteCount else {
            throw damaged("the footer is not the file's end")
        }
        guard try reading({ () throws(LogError) in try file.seekTable(footer, at: offset) }) != nil
        else { throw damaged("the seek table is damaged") }
        isAtEnd = true
    }

    private func load(_ block: BlockHeader, continuing: Bool) throws(SnapshotError) {
        guard
            let packed = try reading({ () throws(LogError) in try file.packed(block, at: offset) })
        else { throw damaged("the block's content does not match its checksum") }
        guard rows.load(block, packed.span, continuing: continuing, decompressor)
        else { throw damaged("the block is no valid zstd frame") }
    }

    private func item(at offset: Int) throws(SnapshotError) -> SegmentReader.Item {
        try reading { () throws(LogError) in
            try file.item(at: offset, fileByteCount: byteCount)
        }
    }

    private func damaged(_ reason: String) -> SnapshotError {
        .damaged(path: path, offset: offset, reason: reason)
    }
}

extension SnapshotReader {
    /// Goes to the row with this key; false if there is none. It bisects the blocks, and checks only those
    /// that it reads. ``next()`` must not be called afterwards.
    package func find(_ table: UInt32, _ key: Span<UInt8>) throws(SnapshotError) -> Bool {
        let end = byteCount - BlockHeader.byteCount - Int(footer.packedLength)
        guard let seek = try reading({ () throws(LogError) in try file.seekTable(footer, at: end) })
        else { throw damaged("the seek table is damaged") }
        let offsets = seek.blockOffsets.dropFirst()  // the head
        var low = offsets.startIndex
        var high = offsets.endIndex
        while low < high {
            let middle = (low + high) / 2
            try open(blockAt: offsets[middle])
            let isBehind = try next() && !precedesOrIsRow(table, key)
            if isBehind { high = middle } else { low = middle + 1 }
        }
        guard low > offsets.startIndex else { return false }
        try open(blockAt: offsets[low - 1])
        while rows.rowsLeft > 0, try next(), precedesOrIsRow(table, key) {
            if row.table == table, withKey({ !$0.precedes(key) }) { return true }
        }
        return false
    }

    /// Whether the current row has this key or comes before it.
    private func precedesOrIsRow(_ table: UInt32, _ key: Span<UInt8>) -> Bool {
        row.table < table || row.table == table && withKey { !key.precedes($0) }
    }

    private func open(blockAt offset: Int) throws(SnapshotError) {
        self.offset = offset
        guard case .block(let block) = try item(at: offset) else {
            throw damaged("no block is where the seek table says")
        }
        try load(block, continuing: false)
    }
}

/// Runs reads of a snapshot, and turns the log's errors into those of a snapshot.
func reading<T>(_ body: () throws(LogError) -> T) throws(SnapshotError) -> T {
    do throws(LogError) {
        return try body()
    } catch {
        throw SnapshotError(error)
    }
}

extension SnapshotError {
    /// The reader of a file throws only errors of the disk.
    init(_ error: LogError) {
        switch error {
        case .system(let cause), .diskFull(let cause), .poisoned(let cause), .fenced(let cause):
            self = .system(cause)
        case .closed: self = .system(SystemError(fenceAt: "the store", .closed))
        default: self = .damaged(path: "", offset: 0, reason: "\(error)")
        }
    }
}
