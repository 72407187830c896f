import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// The rows that a commit changes, and how.
struct TouchedRows {
    private struct Row: Hashable {
        var table: UInt32
        var key: [UInt8]
    }

    private let records: [LoggedRecord]
    /// For each row, the indices of the records that change it.
    private var changes: [Row: [Int]] = [:]
    /// The tables that the commit clears, and the index of the last record that does.
    private var cleared: [UInt32: Int] = [:]
    /// The rows that were deleted since, and do not exist now.
    private var gone: Set<Row> = []
    private var settled: Set<Row> = []

    init(_ records: [LoggedRecord]) {
        self.records = records
        for (index, record) in records.enumerated() {
            switch record.operation {
            case .put, .patch, .delete:
                changes[Row(table: record.table, key: record.key), default: []].append(index)
            case .clear: cleared[record.table] = index
            case .define, .mark, .settle, .preamble: break
            }
        }
    }

    var isEmpty: Bool { changes.isEmpty && cleared.isEmpty }
    var tables: Set<UInt32> { Set(changes.keys.map(\.table)).union(cleared.keys) }

    /// The rows, if they are few enough to search for each one alone.
    var few: [(UInt32, [UInt8])]? {
        guard cleared.isEmpty, changes.count <= 4 else { return nil }
        return changes.keys.sorted { one, other in
            one.table == other.table
                ? one.key.span.precedes(other.key.span) : one.table < other.table
        }.map { ($0.table, $0.key) }
    }

    /// Bytes that every later change of these rows holds.
    var needles: RecordNeedles {
        let keys = (few ?? []).map { (table: $0, bytes: $1, isWhole: true) }
        return RecordNeedles(keys: keys, clears: true)
    }

    /// The rows that did not exist before, in any order.
    var rest: [(UInt32, [UInt8])] {
        changes.keys.filter { !settled.contains($0) }.map { ($0.table, $0.key) }
    }

    func touches(_ table: UInt32, _ key: [UInt8]) -> Bool {
        cleared[table] != nil || changes[Row(table: table, key: key)] != nil
    }

    mutating func settle(_ table: UInt32, _ key: [UInt8]) {
        let row = Row(table: table, key: key)
        if changes[row] != nil { settled.insert(row) }
    }

    /// The row after the commit, given the row before it.
    func after(
        _ table: UInt32, _ key: [UInt8], _ before: [UInt8]?, _ defaults: [[UInt8]]
    ) throws -> [UInt8]? {
        let clear = cleared[table]
        var row = clear == nil ? before : nil
        for index in changes[Row(table: table, key: key)] ?? [] where index > clear ?? -1 {
            let body = records[index].body
            switch records[index].operation {
            case .put: row = body
            case .patch:
                var merged: [UInt8] = []
                if let row {
                    try RowMerge.row(row.span, patch: body.span, defaults: defaults, into: &merged)
                } else {
                    try RowMerge.row(madeBy: body.span, defaults: defaults, into: &merged)
                }
                row = merged
            default: row = nil
            }
        }
        return row
    }

    // MARK: since then

    /// Notes a record after the commit. Returns whether it changes one of the rows.
    mutating func noteLater(_ record: LoggedRecord, _ catalog: Catalog) -> Bool {
        let row = Row(table: record.table, key: record.key)
        switch record.operation {
        case .clear:
            let rows = changes.keys.filter { $0.table == record.table }
            gone.formUnion(rows)
            return !rows.isEmpty || cleared[record.table] != nil
        case .put, .patch, .delete:
            guard touches(record.table, record.key) else { return false }
            if record.operation == .delete { gone.insert(row) } else { gone.remove(row) }
            return true
        case .define, .mark, .settle, .preamble: return false
        }
    }

    func isGone(_ table: UInt32, _ key: [UInt8]) -> Bool {
        gone.contains(Row(table: table, key: key))
    }
}
