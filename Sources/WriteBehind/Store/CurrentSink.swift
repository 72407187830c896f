import EventLog

/// The database that reads use. It may have been put in the place of one that was lost.
struct CurrentSink {
    var sink: any Sink
    /// Whether it has not reached yet what the one before it held: rows that only that one had are not there.
    var isBehind = false
}

extension Engine {
    package var sink: any Sink { current.withLock { $0.sink } }

    package var sinkIsBehind: Bool { current.withLock { $0.isBehind } }

    /// The database, if what it says of rows is not older than what was read before (I5).
    func readableSink() throws(StoreError) -> any Sink {
        let current = current.withLock { $0 }
        guard !current.isBehind else {
            throw .database("it is being rebuilt, and this row is not in memory; try again soon")
        }
        return current.sink
    }

    /// Puts another database in the place of a lost one, at its own watermark.
    func replaceSink(with sink: any Sink) {
        current.withLock { $0 = CurrentSink(sink: sink, isBehind: true) }
    }

    func sinkDidCatchUp() { current.withLock { $0.isBehind = false } }
}
