import EventLog
import Synchronization

/// Delivers a change stream to one consumer. It suspends until there is a change; ``ChangeSource`` never waits for one.
final class ChangeFeed: Sendable {
    private let engine: Engine
    private let streams: ChangeStreams
    private let source: ChangeSource
    private let name: String
    /// Where a new stream begins; nil for the oldest commit that the log holds.
    private let start: UInt64?
    /// The columns of the tables.
    let layouts: ChangeLayouts

    init(
        _ engine: Engine, _ streams: ChangeStreams, named name: String, table: UInt32,
        after start: UInt64?
    ) {
        self.engine = engine
        self.streams = streams
        self.name = name
        self.start = start
        source = ChangeSource(streams, named: name, table: table, after: start)
        layouts = ChangeLayouts(engine)
    }

    /// The next change. Suspends until there is one; no thread of Swift's pool waits for the disk.
    nonisolated(nonsending) func next() async throws(StoreError) -> LoggedChange {
        do throws(StoreError) {
            while true {
                if Task.isCancelled { throw .cancelled }
                if let change = try source.take() { return change }
                try await waitUntilReadable()
                try await Worker.waiting("changes") { [source] () throws(StoreError) in
                    try source.fill()
                }
            }
        } catch {
            source.end()
            throw error
        }
    }

    private nonisolated(nonsending) func waitUntilReadable() async throws(StoreError) {
        if let wanted = source.wanted {
            try await engine.readable.wait(for: wanted)
        } else if let start, streams.position(of: name) == nil, engine.log.readable < start {
            // A new stream begins behind everything that was written before `changes(of:named:from:)` was called.
            engine.log.flusher?.request(readable: start)
            try await engine.readable.wait(for: start)
        }
    }

    /// Gives the stream back. What was delivered can still be acknowledged.
    func end() { source.end() }

    /// Suspends until the position would survive a crash.
    nonisolated(nonsending) func acknowledge(_ change: LoggedChange) async throws(StoreError) {
        // Does not use the source: its lock is held while the log is read.
        try streams.acknowledge(change.position, of: name, change.claim)
        try await Worker.waiting("changes") { [streams] () throws(StoreError) in
            try streams.write()
        }
    }
}

/// Gives a stream back when the last copy of its iterator is gone. Changes may live longer.
final class ChangeFeedHold: Sendable {
    let feed: ChangeFeed

    init(_ feed: ChangeFeed) { self.feed = feed }
    deinit { feed.end() }
}

/// How the changes of tables are read, made once for each type of rows and looked up again when a table has changed.
final class ChangeLayouts: Sendable {
    /// What a layout is found by. It keeps the type's own layout, so no other has its identifier.
    private enum ID: Hashable {
        case type(ObjectIdentifier)
        case table(UInt32)
    }

    private struct Known {
        var generation: UInt32
        var columns: ChangeLayout
    }

    /// More than programs have types.
    private static let limit = 1_000

    private let engine: Engine
    private let known = Lock<[ID: Known]>([:])

    init(_ engine: Engine) { self.engine = engine }

    /// Whether a table is one of this store.
    func isOwn<Row>(_ table: StoredTable<Row>) -> Bool { table.engine === engine }

    /// The columns of a table as a type of rows has them.
    func columns<Row>(of table: StoredTable<Row>) -> ChangeLayout {
        find(.type(ObjectIdentifier(table.layout))) {
            ChangeLayout(
                table.layout, engine.tables[UInt32(table.id)]?.schema ?? table.layout.schema)
        }
    }

    /// The columns of a table as it has them itself, and its name.
    func columns(ofTable id: UInt32) throws(StoreError) -> (name: String, columns: ChangeLayout) {
        guard let schema = engine.tables[id]?.schema else {
            throw .damaged("table \(id) is not defined before its changes")
        }
        let columns = find(.table(id)) {
            ChangeLayout(RowLayout(schema, storedAs: schema), schema)
        }
        return (schema.name, columns)
    }

    private func find(_ id: ID, _ make: () -> ChangeLayout) -> ChangeLayout {
        // Before the table is looked at: what comes between makes the next change look again.
        let generation = engine.generation.load(ordering: .relaxed)
        if let known = known.withLock({ $0[id] }), known.generation == generation {
            return known.columns
        }
        let columns = make()
        known.withLock { all in
            if all.count >= Self.limit { all = [:] }
            all[id] = Known(generation: generation, columns: columns)
        }
        return columns
    }
}
