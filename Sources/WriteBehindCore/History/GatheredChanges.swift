import EventLog

/// The changes of a block that will be folded into a table together. While the later ones are parsed, the processor
/// fetches the memory of the earlier ones. Folded one by one, each change would wait for memory.
struct GatheredChanges {
    private struct Change {
        var record: Record
        var sequence: UInt64
        var hash: UInt64
    }

    private var changes: [Change] = []

    /// Adds a commit. Returns whether it defines a table.
    ///
    /// - Parameter tables: the tables that matter; nil for all.
    mutating func append(
        _ commit: Commit, _ payload: Span<UInt8>, _ tables: Set<UInt32>?,
        _ rows: borrowing RowTable
    ) throws(MalformedRecord) -> Bool {
        var reader = ByteReader(commit.records)
        var sequence = commit.firstSequence
        var defines = false
        while !reader.isAtEnd {
            let record = try reader.record(payload)
            defer { sequence += 1 }
            if record.operation == .define {
                defines = true
                continue
            }
            if let tables, !tables.contains(record.table) { continue }
            let hash = try rows.hash(of: record, in: payload)
            rows.prefetch(hash)
            changes.append(Change(record: record, sequence: sequence, hash: hash))
        }
        return defines
    }

    /// Folds all changes in, in their order. It is empty after that.
    mutating func apply(
        to rows: inout RowTable, _ payload: Span<UInt8>
    ) throws(MalformedRecord) {
        for change in changes {
            try rows.apply(change.record, change.hash, in: payload, sequence: change.sequence)
        }
        changes.removeAll(keepingCapacity: true)
    }
}
