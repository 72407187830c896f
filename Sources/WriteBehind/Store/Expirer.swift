import EventLog

/// Deletes rows whose expiry column says that they are due, by ordinary logged deletes, so that replay is
/// deterministic.
package final class Expirer: Sendable {
    private let engine: Engine
    /// The most rows that one step takes from the database, a table.
    private static let batch = 1000

    init(engine: Engine) {
        self.engine = engine
    }

    /// Deletes what is due now, in the order of tables and keys. Returns whether that may not be all.
    package func step() throws(StoreError) -> Bool {
        let now = Int64(engine.time.wallMilliseconds() / 1000)
        var mayBeMore = false
        for table in engine.tables.tables {
            guard let column = table.schema.expiryIndex else { continue }
            let (stored, isFull) = try dueInDatabase(table, now)
            mayBeMore = mayBeMore || isFull
            let keys = Set(dueInView(table, column, now)).union(stored)
            for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
                try delete(key, of: table, column, ifDueAt: now)
            }
        }
        return mayBeMore
    }

    private func dueInDatabase(
        _ table: TableDefinition, _ now: Int64
    ) throws(StoreError) -> (keys: [[UInt8]], isFull: Bool) {
        guard engine.sink.holds(table.id) else { return ([], false) }
        // Rows whose deletes it refused are still there, first of all.
        let limit = Self.batch + engine.sink.quarantine.held.count
        do throws(SinkError) {
            let keys = try engine.sink.dueRows(table.id, before: now, limit: limit)
            return (keys, keys.count == limit)
        } catch {
            throw StoreError(error)
        }
    }

    private func dueInView(
        _ table: TableDefinition, _ column: Int, _ now: Int64
    ) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        engine.view.forEachShard { shard in
            shard.forEachFullRow(of: UInt16(table.id)) { key, body in
                if Self.isDue(body, column, table.schema, now) { keys.append(Array(copying: key)) }
            }
        }
        return keys
    }

    /// Deletes the row if it is still due under its shard's lock.
    private func delete(
        _ key: [UInt8], of table: TableDefinition, _ column: Int, ifDueAt now: Int64
    ) throws(StoreError) {
        let id = UInt16(table.id)
        guard let row = try engine.fetchBlocking(id, key), let body = row.body,
            Self.isDue(body.span, column, table.schema, now)
        else { return }
        var commit = CommitBuilder()
        commit.append(.delete, table: id, key: key.span, body: [UInt8]().span)
        let read = ReadVersion(table: id, key: key, version: row.version)
        _ = try engine.commit(commit, reads: [read])
    }

    private static func isDue(
        _ body: Span<UInt8>, _ column: Int, _ schema: TableSchema, _ now: Int64
    ) -> Bool {
        guard let values = try? RowCodec.decodeRow(body, schema), column < values.count,
            case .integer(let due) = values[column]
        else { return false }
        return due <= now
    }
}
