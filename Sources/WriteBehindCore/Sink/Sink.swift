import EventLog

/// How far a sink reflects the log: a sequence, and the log's chain value there.
///
/// The chain names the history. Two logs that agree on it at a sequence are the same up to there.
package struct Watermark: Sendable, Hashable {
    package var sequence: UInt64
    package var chain: UInt64

    package init(sequence: UInt64, chain: UInt64) {
        self.sequence = sequence
        self.chain = chain
    }
}

/// A batch after coalescing: at most one change a key, sorted by table and key.
package protocol SortedChanges {
    /// What the sink stands for once the batch is in.
    var through: Watermark { get }
    /// Tables to empty before anything else is applied.
    var cleared: [UInt32] { get }
    /// Calls `body` for each change in order, and stops at the first error it throws.
    func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError)
}

/// A commit as the log holds it.
package struct OrderedCommit: Sendable {
    package var firstSequence: UInt64
    package var recordCount: Int
    /// Records, as ``ByteReader`` parses them.
    package var records: [UInt8]

    package init(firstSequence: UInt64, recordCount: Int, records: [UInt8]) {
        self.firstSequence = firstSequence
        self.recordCount = recordCount
        self.records = records
    }
}

/// A row as a sink has it, and what the sink stood for in the snapshot it was read from.
package struct StoredRow: Sendable, Equatable {
    /// A row body, or nil where there is no such row.
    package var body: [UInt8]?
    package var watermark: UInt64

    package init(body: [UInt8]?, watermark: UInt64) {
        self.body = body
        self.watermark = watermark
    }
}

/// Rows that a sink has and that are due, and what it stood for in the snapshot they were read from.
package struct DueRows: Sendable, Equatable {
    package var keys: [[UInt8]]
    package var watermark: UInt64?
    /// By which column it judged, counted among those outside the key.
    package var column: Int?

    package init(keys: [[UInt8]], watermark: UInt64? = nil, column: Int? = nil) {
        self.keys = keys
        self.watermark = watermark
        self.column = column
    }
}

/// A database that the log is materialized into.
///
/// After each call that changes it, and after a crash inside one, a sink equals the fold of the log
/// up to the watermark that it stores itself, without the commits that it lists as quarantined.
/// Only one caller at a time changes it (the materializer); reads may come from anywhere. A caller
/// gives it nothing that is not durable in the log.
package protocol Sink: AnyObject, Sendable {
    /// What the sink reflects. After power loss it may be less than was read before, never more
    /// than the rows that are there.
    func watermark() throws(SinkError) -> Watermark

    /// Applies a coalesced batch and its watermark in one transaction, or nothing.
    ///
    /// Throws `.constraint` where the database refuses a row or the commit, and also where the
    /// batch touches a quarantined key: then ``applyInOrder(_:through:)`` is the way.
    func apply(_ batch: some SortedChanges) throws(SinkError)

    /// Applies commits in sequence order, each as a whole or not at all, in one transaction with
    /// the watermark.
    ///
    /// A commit that breaks a constraint is quarantined, with it every later one that touches its
    /// keys, until one makes all rows of a group anew (``QuarantineIndex``); the same transaction
    /// records that. `mark` and `settle` records change nothing; `define` and `preamble` are refused
    /// with `.schema`, since ``define(_:through:)`` is the way.
    /// - Returns: what this call changed of quarantine.
    func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// Creates a table, or adds the columns that it lacks, in one transaction with the watermark.
    /// Defining what is already there changes nothing but the watermark. A definition that the database refuses,
    /// since a name is taken in it, goes to quarantine as a commit that touches all rows of the table.
    ///
    /// Where a user's trigger turns out to write the new table, `.schema` is thrown with the
    /// definition in place; every later change throws it too until the trigger is gone.
    /// - Returns: what came into quarantine.
    @discardableResult
    func define(
        _ table: TableDefinition, through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// Why the database would refuse a definition, as far as memory knows: what of a user's has the name.
    func objection(to table: TableDefinition) -> SchemaError?

    /// The tables that were defined, in the order of their ids.
    var tables: [TableDefinition] { get }

    /// Whether the table has been defined in the sink; before, it has no rows to read.
    func holds(_ table: UInt32) -> Bool

    /// Reads a row, waiting on the calling thread.
    func read(_ table: UInt32, key: Span<UInt8>) throws(SinkError) -> StoredRow
    /// Reads a row without holding up the calling thread.
    func read(_ table: UInt32, key: [UInt8]) async throws(SinkError) -> StoredRow

    /// At most `limit` rows whose expiry column is not null and at most `seconds` (since 1970), earliest
    /// first.
    func dueRows(
        _ table: UInt32, before seconds: Int64, limit: Int
    ) throws(SinkError) -> DueRows

    /// What is in quarantine. Costs a lock.
    var quarantine: QuarantineIndex { get }
    /// Tries quarantined commits again, in one transaction: the next ones of a pass over the log, in order,
    /// that skips nothing of quarantine. Others are ignored.
    ///
    /// - Parameter isLast: whether the pass has come to the watermark: what is left of it becomes quarantine.
    /// - Returns: what this call changed of quarantine.
    func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// The database in whose place this one is, as long as what users had made of it waits to be made again.
    ///
    /// Their tables, indices, views and triggers are made as soon as the tables that they are about are defined.
    func aside() throws(SinkError) -> AsideDatabase?

    /// Makes what still waits of it, once all rows are there.
    /// - Returns: what could not be made.
    func carryOver() throws(SinkError) -> [CarryFailure]

    /// Takes back the indices and triggers of users' that were made again, as long as their rows are not there.
    func dropCarriedOver() throws(SinkError)

    /// Makes everything applied so far survive power loss.
    /// - Returns: the watermark that now does; log above it must be kept.
    func checkpoint() throws(SinkError) -> Watermark

    /// Who has the lock that ``SinkError/Kind/busy`` is about, where that can be known.
    func lockHolder() -> String?
    /// What an operator should know of a database that works; nil where there is nothing.
    func concern() -> String?

    /// Lets go of the database. Calls after it throw `.gone`; calling it again does nothing.
    func close() throws(SinkError)
    /// The same, but users' reads are not interrupted before so much time has passed.
    func close(readsMayLast nanoseconds: UInt64) throws(SinkError)
}

extension Sink {
    package func lockHolder() -> String? { nil }
    package func concern() -> String? { nil }
    package func close(readsMayLast nanoseconds: UInt64) throws(SinkError) { try close() }
}

extension Sink {
    package var quarantineIsEmpty: Bool { quarantine.isEmpty }

    /// Whether a quarantined commit touches this row, so that changes to it must follow it there.
    package func isQuarantined(_ table: UInt32, key: Span<UInt8>) -> Bool {
        let quarantine = quarantine
        return quarantine.holdsAny(of: table)
            && quarantine.touches(.row(table: table, key: Array(copying: key)))
    }
}
