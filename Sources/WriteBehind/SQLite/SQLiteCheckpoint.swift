import EventLog
import GRDB
import GRDBSQLite
import Synchronization

extension SQLiteSink {
    /// Copies the WAL into the database as far as readers let it, and syncs.
    ///
    /// Where a reader holds the checkpoint up, the WAL itself is synced instead, by a commit under
    /// `synchronous=FULL`: that makes everything before it survive as well.
    package func checkpoint() throws(SinkError) -> Watermark {
        if let failure = state.withLock(\.syncFailure) { throw failure }
        do throws(SinkError) {
            return try withWriter { db, writer in
                let isComplete = try writer.checkpoint(db, at: options.now())
                noteHolding(isComplete)
                if isComplete { return writer.watermark }
                try db.execute(sql: "PRAGMA synchronous = FULL")
                defer { try? db.execute(sql: "PRAGMA synchronous = NORMAL") }
                try db.inTransaction(.immediate) {
                    try writer.begin(db)
                    try writer.advance(to: writer.watermark, at: options.now())
                    return .commit
                }
                return writer.watermark
            }
        } catch {
            noteSyncFailure(error)
            throw error
        }
    }

    package func close() throws(SinkError) { try close(readsMayLast: 0) }

    /// Users' reads are interrupted, one statement after the other, when they have lasted too long; what does not
    /// end even so keeps its connections, which can only read, until it does.
    package func close(readsMayLast nanoseconds: UInt64) throws(SinkError) {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        if nanoseconds == 0 { pool.interrupt() }
        try throwingSinkError {
            pool.writeWithoutTransaction { db in
                // The last connection to close is a reader, which cannot do this. Without it the
                // rows are safe too, in the WAL.
                if let writer = writer.withLock({ $0 }) {
                    _ = try? writer.checkpoint(db, at: options.now())
                }
                // Statements must be gone before their connection.
                writer.withLock { $0 = nil }
            }
            try reads.close()
        }
        let users = pool
        let closing = Closing()
        Worker.detached("database closer") {
            // Not interrupted while it is closed: GRDB does not guard the one against the other.
            let drained = Result { () throws(SinkError) in
                try throwingSinkError { try users.barrierWriteWithoutTransaction { _ in } }
            }
            closing.readsEnded()
            closing.end(
                Result { () throws(SinkError) in
                    try drained.get()
                    try throwingSinkError { try users.close() }
                })
        }
        try closing.wait(nanoseconds: nanoseconds) { users.interrupt() }
    }
}

/// Waits for the connections that users read with to end.
private final class Closing: Sendable {
    private struct State {
        var hasReads = true
        var result: Result<Void, SinkError>?
    }

    private let state = Lock(State())
    private let done = Signal()
    /// For how long reads are interrupted before they are left alone.
    private static let patience: UInt64 = 1_000_000_000
    private static let pause: UInt64 = 5_000_000

    func readsEnded() { state.withLock { $0.hasReads = false } }

    func end(_ result: Result<Void, SinkError>) {
        state.withLock { $0.result = result }
        done.raise()
    }

    /// - Parameter interrupt: ends the statements that run, after so many nanoseconds and again and again.
    func wait(nanoseconds: UInt64, _ interrupt: () -> Void) throws(SinkError) {
        done.wait(after: 0, nanoseconds: nanoseconds)
        var waited: UInt64 = 0
        while waited < Self.patience {
            let result = state.withLock { state in
                if state.hasReads { interrupt() }
                return state.result
            }
            if let result { return try result.get() }
            done.wait(after: 0, nanoseconds: Self.pause)
            waited += Self.pause
        }
        throw SinkError(.busy, "a read of a user's goes on though it was interrupted")
    }
}
