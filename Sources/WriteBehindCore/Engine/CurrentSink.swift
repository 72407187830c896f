import EventLog

/// The database that reads use. It may have replaced one that was lost.
struct CurrentSink {
    var sink: any Sink
    /// The sequence that a lost database had reached. Until this one has reached it, it lacks rows that only the lost one
    /// had; then this is nil.
    var goal: UInt64?
    /// Why it cannot be read at all: the log is damaged, and cannot bring it far enough.
    var unfit: StoreError?
}

extension Engine {
    package var sink: any Sink { current.withLock { $0.sink } }

    package var sinkIsBehind: Bool { current.withLock { $0.goal != nil } }

    /// Whether a new database at `sequence` holds everything that the one before it did.
    func hasCaughtUp(at sequence: UInt64) -> Bool {
        current.withLock { $0.goal.map { sequence >= $0 } ?? true }
    }

    /// Everything through this sequence is in the database. It goes back when a database is lost.
    var inDatabase: UInt64 { materialized.reached }

    /// The database, if its rows are not older than those that were read before (I5).
    func readableSink() throws(StoreError) -> any Sink {
        let current = current.withLock { $0 }
        if let unfit = current.unfit { throw unfit }
        guard current.goal == nil else {
            throw Self.isBeingReplaced
        }
        return current.sink
    }

    /// The error of a read while a lost database is being replaced.
    static var isBeingReplaced: StoreError {
        .database("it is being rebuilt, and this row is not in memory; try again soon")
    }

    /// Replaces a lost database by another one.
    func replaceSink(with sink: any Sink) {
        current.withLock { $0.sink = sink }
    }

    /// Nothing is in the database any more, until another one has replaced it and has come as far.
    func sinkWasLost() {
        current.withLock { $0.goal = max($0.goal ?? 0, materialized.reached) }
        materialized.startOver()
    }

    /// Only what is in memory can be read from now on.
    func sinkIsUnfit(_ error: StoreError) { current.withLock { $0.unfit = error } }

    func sinkDidCatchUp() { current.withLock { $0.goal = nil } }
}
