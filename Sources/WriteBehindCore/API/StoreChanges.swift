import EventLog
public import Foundation

/// One change of a row of any table, as a stream of all tables delivers it: see ``Store/changes(named:from:)``.
///
/// ``of(_:)`` makes it a change of a table's rows, with their types. Without it, values are found by the names that the
/// table has for its columns today.
public struct StoreChange: Sendable {
    /// Its place among all changes of the store: a later one has a higher number.
    public let sequence: UInt64
    /// When it was written, as ``RowVersion/date`` says.
    public let date: Date
    /// What was done.
    public let operation: ChangeOperation
    /// The name of the table.
    public let table: String
    /// Whether no other change follows in the same commit, of any table: ``Transaction``s make several.
    public let isLastOfCommit: Bool

    private let logged: LoggedChange
    private let layout: ChangeLayout
    private let feed: ChangeFeed

    init(_ logged: LoggedChange, _ feed: ChangeFeed) throws(StoreError) {
        sequence = logged.sequence
        date = Date(timeIntervalSince1970: Double(logged.time) / 1000)
        operation = ChangeOperation(logged.operation)
        isLastOfCommit = logged.isLastOfCommit
        (table, layout) = try feed.layouts.columns(ofTable: logged.table)
        self.logged = logged
        self.feed = feed
    }

    /// The change as one of a table's rows; nil if it is another table's.
    ///
    /// ```swift
    /// for try await change in store.changes(named: "search") {
    ///     if let change = try change.of(posts) { try await index(change.key, change.columns) }
    ///     if change.isLastOfCommit { try await change.acknowledge() }
    /// }
    /// ```
    ///
    /// - Throws: ``StoreError/row(_:)`` where the key cannot be read as one of the row's type;
    ///   ``StoreError/unknownTable(_:)`` for a table of another store.
    public func of<Row>(_ table: StoredTable<Row>) throws(StoreError) -> RowChange<Row>? {
        guard feed.layouts.isOwn(table) else { throw .unknownTable(table.name) }
        guard UInt32(table.id) == logged.table else { return nil }
        return try RowChange(logged, feed.layouts.columns(of: table), feed)
    }

    /// The row's key, by column; empty for ``ChangeOperation/clear``, which concerns all rows.
    public var key: [String: StoredValue] {
        get throws(StoreError) {
            guard operation != .clear else { return [:] }
            return try rowErrors { () throws(RowError) in
                try layout.columns(ofKey: logged.bytes.span.extracting(logged.key))
            }
        }
    }

    /// The values that were written, by column, as ``RowChange/columns`` says.
    public var columns: [String: StoredValue] {
        get throws(StoreError) {
            try rowErrors { () throws(RowError) in try layout.columns(of: logged) }
        }
    }

    /// The values of the whole row as this change left it, without the key, as ``RowChange/new`` says.
    public var new: [String: StoredValue]? {
        get throws(StoreError) {
            try rowErrors { () throws(RowError) in
                try layout.row(after: logged).map { row throws(RowError) in
                    try layout.columns(ofRow: row.span)
                }
            }
        }
    }

    /// The values of the whole row before an update, without the key, as ``RowChange/old`` says.
    public var old: [String: StoredValue]? {
        get throws(StoreError) {
            guard let before = logged.before else { return nil }
            return try rowErrors { () throws(RowError) in
                try layout.columns(ofRow: logged.bytes.span.extracting(before))
            }
        }
    }

    /// Marks this commit and all before it as done, as ``RowChange/acknowledge()`` does.
    public nonisolated(nonsending) func acknowledge() async throws(StoreError) {
        try await feed.acknowledge(logged)
    }
}

/// The changes of all tables, in the order of the log: see ``Store/changes(named:from:)``.
///
/// The stream is pulled: nothing is read before the consumer asks for it, and memory holds one block of the log.
public struct StoreChanges: AsyncSequence, Sendable {
    public typealias Element = StoreChange

    private let engine: Engine
    private let streams: ChangeStreams
    private let name: String
    private let start: UInt64?

    init(_ engine: Engine, _ streams: ChangeStreams, named name: String, after start: UInt64?) {
        (self.engine, self.streams) = (engine, streams)
        (self.name, self.start) = (name, start)
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(ChangeFeed(engine, streams, named: name, table: 0, after: start))
    }

    /// One consumer of the stream, as ``RowChanges/Iterator`` is one of a table's.
    public struct Iterator: AsyncIteratorProtocol {
        private var hold: ChangeFeedHold?

        init(_ feed: ChangeFeed) { hold = ChangeFeedHold(feed) }

        /// The next change. Suspends until there is one.
        ///
        /// - Throws: as ``RowChanges/Iterator/next(isolation:)``.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(StoreError) -> StoreChange? {
            guard let feed = hold?.feed else { return nil }
            do throws(StoreError) {
                return try StoreChange(try await feed.next(), feed)
            } catch {
                hold = nil
                throw error
            }
        }

        public mutating func next() async throws(StoreError) -> StoreChange? {
            try await next(isolation: nil)
        }
    }
}

extension Store {
    /// Follows the changes of all tables, in the order of the log: all changes of a commit, whatever tables they are of, come
    /// one after the other. Tables that are declared later are in it as well.
    ///
    /// ```swift
    /// for try await change in store.changes(named: "audit") {
    ///     try await record(change.table, change.key, change.columns)
    ///     if change.isLastOfCommit { try await change.acknowledge() }
    /// }
    /// ```
    ///
    /// In all else it is as ``changes(of:named:from:)``: named, at least once, pulled, one consumer at a time. A name is that of
    /// one table's stream or of a stream of all, as long as it is not removed.
    ///
    /// - Parameters:
    ///   - name: 1 to 255 bytes.
    ///   - start: where the stream begins if there is none of this name yet.
    public func changes(named name: String, from start: ChangeStart = .now) -> StoreChanges {
        let last = engine.log.lastSequence
        return StoreChanges(
            engine, store.changeStreams, named: name, after: start == .now ? last : nil)
    }
}
