import EventLog

/// The database that reads use. It may have been put in the place of one that was lost.
struct CurrentSink {
    var sink: any Sink
    /// The sequence that a lost database had reached, until this one has come as far: until then it lacks rows that
    /// only the lost one had.
    var goal: UInt64?
    /// Why reads may not rest on it at all: a damaged log cannot bring it to where it is read to.
    var unfit: StoreError?
}

extension Engine {
    package var sink: any Sink { current.withLock { $0.sink } }

    package var sinkIsBehind: Bool { current.withLock { $0.goal != nil } }

    /// Whether a new database at `sequence` holds what the one before it did.
    func hasCaughtUp(at sequence: UInt64) -> Bool {
        current.withLock { $0.goal.map { sequence >= $0 } ?? true }
    }

    /// Everything through this sequence is in the database. Less than before when that was lost.
    var inDatabase: UInt64 { materialized.reached }

    /// The database, if what it says of rows is not older than what was read before (I5).
    func readableSink() throws(StoreError) -> any Sink {
        let current = current.withLock { $0 }
        if let unfit = current.unfit { throw unfit }
        guard current.goal == nil else {
            throw Self.isBeingReplaced
        }
        return current.sink
    }

    /// The answer to a read while a database is put in the place of a lost one.
    static var isBeingReplaced: StoreError {
        .database("it is being rebuilt, and this row is not in memory; try again soon")
    }

    /// Puts another database in the place of a lost one.
    func replaceSink(with sink: any Sink) {
        current.withLock { $0.sink = sink }
    }

    /// Nothing is in the database any more, until another is in its place and has come as far.
    func sinkWasLost() {
        current.withLock { $0.goal = max($0.goal ?? 0, materialized.reached) }
        materialized.startOver()
    }

    /// Only what is in memory can be read from now on.
    func sinkIsUnfit(_ error: StoreError) { current.withLock { $0.unfit = error } }

    func sinkDidCatchUp() { current.withLock { $0.goal = nil } }
}
