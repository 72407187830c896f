package import EventLog
import Foundation
package import GRDB
import GRDBSQLite
package import WriteBehindCore

/// The SQLite database that the log is materialized into: real tables with real columns, and beside them five
/// tables of the store's own, and one more once there is a projection.
///
///     _writebehind_watermark(log, sequence, chain, applied_at, generation, base, layout)
///                                                                what the tables reflect
///     _writebehind_table(id, name, schema)                       what was defined, as JSON
///     _writebehind_quarantine(sequence, …), …_key(table_id, key, since, …), …_group(id, followers)
///
/// It uses a WAL with `synchronous=NORMAL`: after a crash of the process everything committed is there, after
/// power loss a prefix of it, each transaction with its watermark. One connection writes and
/// makes checkpoints (in SQLite up to 3.51.2, two connections doing so can damage a database). Readers run beside it.
package final class SQLiteSink: ReplaceableSink {
    struct State {
        var tables: [UInt32: TableSQL] = [:]
        /// How many calls are applying definitions. From their commit on, the database may be ahead of `tables`.
        var definers = 0
        var quarantine = QuarantineIndex()
        /// The declared unique constraints that rows break, and so are not in force.
        var leftOut: [UInt32: [SQLIndexDefinition]] = [:]
        /// Statements of users that wait until this database can take them (``makeWaiting()``).
        var waiting: [String] = []
        /// When readers began to keep the WAL from being emptied, microseconds since 1970.
        var heldUpSince: Int64?
        var isClosed = false
        /// Since they were taken.
        var addsWithoutRow = 0
        /// Set by the first failed sync. Linux forgets pages that it could not write, so a second sync
        /// would succeed without them. After it, no checkpoint succeeds until the sink is opened again.
        var syncFailure: SinkError?
    }

    package let path: String
    let disk: any Disk
    /// For writes, and for users' reads.
    let pool: any DatabaseWriter
    /// Ends users' reads.
    let stop: ReadStop
    /// For the store's own reads, so that long queries of users do not hold them up.
    package let reads: any DatabaseReader
    let options: SQLiteOptions
    /// Whether the database has no file.
    let isInMemory: Bool
    package let registry: ProjectionRegistry
    let writer: Lock<SQLiteWriter?>
    let state: Lock<State>

    /// The database for its users, for reading only. Observations of it see what the store applies.
    ///
    /// Its connections refuse to write, and it cannot be closed while the sink is open.
    package let reader: any DatabaseReader

    /// Opens the database at `path`, or creates it (mode 0600) with `origin` as its watermark.
    ///
    /// Throws `.foreignDatabase`, having touched nothing, if the database belongs to another store or
    /// to none, and `.schema` if it has something that would change rows without the log.
    package convenience init(
        path: String, storeID: [UInt8], origin: Watermark, disk: any Disk,
        projections: ProjectionRegistry = ProjectionRegistry(),
        options: SQLiteOptions = SQLiteOptions()
    ) throws(SinkError) {
        let header = try SQLiteOpening.claim(path, storeID: storeID, disk: disk)
        let stop = ReadStop()
        let pool = try throwingSinkError {
            try DatabasePool(
                path: path, configuration: options.grdb(on: disk, stoppedBy: stop))
        }
        let opened = try SQLiteOpening.prepare(
            pool, storeID: storeID, origin: origin, header: header, projections, options)
        let reads = try throwingSinkError {
            var configuration = options.grdb(on: disk)
            configuration.readonly = true
            return try DatabasePool(path: path, configuration: configuration)
        }
        try self.init(path, on: disk, options, projections, pool: pool, reads: reads, stop, opened)
    }

    /// Opens a database in memory, with one connection for everything. The carry-over file is beside `path`.
    package convenience init(
        inMemory queue: DatabaseQueue, path: String, storeID: [UInt8], origin: Watermark,
        disk: any Disk, projections: ProjectionRegistry = ProjectionRegistry(),
        options: SQLiteOptions = SQLiteOptions()
    ) throws(SinkError) {
        let opened = try SQLiteOpening.prepare(
            queue, storeID: storeID, origin: origin, header: nil, projections, options)
        try self.init(
            path, on: disk, options, projections, pool: queue, reads: queue, ReadStop(), opened,
            isInMemory: true)
    }

    private init(
        _ path: String, on disk: any Disk, _ options: SQLiteOptions,
        _ registry: ProjectionRegistry, pool: any DatabaseWriter, reads: any DatabaseReader,
        _ stop: ReadStop, _ opened: SQLiteOpening.Opened, isInMemory: Bool = false
    ) throws(SinkError) {
        self.path = path
        self.disk = disk
        self.isInMemory = isInMemory
        self.registry = registry
        self.options = options
        self.pool = pool
        self.reads = reads
        self.stop = stop
        reader = AnyDatabaseReader(pool)
        writer = Lock(opened.writer)
        state = Lock(opened.state)
        let waiting = try aside()?.statements ?? []
        state.withLock { $0.waiting = waiting }
        try makeWaiting()
        try noteLeftOut(state.withLock { Array($0.tables.values) })
        try makeIndices()
    }

    package var tables: [WriteBehindCore.TableDefinition] {
        state.withLock { $0.tables.values.map(\.definition) }.sorted { $0.id < $1.id }
    }

    package func watermark() throws(SinkError) -> Watermark {
        try withWriter { _, writer in writer.watermark }
    }

    package func apply(_ batch: some SortedChanges) throws(SinkError) {
        // Checked before anything is applied. Otherwise each batch would be rolled back as long as a hot row is in quarantine.
        try quarantine.refuse(batch)
        try transaction(through: batch.through) { _, writer throws(SinkError) in
            writer.note(addsWithoutRow: batch.addsWithoutRow)
            let followed = writer.projections.followed
            for table in batch.cleared {
                if followed.contains(table) { throw .isFollowed }
                try writer.clear(table: table)
            }
            func apply(
                _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
            ) throws(SinkError) {
                if !followed.isEmpty, followed.contains(table) { throw .isFollowed }
                try writer.apply(kind, table: table, key: key, body: body)
            }
            try batch.forEach(apply)
        }
    }

    package func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        try withOrderedApply(through: through) { apply throws(SinkError) in
            for commit in commits { try apply.apply(commit) }
            return try apply.save()
        }
    }

    package func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes {
        let start = pass
        return try withOrderedApply(through: nil) { apply throws(SinkError) in
            pass = start
            apply.index.follow(&pass)
            for commit in commits { try apply.retry(commit, in: &pass) }
            if isLast { apply.index.replace(with: pass.left) }
            return try apply.save()
        }
    }

    /// Runs ordered commits in one transaction. The new quarantine is shown once the transaction is
    /// committed. A trigger's RAISE(ROLLBACK) rolls back the whole transaction; then everything
    /// runs again, without the commit that caused it.
    private func withOrderedApply<Result>(
        through: Watermark?, _ body: (inout OrderedApply) throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        let (before, tables) = state.withLock { ($0.quarantine, $0.tables) }
        var destroyers: [UInt64: SinkError] = [:]
        while true {
            var apply: OrderedApply?
            defer { if apply?.defined.isEmpty == false { state.withLock { $0.definers -= 1 } } }
            do throws(SinkError) {
                let result = try transaction(through: through) { db, writer throws(SinkError) in
                    var new = try OrderedApply(
                        db, writer: writer, tables: tables, index: before, known: destroyers,
                        now: options.now())
                    defer {
                        apply = new
                        if !new.defined.isEmpty { state.withLock { $0.definers += 1 } }
                    }
                    return try body(&new)
                }
                guard let apply else { return result }
                state.withLock { $0.quarantine = apply.index }
                // The transaction is committed, so this call must not throw. If a trigger writes a table, or the
                // database is locked by now, the next transaction reports it.
                if !apply.defined.isEmpty { try? show(apply.defined, checkedAt: nil) }
                return result
            } catch {
                if apply?.defined.isEmpty == false {
                    // Tables that it defined were rolled back with it.
                    try withWriter { _, writer in writer.use(tables) }
                }
                if try withWriter({ _, writer in writer.projections.takeEnd() }) { continue }
                guard let destroyer = apply?.destroyer else { throw error }
                destroyers[destroyer] = error
            }
        }
    }

    package var quarantine: QuarantineIndex { state.withLock(\.quarantine) }

    /// Runs `body` in one transaction that holds the write lock from its start, with the watermark.
    func transaction<Result>(
        through: Watermark?, _ body: (Database, SQLiteWriter) throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        try withWriter { db, writer in
            var result: Result?
            try db.inTransaction(.immediate) {
                try writer.begin(db)
                writer.projections.begin(at: writer.watermark)
                result = try body(db, writer)
                try writer.projections.finish(
                    db, from: writer.watermark, to: through ?? writer.watermark,
                    changing: writer.touched)
                // Also where it stays: an older database may have been put into this one's place.
                try writer.advance(to: through ?? writer.watermark, at: options.now())
                try writer.notify(db)
                return .commit
            }
            writer.didCommit(through)
            writer.projections.didCommit(at: writer.watermark)
            state.withLock { [missed = writer.addsWithoutRow] in $0.addsWithoutRow += missed }
            checkpointIfLong(db, writer)
            // If there is no result, `body` has thrown, and so has the transaction.
            return result!
        }
    }

    package func takeAddsWithoutRow() -> Int {
        state.withLock { state in
            defer { state.addsWithoutRow = 0 }
            return state.addsWithoutRow
        }
    }

    /// If this fails, the transaction before it is committed nevertheless.
    private func checkpointIfLong(_ db: Database, _ writer: SQLiteWriter) {
        guard state.withLock({ $0.syncFailure == nil }) else { return }
        do {
            let isHeldUp = state.withLock { $0.heldUpSince != nil }
            guard try writer.isCheckpointDue(at: options.now(), isHeldUp: isHeldUp) else { return }
            noteHolding(try writer.checkpoint(db, at: options.now()))
        } catch {
            noteSyncFailure(SinkError(wrapping: error))
        }
    }

    func noteHolding(_ isComplete: Bool) {
        let now = options.now()
        state.withLock { $0.heldUpSince = isComplete ? nil : $0.heldUpSince ?? now }
    }

    package func lockHolder() -> String? { LockHolder.find(of: path) }

    package func concern() -> String? {
        let concerns = [leftOutConstraints, heldUp()].compactMap(\.self)
        return concerns.isEmpty ? nil : concerns.joined(separator: "; ")
    }

    private func heldUp() -> String? {
        guard let since = state.withLock(\.heldUpSince) else { return nil }
        let size = try? FileManager.default.attributesOfItem(atPath: path + "-wal")[.size]
        let megabytes = ((size as? Int) ?? 0) >> 20
        return """
            for \((options.now() - since) / 1_000_000) s a reader\(LockHolder.otherReaders(of: path)) has \
            kept database.sqlite-wal from being emptied, which takes \(megabytes) MiB now; end reads \
            that last so long
            """
    }

    func noteSyncFailure(_ error: SinkError) {
        if error.kind == .io { state.withLock { $0.syncFailure = error } }
    }

    /// Runs `body` where the writing connection may be used.
    func withWriter<Result>(
        _ body: (Database, SQLiteWriter) throws -> Result
    ) throws(SinkError) -> Result {
        try throwingSinkError {
            try pool.writeWithoutTransaction { db in
                guard let writer = writer.withLock({ $0 }) else {
                    throw SinkError(.gone, "the database is closed")
                }
                return try body(db, writer)
            }
        }
    }
}

extension SinkError {
    /// The caller then applies the same commits in order.
    fileprivate static var isFollowed: SinkError {
        SinkError(.constraint, "a projection follows the table, and needs each change")
    }
}
