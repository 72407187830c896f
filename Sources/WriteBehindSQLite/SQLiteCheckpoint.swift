import EventLog
import GRDB
import GRDBSQLite
import Synchronization
package import WriteBehindCore

extension SQLiteSink {
    /// Copies the WAL into the database as far as readers allow it, and syncs.
    ///
    /// If a reader holds the checkpoint up, the WAL itself is synced instead, by a commit under
    /// `synchronous=FULL`, which makes everything before it survive as well.
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

    /// Users' reads are ended when they have lasted too long. A read that does not end even then keeps its connection, which
    /// can only read, until it ends.
    package func close(readsMayLast nanoseconds: UInt64) throws(SinkError) {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        if nanoseconds == 0 { stop.set() }
        try throwingSinkError {
            pool.writeWithoutTransaction { db in
                // The last connection to be closed is a reader, which cannot do this. If it fails, the
                // rows are safe in the WAL.
                if let writer = writer.withLock({ $0 }) {
                    _ = try? writer.checkpoint(db, at: options.now())
                }
                // Statements must be finalized before their connection is closed.
                writer.withLock { $0 = nil }
            }
            try reads.close()
        }
        let users = pool
        let closing = Closing()
        Worker.detached("database closer") {
            closing.end(
                Result { () throws(SinkError) in try throwingSinkError { try users.close() } })
        }
        try closing.wait(nanoseconds: nanoseconds, then: stop)
    }
}

/// Waits until users' reading connections are closed.
private final class Closing: Sendable {
    private let result = Lock<Result<Void, SinkError>?>(nil)
    private let done = Signal()
    /// How long to wait for reads to end after they were stopped, nanoseconds. After that, they are left alone.
    private static let patience: UInt64 = 1_000_000_000

    func end(_ result: Result<Void, SinkError>) {
        self.result.withLock { $0 = result }
        done.raise()
    }

    func wait(nanoseconds: UInt64, then stop: ReadStop) throws(SinkError) {
        done.wait(after: 0, nanoseconds: nanoseconds)
        stop.set()
        done.wait(after: 0, nanoseconds: Self.patience)
        guard let result = result.withLock({ $0 }) else {
            throw SinkError(.busy, "a read of a user's goes on though it was stopped")
        }
        try result.get()
    }
}
