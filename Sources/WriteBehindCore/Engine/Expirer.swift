import EventLog

/// Deletes rows whose expiry column says that they are due, by ordinary logged deletes, so that replay is
/// deterministic. Frees what clears have left in memory, too.
///
/// The database's index over the expiry column finds due rows, so memory is not searched and puts cost nothing more.
/// Two kinds of rows are newer in memory than in that index: rows in quarantine, which are checked by their keys, and rows
/// that the database has yet to get. If the database has not reached the point where the log ended at the step before,
/// it is behind, and memory is searched for such rows, a few at a time.
package final class Expirer: Sendable {
    private struct State {
        /// The last sequence when the step before began.
        var lastSequence: UInt64 = 0
        var nextStep: UInt64 = 0
    }

    private let engine: Engine
    private let state = Lock(State())
    /// The most rows that one step takes from the database or from memory, for each table.
    private let batch: Int

    package init(engine: Engine, batch: Int = 100_000) {
        self.engine = engine
        self.batch = batch
    }

    /// The work of its thread: frees memory at once, deletes rows when it is time. Returns the nanoseconds until then.
    package func work(interval: UInt64, shortInterval: UInt64) throws(StoreError) -> UInt64 {
        engine.view.freeCleared()
        let now = engine.time.monotonicNanoseconds()
        let next = state.withLock { $0.nextStep }
        if now < next { return next - now }
        var pause = interval
        defer { state.withLock { $0.nextStep = now + pause } }
        if try step() { pause = shortInterval }
        return pause
    }

    /// Deletes rows that are due now. Returns whether more rows may be due.
    package func step() throws(StoreError) -> Bool {
        engine.view.freeCleared()
        let last = engine.log.lastSequence
        let isBehind = state.withLock { state in
            defer { state.lastSequence = last }
            return engine.materialized.reached < state.lastSequence
        }
        let now = Int64(engine.time.wallMilliseconds() / 1000)
        var mayBeMore = false
        for definition in engine.tables.tables {
            guard let table = ExpiringTable(definition) else { continue }
            let generations = engine.view.sinkGenerations()
            let stored = try dueInDatabase(table, now)
            mayBeMore = mayBeMore || stored.isFull
            var unknown = try delete(stored.rows, of: table, generations, now)
            var named = stored.quarantined
            if isBehind {
                named += engine.view.dueRows(of: table, now, limit: batch)
                mayBeMore = mayBeMore || named.count >= batch
            }
            unknown += try delete(DueRows(keys: named), of: table, generations, now)
            // Waits only once for the database to take what was added to these rows. Those that were added to meanwhile have
            // their turn later, and hold up no others.
            do throws(StoreError) {
                _ = try engine.fetchCountedBlocking(table.id, unknown)
            } catch {
                guard case .database = error else { throw error }
                mayBeMore = true
            }
            for key in unknown {
                if engine.isCounted(table.id, key) {
                    mayBeMore = true
                } else {
                    try delete(key, of: table, ifDueAt: now)
                }
            }
        }
        return mayBeMore
    }

    private func dueInDatabase(
        _ table: ExpiringTable, _ now: Int64
    ) throws(StoreError) -> (rows: DueRows, quarantined: [[UInt8]], isFull: Bool) {
        // A database that is being rebuilt may show rows that were deleted.
        guard !engine.sinkIsBehind, engine.sink.holds(UInt32(table.id)) else {
            return (DueRows(keys: []), [], false)
        }
        let quarantined = engine.sink.quarantine.held.keys.compactMap { key in
            key.row(of: UInt32(table.id))
        }
        // Rows whose deletes the database refused are still in it, and have been due the longest, so it lists them first.
        let limit = batch + quarantined.count
        do throws(SinkError) {
            let rows = try engine.sink.dueRows(UInt32(table.id), before: now, limit: limit)
            return (rows, quarantined, rows.keys.count == limit)
        } catch {
            throw StoreError(error)
        }
    }

    private func delete(
        _ rows: DueRows, of table: ExpiringTable, _ generations: [UInt64], _ now: Int64
    ) throws(StoreError) -> [[UInt8]] {
        // As long as the database has the index over another column, its answer says nothing about this one.
        let candidates = DueCandidates(
            keys: rows.keys, watermark: rows.column == table.column ? rows.watermark : nil,
            generations: generations)
        return try engine.deleteDue(candidates, of: table, now: now)
    }

    /// Reads a row from the database, and deletes it if it is still due under its shard's lock.
    private func delete(
        _ key: [UInt8], of table: ExpiringTable, ifDueAt now: Int64
    ) throws(StoreError) {
        let row = try engine.fetchBlocking(table.id, key)
        guard let body = row.body, table.isDue(body.span, now)
        else { return }
        var commit = CommitBuilder()
        commit.append(.delete, table: table.id, key: key.span, body: Span())
        let read = ReadVersion(table: table.id, key: key, version: row.version)
        _ = try engine.commit(commit, reads: [read])
    }
}

extension QuarantinedKey {
    func row(of table: UInt32) -> [UInt8]? {
        guard case .row(table, let key) = self else { return nil }
        return key
    }
}

extension CacheView {
    func sinkGenerations() -> [UInt64] {
        (0..<shardCount).map { number in withShard(number: number) { $0.sinkGeneration } }
    }

    /// Keys of whole rows that are due and that the database lacks. Walks over all rows, a few of each shard in
    /// turn, so that other threads get the shards in between.
    fileprivate func dueRows(of table: ExpiringTable, _ now: Int64, limit: Int) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        var cursors = Array(repeating: Arena.Cursor?.some(Arena.Cursor()), count: shardCount)
        while keys.count < limit, cursors.contains(where: { $0 != nil }) {
            for number in 0..<shardCount {
                guard let cursor = cursors[number] else { continue }
                cursors[number] = withShard(number: number) { shard in
                    shard.forSomeDirtyRows(of: table.id, from: cursor) { key, body in
                        if table.isDue(body, now) { keys.append(Array(copying: key)) }
                    }
                }
            }
        }
        return keys
    }
}
