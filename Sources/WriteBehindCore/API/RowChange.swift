import EventLog
public import Foundation

/// What was done to a row.
#if compiler(>=6.2.3)
    @nonexhaustive
#endif
public enum ChangeOperation: String, Sendable, Codable, CaseIterable {
    /// A whole row was written: ``RowChange/columns`` has all columns outside the key.
    case put
    /// Some columns of a row were written: ``RowChange/columns`` has these. An update may also make a row, if it was written
    /// by a program from before the table got its newest columns.
    case update
    /// Amounts were added to columns of a row, whatever they held: ``RowChange/amounts`` has these. Or a row of a shared table
    /// was put if there was none: ``RowChange/columns`` has its values.
    case add
    /// A row was deleted, or expired.
    case delete
    /// All rows of the table were deleted.
    case clear
}

/// One change of a row, as a change stream delivers it: see ``Store/changes(of:named:from:)``.
public struct RowChange<Row: TableRow>: Sendable {
    /// Its place among all changes of the store: a later change has a higher number.
    public let sequence: UInt64
    /// When it was written, as ``RowVersion/date`` says.
    public let date: Date
    /// What was done.
    public let operation: ChangeOperation
    /// The row's key; nil for ``ChangeOperation/clear``, which concerns all rows.
    public let key: Row.Key?
    /// Whether the stream has no other change of the same commit after this one. A ``Transaction`` makes several.
    public let isLastOfCommit: Bool

    private let logged: LoggedChange
    private let layout: ChangeLayout
    private let feed: ChangeFeed

    init(_ logged: LoggedChange, _ layout: ChangeLayout, _ feed: ChangeFeed) throws(StoreError) {
        sequence = logged.sequence
        date = Date(timeIntervalSince1970: Double(logged.time) / 1000)
        operation = ChangeOperation(logged.operation)
        isLastOfCommit = logged.isLastOfCommit
        key =
            operation == .clear
            ? nil
            : try rowErrors { () throws(RowError) in
                try layout.key(Row.Key.self, logged.bytes.span.extracting(logged.key))
            }
        self.logged = logged
        self.layout = layout
        self.feed = feed
    }

    /// The values that were written, by column. A put has all columns outside the key, an update has the columns that it
    /// changed, an add and a deletion have none. A row that ``SharedTable/putIfAbsent(_:)`` puts is an add with all columns;
    /// the log does not say whether there was a row.
    ///
    /// - Throws: ``StoreError/row(_:)`` if the stored values cannot be read.
    public var columns: [String: StoredValue] {
        get throws(StoreError) {
            try rowErrors { () throws(RowError) in try layout.columns(of: logged) }
        }
    }

    /// What was added to columns, by their names; empty unless the operation is ``ChangeOperation/add``.
    ///
    /// If there was no row, the amounts may have made one, or nothing: see
    /// ``StoredTable/add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)``.
    ///
    /// - Throws: ``StoreError/row(_:)`` if the stored amounts cannot be read.
    public var amounts: [String: Int] {
        get throws(StoreError) {
            try rowErrors { () throws(RowError) in try layout.amounts(of: logged) }
        }
    }

    /// The value that was written into a column outside the key; nil if the change left the column alone.
    public subscript(column: String) -> StoredValue? {
        get throws(StoreError) { try columns[column] }
    }

    /// The whole row as this change left it. Later changes of the row do not matter.
    ///
    /// A put always has it. An update has it if the table's log has whole rows (``LoggedChanges/wholeRows``); otherwise it is
    /// nil, because the log does not hold the columns that the update left alone. Deletions have none.
    ///
    /// It is also nil for a put of a program that lacks columns of the table. Such a put is logged as an update, and its
    /// program does not know the rest of the row.
    ///
    /// - Throws: ``StoreError/row(_:)`` if the stored values do not fit the row's type.
    public var new: Row? {
        get throws(StoreError) {
            try rowErrors { () throws(RowError) in
                try layout.row(after: logged).map { body throws(RowError) in
                    try layout.row(
                        Row.self, key: logged.bytes.span.extracting(logged.key), body: body.span)
                }
            }
        }
    }

    /// The whole row before an update, where the table's log has whole rows (``LoggedChanges/wholeRows``).
    ///
    /// nil for all other changes: puts and deletions are written without reading what is there.
    public var old: Row? {
        get throws(StoreError) {
            guard let before = logged.before else { return nil }
            return try rowErrors { () throws(RowError) in
                try layout.row(
                    Row.self, key: logged.bytes.span.extracting(logged.key),
                    body: logged.bytes.span.extracting(before))
            }
        }
    }

    /// Reads a column as its property's type; nil if the change left it alone.
    func value<V>(
        at index: Int, _ decode: (inout RowDecoder) throws(RowError) -> V
    ) throws(StoreError) -> V? {
        guard operation != .delete, operation != .clear else { return nil }
        return try rowErrors { () throws(RowError) in
            var body = logged.body
            if operation == .add {
                guard let row = try layout.rowIfAbsent(logged) else { return nil }
                body = row
            }
            return try layout.value(
                at: index, in: logged.bytes.span.extracting(body), isPatch: operation != .put,
                decode)
        }
    }

    /// Marks this commit and all before it as done: after a crash the stream goes on behind it. Returns when the mark
    /// survives power loss. Consumers that acknowledge at the same time share one sync.
    ///
    /// If more changes of the same commit follow (``isLastOfCommit``), only the commits before it are marked. To sync
    /// less often, acknowledge only every hundredth commit, for example.
    ///
    /// - Throws: ``ChangeStreamProblem/takenOver`` if another consumer has the stream by now;
    ///   ``ChangeStreamProblem/removed``; ``StoreError/diskFull(_:)``, ``StoreError/fenced(_:)``,
    ///   ``StoreError/logFailed(_:)`` or ``StoreError/closed(_:)`` if the position cannot be written. The changes
    ///   may come again then: the position counts until the store closes, and is in the file after the next write that
    ///   succeeds.
    public nonisolated(nonsending) func acknowledge() async throws(StoreError) {
        try await feed.acknowledge(logged)
    }
}

extension ChangeOperation {
    init(_ operation: EventLog.Operation) {
        switch operation {
        case .patch: self = .update
        case .add: self = .add
        case .delete: self = .delete
        case .clear: self = .clear
        default: self = .put
        }
    }
}
