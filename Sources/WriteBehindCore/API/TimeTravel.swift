import EventLog
public import Foundation

/// A moment in a store's past. A moment inside a commit means the state before that commit.
public enum Moment: Sendable, Equatable {
    /// After the write of this sequence.
    case sequence(UInt64)
    /// After the last write at or before this time. The times of writes are rounded up to the millisecond, and so is this
    /// time.
    case date(Date)
    /// Where the last mark of this name was set.
    case mark(String)

    var point: LogPoint {
        switch self {
        case .sequence(let sequence): .sequence(sequence)
        case .date(let date): .time(Self.milliseconds(of: date))
        case .mark(let name): .mark(name)
        }
    }

    /// Rounded up, as the times of commits are, so a commit that was made before a `Date()` is not later than that date. A
    /// `Date` that was made from milliseconds is less than half a microsecond off. No commit is from before 1970.
    static func milliseconds(of date: Date) -> UInt64 {
        let exact = date.timeIntervalSince1970 * 1000
        return UInt64(exactly: max(0, (exact - 0.0005).rounded(.up))) ?? .max
    }
}

/// One version of a row.
public struct RowVersion<Row: TableRow>: Sendable {
    /// The operation that made this version.
    public let operation: ChangeOperation
    /// The sequence number of the record that made it.
    public let sequence: UInt64
    /// When it was written, rounded up to the millisecond: not before the moment at which the call began.
    ///
    /// If more than 256 writes come within one tick of the kernel's clock (1 to 4 ms), the clock is read only for every 32nd
    /// of the others; those in between get the time that was read last. A clock that is set back does not show: a later
    /// write never has an earlier time.
    public let date: Date
    /// The row after the change; nil if there was none, or if the log no longer holds the columns that an update left alone.
    public let row: Row?
    /// The values that differ from the version before, by column: for an update those that it wrote, for a put all
    /// that are new. Empty for deletions.
    public let columns: [String: StoredValue]
}

extension StoredTable {
    /// Every version of a row that log and snapshots still hold, oldest first, as far as they are durable.
    ///
    /// Suspends while all of the log is read that is kept; see ``StoreConfiguration/logKept``. Writes that are
    /// not synced yet are not in it.
    ///
    /// - Throws: ``StoreError/history(_:)`` if log or snapshots cannot be read.
    public nonisolated(nonsending) func history(
        of key: Row.Key
    ) async throws(StoreError) -> [RowVersion<Row>] {
        let bytes = try encoded(key)
        let definition = current
        let schema = definition.schema
        let names = layout.names(in: schema)
        let versions = try await HistoryError.reading { [engine] in
            try engine.history.history(of: bytes, in: definition)
        }
        var before: [StoredValue]?
        return try versions.map { version throws(StoreError) in
            let (values, columns) = try rowErrors { () throws(RowError) in
                let values = try version.row.map { row throws(RowError) in
                    try RowCodec.decodeRow(row.span, schema)
                }
                return (values, try Self.columns(version, values, before, names, schema))
            }
            before = values
            return RowVersion(
                operation: ChangeOperation(version.operation), sequence: version.sequence,
                date: Date(timeIntervalSince1970: Double(version.time) / 1000),
                row: try version.row.map { row throws(StoreError) in
                    try decode(key: bytes, body: row)
                },
                columns: columns)
        }
    }

    private static func columns(
        _ version: RowVersionBytes, _ values: [StoredValue]?, _ before: [StoredValue]?,
        _ names: [String?], _ schema: TableSchema
    ) throws(RowError) -> [String: StoredValue] {
        var columns: [String: StoredValue] = [:]
        if version.operation == .patch {
            for change in try RowCodec.decodePatch(version.change.span, schema) {
                if let name = names[change.column] { columns[name] = change.value }
            }
            return columns
        }
        for (index, value) in (values ?? []).enumerated() where before?[index] != value {
            if let name = names[index] { columns[name] = value }
        }
        return columns
    }

    /// The row as it was at a moment of the past; nil if there was none.
    ///
    /// Suspends while the newest snapshot before that moment and the log behind it are read.
    /// - Throws: ``StoreError/history(_:)`` if the log no longer holds it, or does not hold it yet.
    public nonisolated(nonsending) func get(
        _ key: Row.Key, asOf moment: Moment
    ) async throws(StoreError) -> Row? {
        let bytes = try encoded(key)
        let definition = current
        let found = try await HistoryError.reading { [engine] in
            try engine.history.row(of: bytes, in: definition, asOf: moment.point)
        }
        return try found.map { row throws(StoreError) in try decode(key: bytes, body: row.body) }
    }

    /// The table with all columns that it has today. A handle of an older program may lack some.
    private var current: TableDefinition {
        engine.tables[UInt32(id)] ?? TableDefinition(id: UInt32(id), schema: layout.schema)
    }
}
