package import EventLog

/// A row of a sink, and the sink's watermark in the snapshot that it was read from.
package struct StoredRow: Sendable, Equatable {
    /// A row body, or nil if there is no such row.
    package var body: [UInt8]?
    package var watermark: UInt64

    package init(body: [UInt8]?, watermark: UInt64) {
        self.body = body
        self.watermark = watermark
    }
}

/// The rows of a sink that are due, and its watermark in the snapshot that they were read from.
package struct DueRows: Sendable, Equatable {
    package var keys: [[UInt8]]
    package var watermark: UInt64?
    /// The column by which rows are due, counted among those outside the key.
    package var column: Int?

    package init(keys: [[UInt8]], watermark: UInt64? = nil, column: Int? = nil) {
        self.keys = keys
        self.watermark = watermark
        self.column = column
    }
}

/// Some rows of a table in the order of their keys, with some of their columns, and the sink's watermark in the snapshot
/// that they were read from.
package struct ScannedRows: Sendable, Equatable {
    package struct Row: Sendable, Equatable {
        package var key: [UInt8]
        /// A row body with only the requested columns.
        package var columns: [UInt8]

        package init(key: [UInt8], columns: [UInt8]) {
            (self.key, self.columns) = (key, columns)
        }
    }

    package var rows: [Row]
    package var watermark: UInt64

    package init(rows: [Row], watermark: UInt64) {
        (self.rows, self.watermark) = (rows, watermark)
    }
}

/// A database that the log is materialized into.
///
/// This is what every database must do: apply the log, say how far it has come, and be read. A database that the store
/// may put aside and make again is also a ``ReplaceableSink``. A ``SinkOpener`` opens it.
///
/// After each call that changes it, and after a crash inside one, a sink equals the fold of the log
/// up to the watermark that it stores itself, without the commits that it lists as quarantined.
/// Only one caller at a time changes it (the materializer). Reads may come from any thread. It must not be
/// given anything that the log could still lose.
package protocol Sink: QuarantiningSink {
    /// The point in the log that the sink reflects. After power loss it may be earlier than before, but the rows are always
    /// those of the watermark.
    func watermark() throws(SinkError) -> Watermark

    /// Applies a coalesced batch and its watermark in one transaction, or nothing.
    ///
    /// Throws `.constraint` if the database refuses a row or the commit, and also if the
    /// batch touches a quarantined key. The caller then uses ``QuarantiningSink/applyInOrder(_:through:)``.
    func apply(_ batch: some SortedChanges) throws(SinkError)

    /// Creates a table, or adds the columns that it lacks, in one transaction with the watermark.
    /// Defining what is already there changes nothing but the watermark. A definition that the database refuses
    /// because a name is taken goes to quarantine, as a commit that touches all rows of the table.
    ///
    /// If a user's trigger writes the new table, the definition stays in place, and `.schema` is
    /// thrown. Every later change throws it too until the trigger is gone.
    /// - Returns: the changes of quarantine.
    @discardableResult
    func define(
        _ table: TableDefinition, through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// Why the database would refuse a definition, as far as can be seen without trying it: a user's object has the name.
    func objection(to table: TableDefinition) -> SchemaError?

    /// The tables that were defined, in the order of their ids.
    var tables: [TableDefinition] { get }
    /// Whether other stores may count into its shared tables. Their rows are then no fold of this store's log.
    var hasOtherStores: Bool { get }

    /// Whether the table has been defined in the sink. Before that it has no rows to read.
    func holds(_ table: UInt32) -> Bool

    /// Reads a row, waiting on the calling thread.
    func read(_ table: UInt32, key: Span<UInt8>) throws(SinkError) -> StoredRow
    /// Reads rows, all from one snapshot, without holding up the calling thread.
    /// - Returns: a row for each key, in the order of the keys.
    func read(_ table: UInt32, keys: [[UInt8]]) async throws(SinkError) -> [StoredRow]

    /// The first rows behind a key, or of all if it is nil, in the order of their keys.
    ///
    /// - Parameters:
    ///   - columns: the places of the requested columns among those outside the key, ascending. If the sink does
    ///     not have the last of them yet, the rows are shorter.
    ///   - limit: how many rows at most. Only the end of the table gives fewer.
    func scan(
        _ table: UInt32, columns: [Int], after key: [UInt8]?, limit: Int
    ) throws(SinkError) -> ScannedRows

    /// At most `limit` rows whose expiry column is not null and at most `seconds` (since 1970), earliest
    /// first.
    func dueRows(
        _ table: UInt32, before seconds: Int64, limit: Int
    ) throws(SinkError) -> DueRows

    /// The tables whose commits must be applied one by one, in the order of the log, because a projection follows them.
    var orderedTables: TableSet { get }
    /// Whether a projection that has seen everything so far is not declared yet. It would miss the commits that are applied
    /// before it is declared.
    var awaitsProjections: Bool { get }
    /// Does a piece of the work of building projections. Only for the caller that changes the sink.
    func buildProjections() throws(SinkError) -> Next
    /// The projections that are declared or stored; nil for a database that cannot have any.
    var projections: [ProjectionStatus]? { get }
    /// Marks a projection to be built again; false if there is none of this name. Only for the caller that changes the sink.
    func rebuildProjection(_ name: String) throws(SinkError) -> Bool
    /// Drops a projection and its tables; false if there is none of this name. Only for the caller that changes the sink.
    func removeProjection(_ name: String) throws(SinkError) -> Bool

    /// How many adds found no row to add to since the last call, in transactions that were committed. Those of one row
    /// in one transaction may count as one. Only for the caller that changes the sink.
    func takeAddsWithoutRow() -> Int

    /// Makes everything applied so far survive power loss.
    /// - Returns: the watermark that survives power loss now. Log above it must be kept.
    func checkpoint() throws(SinkError) -> Watermark

    /// Makes everything applied so far survive the end of the database's server; nothing to do for a database in this
    /// process. Only for the caller that changes the sink. A server that does not answer for this long is given up.
    func keep(within nanoseconds: UInt64) throws(SinkError)

    /// Looks, without asking the database, whether it was lost while nothing was written: it may have forgotten what is said
    /// to be materialized. Throws `.gone` then. Only for the caller that changes the sink.
    /// - Returns: when to look again, nanoseconds from now; nil if the next write is early enough.
    func look() throws(SinkError) -> UInt64?
    /// The process that holds the lock behind ``SinkError/Kind/busy``, if it can be found out.
    func lockHolder() -> String?
    /// A warning for an operator about a database that still works; nil if there is none.
    func concern() -> String?

    /// Closes the database. Calls after it throw `.gone`; calling it again does nothing.
    func close() throws(SinkError)
    /// The same, but users' reads are not interrupted before this time has passed.
    func close(readsMayLast nanoseconds: UInt64) throws(SinkError)
}

extension Sink {
    package func objection(to table: TableDefinition) -> SchemaError? { nil }
    package var hasOtherStores: Bool { false }
    package func keep(within nanoseconds: UInt64) throws(SinkError) {}
    package func look() throws(SinkError) -> UInt64? { nil }
    package func takeAddsWithoutRow() -> Int { 0 }
    package func lockHolder() -> String? { nil }
    package func concern() -> String? { nil }
    package var orderedTables: TableSet { TableSet() }
    package var awaitsProjections: Bool { false }
    package func buildProjections() throws(SinkError) -> Next { .wait(nanoseconds: nil) }
    package var projections: [ProjectionStatus]? { nil }
    package func rebuildProjection(_ name: String) throws(SinkError) -> Bool { false }
    package func removeProjection(_ name: String) throws(SinkError) -> Bool { false }
    package func close(readsMayLast nanoseconds: UInt64) throws(SinkError) { try close() }
}
