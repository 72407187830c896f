import EventLog
public import Foundation

/// A moment in a store's past. One inside a commit means the state before that commit.
public enum Moment: Sendable, Equatable {
    /// After the write of this sequence.
    case sequence(UInt64)
    /// After the last write of this time or before, to the millisecond: the times of writes are rounded up, and
    /// so is this.
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

    /// Rounded up, as the times of commits are: a commit that was made before a `Date()` is not later than that. A Date
    /// made of milliseconds is less than half a microsecond off. Before 1970 nothing was.
    static func milliseconds(of date: Date) -> UInt64 {
        let exact = date.timeIntervalSince1970 * 1000
        return UInt64(exactly: max(0, (exact - 0.0005).rounded(.up))) ?? .max
    }
}

/// One version of a row.
public struct RowVersion<Row: TableRow>: Sendable {
    /// The operation that made it.
    public let operation: ChangeOperation
    /// The sequence number of the record that did.
    public let sequence: UInt64
    /// When it was written, rounded up to the millisecond: not before the moment at which the call began.
    ///
    /// Where more than 256 writes come within one tick of the kernel's clock (1 to 4 ms), only one of 32 of the others
    /// is timed; what is between them has the time of the last that was. A clock that is set back does not show:
    /// times of later writes are never earlier.
    public let date: Date
    /// The row after the change; nil if there was none, or where the log no longer holds what the columns
    /// were that an update left alone.
    public let row: Row?
    /// The values that differ from the version before, by column: of an update those it wrote, of a put all
    /// that are new. Empty for deletions.
    public let columns: [String: StoredValue]
}

extension StoredTable {
    /// Every version of a row that log and snapshots still hold, oldest first, as far as they are durable.
    ///
    /// Suspends while the whole log that is kept is read; see ``StoreConfiguration/logKept``. Writes that are
    /// not synced yet are not in it.
    ///
    /// - Throws: ``StoreError/history(_:)`` where log or snapshots cannot be read.
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
