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
                guard try !Self.checkpointCompletely(db) else { return writer.watermark }
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
            if error.kind == .io { state.withLock { $0.syncFailure = error } }
            throw error
        }
    }

    /// Returns whether all of the WAL is in the database now; false where readers still need it.
    private static func checkpointCompletely(_ db: Database) throws -> Bool {
        let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
        return row?[0] == 0
    }

    package func close() throws(SinkError) {
        guard !state.withLock(\.isClosed) else { return }
        state.withLock { $0.isClosed = true }
        try throwingSinkError {
            pool.writeWithoutTransaction { db in
                // The last connection to close is a reader, which cannot do this. Without it the
                // rows are safe too, in the WAL.
                _ = try? Self.checkpointCompletely(db)
                // Statements must be gone before their connection.
                writer.withLock { $0 = nil }
            }
            try pool.close()
        }
    }
}
