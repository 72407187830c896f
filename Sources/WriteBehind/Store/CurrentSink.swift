import EventLog

/// The database that reads use. It may have been put in the place of one that was lost.
struct CurrentSink {
    var sink: any Sink
    /// How far it is, as long as it has not reached what the one before it held: rows that only that one had
    /// are not there.
    var behind: UInt64?
}

extension Engine {
    package var sink: any Sink { current.withLock { $0.sink } }

    package var sinkIsBehind: Bool { current.withLock { $0.behind != nil } }

    /// Everything through this sequence is in the database. May be less than before when that was lost.
    var inDatabase: UInt64 { current.withLock { $0.behind } ?? materialized.reached }

    /// The database, if what it says of rows is not older than what was read before (I5).
    func readableSink() throws(StoreError) -> any Sink {
        let current = current.withLock { $0 }
        guard current.behind == nil else {
            throw .database("it is being rebuilt, and this row is not in memory; try again soon")
        }
        return current.sink
    }

    /// Puts another database in the place of a lost one, at its own watermark.
    func replaceSink(with sink: any Sink, at sequence: UInt64) {
        current.withLock { $0 = CurrentSink(sink: sink, behind: sequence) }
    }

    /// Nothing is in the database any more, until another is in its place and has come as far.
    func sinkWasLost() { current.withLock { $0.behind = 0 } }

    func sinkDidAdvance(to sequence: UInt64) {
        current.withLock { if $0.behind != nil { $0.behind = sequence } }
    }

    func sinkDidCatchUp() { current.withLock { $0.behind = nil } }
}
