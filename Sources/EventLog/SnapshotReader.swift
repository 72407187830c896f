/// Reads one snapshot, or one run, row by row, in the order of tables and keys, and checks all that it reads.
///
/// Memory is that of one block. Opening checks header, schemas and footer; reading to the end checks the whole
/// file: ``next()`` returns false only after the last row of a file in which nothing is wrong.
package final class SnapshotReader {
    package let head: SnapshotHead
    /// The schemas of all tables.
    package let preamble: Preamble
    package let rowCount: UInt64
    package let byteCount: Int
    /// The row that the last ``next()`` went to.
    package private(set) var row = SnapshotRow(operation: .put, table: 0, sequence: 0, time: 0)
    private let file: SegmentReader
    private let footer: BlockHeader
    private let isRun: Bool
    private let firstOffset: Int
    private let firstChain: UInt64
    private let decompressor = Decompressor()
    private var payload: [UInt8]
    private var rows = ByteReader(0..<0)
    private var rowsLeft: UInt32 = 0
    private var key = 0..<0
    private var body = 0..<0
    private var lastTable: UInt32 = 0
    private var lastKey: [UInt8] = []
    private var offset: Int
    private var nextRecord: UInt64 = 2
    private var blocksRead: UInt32 = 1
    private var chain: UInt64
    private var isAtEnd = false

    package var path: String { file.path }

    /// - Parameter isRun: whether patches and deletes are in order, too.
    package init(
        opening path: String, isRun: Bool = false, in environment: LogEnvironment
    ) throws(SnapshotError) {
        let opening = try SnapshotOpening(path, environment)
        file = opening.file
        head = opening.head
        preamble = opening.preamble
        footer = opening.footer
        byteCount = opening.byteCount
        payload = []
        rowCount = opening.footer.firstSequence - 2
        offset = opening.firstOffset
        firstOffset = opening.firstOffset
        chain = opening.chain
        firstChain = opening.chain
        self.isRun = isRun
    }

    /// Goes to the next row; false behind the last.
    package func next() throws(SnapshotError) -> Bool {
        while rowsLeft == 0 {
            guard !isAtEnd else { return false }
            try nextBlock()
        }
        do throws(MalformedRecord) {
            let (row, record) = try SnapshotRow.decode(&rows, payload.span, in: head)
            self.row = row
            key = record.key
            body = record.body
        } catch {
            throw damaged("it holds no valid row: \(error.reason)")
        }
        rowsLeft -= 1
        if rowsLeft == 0, !rows.isAtEnd { throw damaged("bytes follow the block's last row") }
        try check()
        return true
    }

    /// Rows ascend, and they are rows.
    private func check() throws(SnapshotError) {
        switch row.operation {
        case .put: break
        case .patch where isRun, .delete where isRun: break
        default: throw damaged("a \(row.operation) stands where a row belongs")
        }
        let payload = self.payload
        let key = payload.span.extracting(self.key)
        var last: [UInt8] = []
        swap(&last, &lastKey)
        guard
            row.table > lastTable
                || row.table == lastTable && (last.isEmpty || last.span.precedes(key))
        else { throw damaged("rows are out of order") }
        lastTable = row.table
        last.removeAll(keepingCapacity: true)
        unsafe key.withUnsafeBufferPointer { unsafe last.append(contentsOf: $0) }
        swap(&last, &lastKey)
    }

    /// Hands out the row's key, in place.
    @inline(__always)
    package func withKey<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let payload = self.payload
        return try body(payload.span.extracting(key))
    }

    /// Hands out the row's body, in place.
    @inline(__always)
    package func withBody<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let payload = self.payload
        return try body(payload.span.extracting(self.body))
    }

    private func nextBlock() throws(SnapshotError) {
        switch try item(at: offset) {
        case .block(let block):
            guard block.firstSequence == nextRecord else {
                throw damaged("a block is missing or stands here twice")
            }
            try load(block)
            chain = Checksum.of(payload.span, seed: chain)
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

    private func load(_ block: BlockHeader) throws(SnapshotError) {
        guard
            let packed = try reading({ () throws(LogError) in try file.packed(block, at: offset) })
        else { throw damaged("the block's content does not match its checksum") }
        guard decompressor.unpack(packed.span, rawLength: Int(block.rawLength), into: &payload)
        else { throw damaged("the block is no valid zstd frame") }
        rows = ByteReader(0..<payload.count)
        rowsLeft = block.count
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
    /// Goes to the row with this key; false if there is none. Bisects the blocks, of which it then has checked
    /// only those it read. Afterwards ``next()`` must not be called.
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
        while rowsLeft > 0, try next(), precedesOrIsRow(table, key) {
            if row.table == table, withKey({ !$0.precedes(key) }) { return true }
        }
        return false
    }

    /// Whether the current row is the one with this key or comes before it.
    private func precedesOrIsRow(_ table: UInt32, _ key: Span<UInt8>) -> Bool {
        row.table < table || row.table == table && withKey { !key.precedes($0) }
    }

    private func open(blockAt offset: Int) throws(SnapshotError) {
        self.offset = offset
        guard case .block(let block) = try item(at: offset) else {
            throw damaged("no block stands where the seek table says")
        }
        try load(block)
        lastTable = 0
        lastKey.removeAll(keepingCapacity: true)
    }
}

extension Span<UInt8> {
    /// Whether these bytes come before the others in the order of keys.
    package func precedes(_ other: Span<UInt8>) -> Bool {
        let shared = Swift.min(count, other.count)
        var index = 0
        while index < shared {
            if self[index] != other[index] { return self[index] < other[index] }
            index += 1
        }
        return count < other.count
    }
}

/// Runs reads of a snapshot, turning the log's errors into a snapshot's.
func reading<T>(_ body: () throws(LogError) -> T) throws(SnapshotError) -> T {
    do throws(LogError) {
        return try body()
    } catch {
        throw SnapshotError(error)
    }
}

extension SnapshotError {
    /// A container's reader throws nothing but what the disk did.
    init(_ error: LogError) {
        switch error {
        case .system(let cause), .diskFull(let cause), .poisoned(let cause): self = .system(cause)
        default: self = .damaged(path: "", offset: 0, reason: "\(error)")
        }
    }
}
