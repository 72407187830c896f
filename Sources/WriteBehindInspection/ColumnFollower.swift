package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// Follows one column through the log, so that each record can be printed with the value before it.
///
/// It keeps one value for each row in memory, and stops with an error at the limit.
package struct ColumnFollower {
    /// The column's value before a record.
    package enum Before: Sendable, Equatable {
        /// The log no longer holds it.
        case unknown
        /// There was no row.
        case noRow
        case value(ShownValue)
    }

    /// A change of the column by a record.
    package struct Change: Sendable, Equatable {
        package var column: String
        package var logicalType: LogicalType?
        package var before: Before
        /// nil if the record removes the row, and after an add to a value that is not known.
        package var after: ShownValue?
        /// What an add adds.
        package var amount: Int64?
    }

    /// Too many rows to remember.
    package struct TooManyRows: Error, CustomStringConvertible {
        var limit: Int
        package var description: String {
            "--changed keeps a value of every row in memory, and they take more than "
                + "\(limit >> 20) MiB; choose fewer rows with --table or --key"
        }
    }

    /// About how many bytes an entry takes in addition to its key and value.
    private static let overhead = 96

    private let filter: RecordFilter
    private let column: String
    private let memoryLimit: Int
    private var values: [UInt32: [[UInt8]: ShownValue?]] = [:]
    private var byteCount = 0
    /// Whether every existing row was seen. False if the log's beginning was deleted.
    private var isComplete: Bool
    private var clearedTables: Set<UInt32> = []
    /// The sequence to read from, so that all old values are known.
    package private(set) var start: UInt64

    /// - Parameters:
    ///   - filter: gives column, tables and key.
    ///   - first: the first sequence that the log holds.
    ///   - wanted: the first sequence whose changes are wanted.
    package init?(
        _ filter: RecordFilter, _ environment: LogEnvironment, first: UInt64, wanted: UInt64,
        memoryLimit: Int = 512 << 20
    ) throws {
        guard let column = filter.changed else { return nil }
        self.filter = filter.rowsOnly
        self.column = column
        self.memoryLimit = memoryLimit
        isComplete = first == 1
        start = first
        for sequence in try SnapshotReader.sequences(environment).reversed()
        where sequence < wanted && sequence + 1 >= first {
            guard let snapshot = try? SnapshotReader(of: sequence, in: environment) else {
                continue
            }
            try take(snapshot)
            (start, isComplete) = (sequence + 1, true)
            return
        }
    }

    private mutating func take(_ snapshot: SnapshotReader) throws {
        let records = snapshot.preamble.records
        let catalog = try Catalog(defineRecords: records.span)
        let matcher = RecordMatcher(filter, catalog)
        while try snapshot.next() {
            let table = snapshot.row.table
            guard let schema = catalog[table]?.schema, let index = schema.valueIndex(of: column)
            else { continue }
            let key = snapshot.withKey { [UInt8](copying: $0) }
            let row = snapshot.withBody { [UInt8](copying: $0) }
            guard matcher.admits(table: table, key: key, row: row) else { continue }
            try remember(table, key, try ShownValue.value(at: index, in: row, schema))
        }
    }

    /// Chooses the records to be noted: all changes of the rows that are followed.
    package func matcher(_ catalog: Catalog) -> RecordMatcher { RecordMatcher(filter, catalog) }

    /// Notes a record. Returns its change of the column; nil if it does not change the column.
    package mutating func note(_ record: LoggedRecord, _ catalog: Catalog) throws -> Change? {
        guard let schema = catalog[record.table]?.schema,
            let index = schema.valueIndex(of: column)
        else { return nil }
        let column = schema.valueColumns[index]
        func change(_ before: Before, _ after: ShownValue?) -> Change {
            Change(
                column: column.name, logicalType: column.logicalType, before: before, after: after)
        }
        if record.operation == .clear {
            values[record.table] = nil
            clearedTables.insert(record.table)
            return change(.unknown, nil)
        }
        let before = before(record)
        if record.operation == .add {
            return try note(add: record, at: index, before, schema)
        }
        let given = try RowCodec.given(index, by: record.operation, record.body.span, schema)
        switch record.operation {
        case .delete:
            try remember(record.table, record.key, nil)
            return before == .noRow ? nil : change(before, nil)
        case .patch where given == nil && before != .noRow: return nil
        case .put, .patch:
            // A row that was written before the column was added has its default.
            let after = ShownValue.stored(given ?? column.missingValue)
            try remember(record.table, record.key, after)
            return before == .value(after) ? nil : change(before, after)
        case .add, .clear, .define, .mark, .settle, .preamble: return nil
        }
    }

    private mutating func note(
        add record: LoggedRecord, at index: Int, _ before: Before, _ schema: TableSchema
    ) throws -> Change? {
        let column = schema.valueColumns[index]
        let add = try RowCodec.decodeAdd(record.body.span, schema)
        let amount = add.amounts.first { $0.column == index }?.amount
        let after: ShownValue?
        switch before {
        case .noRow:
            guard add.makesRow else { return nil }
            let given = add.row?.first { $0.column == index }?.value
            let missing = ShownValue.stored(given ?? column.missingValue)
            after = amount.map { missing.adding($0, to: column) } ?? missing
        case .value(let value):
            guard let amount else { return nil }
            after = value.adding(amount, to: column)
        case .unknown:
            guard amount != nil else { return nil }
            after = nil
        }
        if let after { try remember(record.table, record.key, after) }
        if let after, before == .value(after) { return nil }
        return Change(
            column: column.name, logicalType: column.logicalType, before: before, after: after,
            amount: amount)
    }

    /// Forgets all values, because records were lost.
    package mutating func forget() {
        (values, clearedTables, byteCount, isComplete) = ([:], [], 0, false)
    }

    private func before(_ record: LoggedRecord) -> Before {
        guard let found = values[record.table]?[record.key] else {
            return isComplete || clearedTables.contains(record.table) ? .noRow : .unknown
        }
        return found.map(Before.value) ?? .noRow
    }

    private mutating func remember(_ table: UInt32, _ key: [UInt8], _ value: ShownValue?) throws {
        let old = values[table, default: [:]].updateValue(value, forKey: key)
        byteCount += Self.byteCount(value)
        if let old {
            byteCount -= Self.byteCount(old)
        } else {
            byteCount += key.count + Self.overhead
        }
        if byteCount > memoryLimit { throw TooManyRows(limit: memoryLimit) }
    }

    private static func byteCount(_ value: ShownValue?) -> Int {
        switch value {
        case .stored(.text(let text)): text.utf8.count
        case .stored(.blob(let bytes)): bytes.count
        default: 0
        }
    }
}

extension ShownValue {
    /// The value after an amount was added to it.
    fileprivate func adding(_ amount: Int64, to column: ColumnSchema) -> ShownValue {
        let before: Int128
        switch self {
        case .stored(.integer(let value)): before = Int128(value)
        case .wide(let value): before = value
        // The column held integers when the amount was added.
        case .stored(.real(let value)): return .stored(.real(value + Double(amount)))
        case .stored(.null) where column.missingValue != .null:
            return ShownValue.stored(column.missingValue).adding(amount, to: column)
        case .stored: before = 0
        }
        // A forged sum may have no room for more.
        let sum = before.addingReportingOverflow(Int128(amount)).partialValue
        return Int64(exactly: sum).map { .stored(.integer($0)) } ?? .wide(sum)
    }
}

extension RecordFilter {
    /// The filter for the same rows, without other conditions.
    fileprivate var rowsOnly: RecordFilter {
        var rows = RecordFilter()
        rows.tables = tables
        rows.key = key
        rows.changed = changed
        return rows
    }
}
