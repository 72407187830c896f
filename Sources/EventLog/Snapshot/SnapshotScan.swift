/// Reads a snapshot file by itself, block by block, and goes on behind damage.
package struct SnapshotScan: Sendable {
    /// The blocks that are whole, the one with the schemas included.
    package private(set) var blocks: [(header: BlockHeader, offset: Int)] = []
    package private(set) var findings: [Finding] = []
    private let file: SegmentReader

    /// Reads blocks that were found before.
    package init(rowsOf file: SegmentReader) { self.file = file }

    /// Reads all of it.
    package init(_ file: SegmentReader) throws(LogError) {
        self.file = file
        let end = try file.byteCount()
        var offset = SegmentHeader.byteCount
        var next: UInt64 = 1
        var isSealed = false
        while offset < end, !isSealed {
            switch try file.item(at: offset, fileByteCount: end) {
            case .block(let block):
                try take(block, at: offset, after: &next)
                offset += BlockHeader.byteCount + Int(block.packedLength)
            case .footer(let footer):
                isSealed = true
                noteGap(at: offset, from: &next, to: footer.firstSequence)
            case .end: break
            case .damaged(let reason):
                note(at: offset, reason)
                offset = try file.nextHeader(from: offset + 1, notBefore: next)?.offset ?? end
            }
        }
        if !isSealed { note(at: offset, "the footer is missing") }
    }

    private mutating func note(at offset: Int, _ reason: String) {
        findings.append(
            Finding(
                severity: .corrupt, path: file.path, offset: offset, lost: nil, reason: reason))
    }

    /// Records are numbered from 1; the schemas are the first of them.
    private mutating func noteGap(at offset: Int, from next: inout UInt64, to number: UInt64) {
        if number > next {
            note(at: offset, "\(number - next) records are missing before this offset")
        }
        next = max(next, number)
    }

    private mutating func take(
        _ block: BlockHeader, at offset: Int, after next: inout UInt64
    ) throws(LogError) {
        noteGap(at: offset, from: &next, to: block.firstSequence)
        next = block.nextSequence
        if block.flags.contains(.preamble) {
            guard try schemas(block, at: offset) != nil else {
                return note(at: offset, "the block holds no valid schemas")
            }
        } else if let fault = try forEachRow(of: block, at: offset, { _, _, _ in }) {
            return note(at: offset, "\(fault); \(block.count) rows are lost")
        }
        blocks.append((block, offset))
    }

    /// The tables that the first block names; nil if it is damaged.
    package func schemas(_ block: BlockHeader, at offset: Int) throws(LogError) -> Preamble? {
        guard let packed = try file.packed(block, at: offset) else { return nil }
        var raw: [UInt8] = []
        guard Decompressor().unpack(packed.span, rawLength: Int(block.rawLength), into: &raw)
        else { return nil }
        return SnapshotOpening.preamble(raw)
    }

    /// Calls `body` for each row of a block, with its key and body.
    ///
    /// - Returns: what is wrong with the block; nil if nothing is.
    package func forEachRow(
        of block: BlockHeader, at offset: Int, _ body: (SnapshotRow, [UInt8], [UInt8]) -> Void
    ) throws(LogError) -> String? {
        guard let packed = try file.packed(block, at: offset) else {
            return "the block's content does not match its checksum"
        }
        let header = file.header
        let head = SnapshotHead(
            sequence: header.base, chain: header.chain, time: block.time / 1000,
            created: header.created / 1000, previous: header.other)
        var rows = SnapshotBlock()
        guard rows.load(block, packed.span, continuing: false, Decompressor()) else {
            return "the block is no valid zstd frame"
        }
        while rows.rowsLeft > 0 {
            if let fault = rows.next(in: head, isRun: false) { return fault }
            body(rows.row, Array(rows.payload[rows.key]), Array(rows.payload[rows.body]))
        }
        return nil
    }
}
