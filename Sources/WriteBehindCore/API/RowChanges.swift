import EventLog

/// Where a new change stream begins.
public enum ChangeStart: Sendable {
    /// With the first commit after the call of ``Store/changes(of:named:from:)``.
    case now
    /// With the oldest commit that the log holds. Older rows are not delivered: ``StoreConfiguration/logKept`` says how
    /// far the log reaches back.
    case oldest
}

/// The changes of a table, in the order of the log: see ``Store/changes(of:named:from:)``.
///
/// The consumer pulls: nothing is read before it asks for the next change, and memory holds one block of the log.
public struct RowChanges<Row: TableRow>: AsyncSequence, Sendable {
    public typealias Element = RowChange<Row>

    private let table: StoredTable<Row>
    private let streams: ChangeStreams
    private let name: String
    private let start: UInt64?

    init(
        _ table: StoredTable<Row>, _ streams: ChangeStreams, named name: String,
        after start: UInt64?
    ) {
        self.table = table
        self.streams = streams
        self.name = name
        self.start = start
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(
            feed: ChangeFeed(
                table.engine, streams, named: name, table: UInt32(table.id), after: start),
            table: table)
    }

    /// One consumer of the stream. It has the stream from its first ``next(isolation:)`` until that throws, its task is
    /// cancelled, or the iterator is gone. Copies of an iterator are the same consumer: each change goes to one of them, and
    /// once one of them has thrown, the others throw ``StoreError/cancelled``.
    public struct Iterator: AsyncIteratorProtocol {
        private var hold: ChangeFeedHold?
        private let table: StoredTable<Row>

        init(feed: ChangeFeed, table: StoredTable<Row>) {
            hold = ChangeFeedHold(feed)
            self.table = table
        }

        /// The next change. Suspends until there is one.
        ///
        /// - Throws: ``StoreError/changeStream(name:_:)``; ``StoreError/row(_:)`` if the key does not fit the row's key
        ///   type; ``StoreError/closed(_:)`` once the store is closed; ``StoreError/damaged(_:)`` and
        ///   ``StoreError/logFailed(_:)`` if the log cannot be read; ``StoreError/cancelled``.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(StoreError) -> RowChange<Row>? {
            guard let feed = hold?.feed else { return nil }
            do throws(StoreError) {
                let change = try await feed.next()
                return try RowChange(change, feed.layouts.columns(of: table), feed)
            } catch {
                hold = nil
                throw error
            }
        }

        /// The same as ``next(isolation:)``, outside of any actor.
        public mutating func next() async throws(StoreError) -> RowChange<Row>? {
            try await next(isolation: nil)
        }
    }
}

extension Store {
    /// Follows the changes of a table: each put, update, delete and clear, also of rows that expired, in the order of
    /// the log. The stream has a name, under which the store keeps how far its consumer has come.
    ///
    /// ```swift
    /// for try await change in store.changes(of: posts, named: "webhook") {
    ///     try await deliver(change.key, change.columns)
    ///     if change.isLastOfCommit { try await change.acknowledge() }
    /// }
    /// ```
    ///
    /// A consumer gets each change at least once. After a crash, or when the stream is followed again, it goes on behind the
    /// last commit that was acknowledged. All changes of a commit come one after the other.
    ///
    /// A change is delivered only once it survives power loss, so no crash takes back what a consumer has seen. Therefore it
    /// comes up to ``StoreConfiguration/syncInterval`` after the write.
    ///
    /// The log is kept for the stream, up to ``StoreConfiguration/changeStreamLimit``, from the first call of `next()` on and
    /// until ``removeChangeStream(named:)``. A name has one consumer at a time. A second one gets
    /// ``ChangeStreamProblem/inUse``. To follow a table twice, use two names.
    ///
    /// A stream follows the log, not the database: a commit that the database refused is delivered, too. See
    /// <doc:FollowingChanges>.
    ///
    /// - Parameters:
    ///   - table: the table. It stays the same for the name.
    ///   - name: 1 to 255 bytes.
    ///   - start: where the stream begins if there is none of this name yet.
    public func changes<Row>(
        of table: StoredTable<Row>, named name: String, from start: ChangeStart = .now
    ) -> RowChanges<Row> {
        let last = engine.log.lastSequence
        let after: UInt64? = start == .now ? last : nil
        return RowChanges(table, store.changeStreams, named: name, after: after)
    }

    /// All change streams of the store, in the order of their names.
    public var changeStreams: [Health.ChangeStream] { store.changeStreams.list(engine.tables) }

    /// Removes a change stream: no log is kept for it any more. Its consumer, if it has one, gets
    /// ``ChangeStreamProblem/removed``. A later stream with the same name is a new one.
    ///
    /// - Returns: whether there was one.
    /// - Throws: what a write to the store's directory throws.
    @discardableResult
    public nonisolated(nonsending) func removeChangeStream(
        named name: String
    ) async throws(StoreError) -> Bool {
        try open()
        return try await Worker.waiting("changes") {
            [streams = store.changeStreams] () throws(StoreError) in
            try streams.remove(name)
        }
    }
}
