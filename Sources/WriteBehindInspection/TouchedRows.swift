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
    /// What changed the rows since.
    private var later: [Row: Later] = [:]
    private var settled: Set<Row> = []

    init(_ records: [LoggedRecord]) {
        self.records = records
        for (index, record) in records.enumerated() {
            switch record.operation {
            case .put, .patch, .add, .delete:
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
            case .add:
                let parts = try RowMerge.parts(body.span)
                guard let patch = row == nil ? parts.missing : parts.there else { continue }
                let before = row ?? RowCodec.noValues
                var sum: [UInt8] = []
                try RowMerge.row(
                    before.span, patch: body.span.extracting(patch), defaults: defaults, into: &sum)
                row = sum
            default: row = nil
            }
        }
        return row
    }

    /// What the commit added to a row, if it did nothing else to it, and amounts can still be added to these columns.
    func amounts(_ table: UInt32, _ key: [UInt8], _ schema: TableSchema) throws -> [ColumnAmount]? {
        guard cleared[table] == nil, schema.changes != .wholeRows,
            let indices = changes[Row(table: table, key: key)]
        else { return nil }
        var sums: [Int: Int64] = [:]
        for index in indices {
            guard records[index].operation == .add else { return nil }
            let body = records[index].body
            let add = try RowCodec.decodeAdd(body.span, schema)
            for amount in add.amounts where !schema.valueColumns[amount.column].isDropped {
                guard schema.valueColumns[amount.column].takesAmounts,
                    amount.column != schema.expiryIndex
                else { return nil }
                let (sum, overflow) = sums[amount.column, default: 0]
                    .addingReportingOverflow(amount.amount)
                guard !overflow, sum != .min else { return nil }
                sums[amount.column] = sum
            }
        }
        return sums.keys.sorted().map { ColumnAmount(column: $0, amount: sums[$0] ?? 0) }
    }

    // MARK: since then

    /// What changed a row after the commit.
    enum Later: Int {
        case nothing
        /// Only adds: what the commit added is still a part of the sums.
        case adds
        /// Also patches of columns to which the commit did not add.
        case otherColumns
        case anything
    }

    func later(_ table: UInt32, _ key: [UInt8]) -> Later {
        later[Row(table: table, key: key)] ?? .nothing
    }

    /// Notes a record after the commit. Returns whether taking the commit back may overwrite it.
    mutating func noteLater(_ record: LoggedRecord, _ catalog: Catalog) throws -> Bool {
        let row = Row(table: record.table, key: record.key)
        switch record.operation {
        case .clear:
            let rows = changes.keys.filter { $0.table == record.table }
            gone.formUnion(rows)
            for row in rows { later[row] = .anything }
            return !rows.isEmpty || cleared[record.table] != nil
        case .put, .patch, .add, .delete:
            guard touches(record.table, record.key) else { return false }
            switch record.operation {
            case .delete: gone.insert(row)
            // A row that is gone stays so, unless the add makes it.
            case .add where try RowMerge.parts(record.body.span).missing == nil: break
            default: gone.remove(row)
            }
            let new = try weight(of: record, catalog)
            if new.rawValue > later(row.table, row.key).rawValue { later[row] = new }
            return new != .adds
        case .define, .mark, .settle, .preamble: return false
        }
    }

    /// How much a later record of a row is in the way.
    private func weight(of record: LoggedRecord, _ catalog: Catalog) throws -> Later {
        guard let schema = catalog[record.table]?.schema,
            let amounts = try amounts(record.table, record.key, schema)
        else { return .anything }
        switch record.operation {
        case .add: return .adds
        case .patch:
            let columns = Set(try RowMerge.columns(of: record.body.span))
            return columns.isDisjoint(with: amounts.map(\.column)) ? .otherColumns : .anything
        default: return .anything
        }
    }

    func isGone(_ table: UInt32, _ key: [UInt8]) -> Bool {
        gone.contains(Row(table: table, key: key))
    }
}
