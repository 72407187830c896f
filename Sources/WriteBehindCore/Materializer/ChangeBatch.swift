package import EventLog

/// The records of a part of the log, coalesced: at most one change for each key, sorted for the database.
///
/// Coalescing is the fold (``RowTable``): patches merge, and a put or a delete replaces everything before it. So a batch
/// has the same effect on the database as its records one by one.
package final class ChangeBatch: SortedChanges {
    private var rows: RowTable
    package private(set) var through: Watermark
    /// Records that were folded in.
    package private(set) var recordCount = 0
    /// The place of the first of them.
    package private(set) var firstSequence: UInt64 = 0
    package private(set) var addsWithoutRow = 0
    private var order: [RowTable.Reference] = []
    private var isSorted = false

    /// - Parameter memory: about how many bytes it may grow to.
    package init(after watermark: Watermark, memory: Int = .max) throws(OutOfMemory) {
        rows = try RowTable(memory: memory)
        through = watermark
    }

    package var isEmpty: Bool { recordCount == 0 }
    /// How many changes are left of the records, once they are sorted.
    package var changeCount: Int { order.count + rows.clearedAt.count }
    package var byteCount: Int { rows.bytesInUse }
    package var cleared: [UInt32] { rows.clearedAt.keys.sorted().map(UInt32.init) }

    /// The values of columns that older rows lack, as for ``RowTable/setDefaults(table:_:)``.
    package func setDefaults(_ definition: TableDefinition) {
        rows.setDefaults(
            table: UInt16(definition.id), RowCodec.defaults(definition.schema))
    }

    /// Folds in a whole block.
    package func append(
        _ block: BlockHeader, payload: Span<UInt8>
    ) throws(MalformedRecord) {
        isSorted = false
        if isEmpty { firstSequence = block.firstSequence }
        var commits = try CommitCursor(block, payload)
        while let commit = try commits.next(payload) {
            var reader = ByteReader(commit.records)
            var sequence = commit.firstSequence
            while !reader.isAtEnd {
                let record = try reader.record(payload)
                try fold(record, in: payload, sequence: sequence)
                sequence += 1
            }
        }
        recordCount += Int(block.count)
        through = Watermark(sequence: block.nextSequence - 1, chain: block.chain)
    }

    /// Folds in a record of a commit that is applied by itself.
    package func append(
        _ record: Record, in bytes: Span<UInt8>, sequence: UInt64
    ) throws(MalformedRecord) {
        isSorted = false
        if isEmpty { firstSequence = sequence }
        try fold(record, in: bytes, sequence: sequence)
        recordCount += 1
    }

    private func fold(
        _ record: Record, in bytes: Span<UInt8>, sequence: UInt64
    ) throws(MalformedRecord) {
        if try !rows.apply(record, in: bytes, sequence: sequence) { addsWithoutRow += 1 }
    }

    /// Brings the changes into the database's order. To be called once all blocks are in.
    package func sort() {
        guard !isSorted else { return }
        order = rows.sortedReferences()
        isSorted = true
    }

    package func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError) {
        for reference in order {
            let kind = rows.change(reference)
            let table = UInt32(rows.table(reference))
            try rows.withKey(reference) { (key) throws(SinkError) in
                try rows.withBody(reference) { (content) throws(SinkError) in
                    try body(table, kind, key, content)
                }
            }
        }
    }

    /// Empties the batch, to start behind `watermark`. Keeps the memory.
    package func reset(after watermark: Watermark) {
        rows.removeAll()
        order.removeAll(keepingCapacity: true)
        isSorted = false
        recordCount = 0
        addsWithoutRow = 0
        through = watermark
    }
}
