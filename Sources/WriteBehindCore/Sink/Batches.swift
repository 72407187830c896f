/// A batch after coalescing: at most one change for each key, sorted by table and key.
package protocol SortedChanges {
    /// The sink's watermark once the batch is applied.
    var through: Watermark { get }
    /// Tables to empty before anything else is applied.
    var cleared: [UInt32] { get }
    /// How many adds are left out, because the batch itself has removed their rows.
    var addsWithoutRow: Int { get }
    /// Calls `body` for each change in order, and stops at the first error it throws.
    func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError)
}

extension SortedChanges {
    package var addsWithoutRow: Int { 0 }
}

/// A commit as the log holds it.
package struct OrderedCommit: Sendable {
    package var firstSequence: UInt64
    package var recordCount: Int
    /// When it was written, milliseconds since 1970.
    package var time: UInt64
    /// Records, as ``ByteReader`` parses them.
    package var records: [UInt8]
    /// The sequence of each record; nil if the commit is complete, so that they follow each other without a gap.
    package var sequences: [UInt64]?

    package init(firstSequence: UInt64, recordCount: Int, time: UInt64 = 0, records: [UInt8]) {
        self.firstSequence = firstSequence
        self.recordCount = recordCount
        self.time = time
        self.records = records
    }
}
