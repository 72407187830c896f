/// Reads the rows of one block of a snapshot or a run, from the first to the last, and checks everything it reads.
///
/// It is a separate value, so that a step costs the reader one exclusive access instead of one for each field.
package struct SnapshotBlock {
    package private(set) var row = SnapshotRow(operation: .put, table: 0, sequence: 0, time: 0)
    /// The places of the row's key and body in ``payload``.
    package private(set) var key = 0..<0
    package private(set) var body = 0..<0
    package private(set) var payload: [UInt8] = []
    private(set) var rowsLeft: UInt32 = 0
    private var reader = ByteReader(0..<0)
    /// The key of the last row of the block before; nil if there is none, or if it must not be compared.
    private var keyBefore: [UInt8]?
    private var isAtStart = true

    /// Unpacks another block, which replaces this one; false if it is not a valid frame.
    ///
    /// - Parameter continuing: whether its rows must come behind those of this one.
    mutating func load(
        _ block: BlockHeader, _ packed: Span<UInt8>, continuing: Bool, _ decompressor: Decompressor
    ) -> Bool {
        if !isAtStart { keyBefore = Array(payload[key]) }
        if !continuing { keyBefore = nil }
        isAtStart = true
        guard decompressor.unpack(packed, rawLength: Int(block.rawLength), into: &payload)
        else { return false }
        reader = ByteReader(0..<payload.count)
        rowsLeft = block.count
        return true
    }

    /// Goes to the next row, which must exist. Returns what is wrong with it; nil if nothing is.
    mutating func next(in head: SnapshotHead, isRun: Bool) -> String? {
        let (tableBefore, placeBefore) = (row.table, key)
        var reader = self.reader
        do throws(MalformedRecord) {
            let (row, record) = try SnapshotRow.decode(&reader, payload.span, in: head)
            (self.row, key, body) = (row, record.key, record.body)
            self.reader = reader
        } catch {
            return "it holds no valid row: \(error.reason)"
        }
        rowsLeft -= 1
        if rowsLeft == 0, !reader.isAtEnd { return "bytes follow the block's last row" }
        switch row.operation {
        case .put: break
        case .patch where isRun, .delete where isRun, .add where isRun: break
        default: return "a \(row.operation) is in the place of a row"
        }
        let ascends =
            isAtStart
            ? keyBefore.map { follows(tableBefore, $0.span) } ?? true
            : follows(tableBefore, payload.span.extracting(placeBefore))
        isAtStart = false
        return ascends ? nil : "rows are out of order"
    }

    private func follows(_ table: UInt32, _ key: Span<UInt8>) -> Bool {
        row.table > table
            || row.table == table && key.precedes(payload.span.extracting(self.key))
    }
}
