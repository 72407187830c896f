import EventLog

/// Delivers a change stream to one consumer. It suspends until there is a change; ``ChangeSource`` never waits for one.
final class ChangeFeed: Sendable {
    private let engine: Engine
    private let streams: ChangeStreams
    private let source: ChangeSource
    private let name: String
    /// Where a new stream begins; nil for the oldest commit that the log holds.
    private let start: UInt64?

    init(
        _ engine: Engine, _ streams: ChangeStreams, named name: String, table: UInt32,
        after start: UInt64?
    ) {
        self.engine = engine
        self.streams = streams
        self.name = name
        self.start = start
        source = ChangeSource(streams, named: name, table: table, after: start)
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
