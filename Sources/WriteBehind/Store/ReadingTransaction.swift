import EventLog

/// A transaction that reads: its changes are written only if nothing that it has read was changed meanwhile.
///
/// It sees its own changes. Use it only in the closure that it was handed to, by one task at a time. After a
/// crash all of its changes are there or none.
///
/// Its methods throw ``StoreError/row(_:)`` for what does not fit its table, ``StoreError/unknownTable(_:)``
/// for a table of another store, and ``StoreError/database(_:)`` when the database has to be read and cannot be.
public final class ReadingTransaction: Sendable {
    private struct RowID: Hashable {
        var table: UInt16
        var key: [UInt8]
    }

    private struct State {
        var changes: Transaction
        var reads: [ReadVersion] = []
        /// The bytes of rows as this transaction sees them; nil is deleted or absent.
        var seen: [RowID: [UInt8]?] = [:]
    }

    private let engine: Engine
    /// Locked only so that functions of any isolation may be handed the transaction: one task uses it at a time.
    private let state: Lock<State>

    init(engine: Engine) {
        self.engine = engine
        state = Lock(State(changes: Transaction(engine: engine)))
    }

    var changes: Transaction { state.withLock { $0.changes } }
    var reads: [ReadVersion] { state.withLock { $0.reads } }

    /// The row with this key, with this transaction's own changes; nil if there is none.
    public func get<Row>(_ key: Row.Key, from table: StoredTable<Row>) async throws -> Row? {
        let bytes = try table.encoded(key)
        return try await body(bytes, table).map { try table.decode(key: bytes, body: $0) }
    }

    /// Writes a whole row, in the place of the one with its key if there is one.
    public func put<Row>(_ row: Row, in table: StoredTable<Row>) throws(StoreError) {
        let (key, body) = try table.encoded(row)
        try state.withLock { (state) throws(StoreError) in
            try state.changes.put(row, in: table)
            state.seen[RowID(table: table.id, key: key)] = .some(body)
        }
    }

    /// Deletes the row with this key, if there is one.
    public func delete<Row>(_ key: Row.Key, from table: StoredTable<Row>) throws(StoreError) {
        let bytes = try table.encoded(key)
        try state.withLock { (state) throws(StoreError) in
            try state.changes.delete(key, from: table)
            state.seen[RowID(table: table.id, key: bytes)] = .some(nil)
        }
    }

    /// Changes a row; only the columns that differ are logged. Also the way to add to a counter here.
    ///
    /// - Returns: whether there is such a row.
    /// - Throws: ``StoreError/keyChanged(table:)`` if `change` gave it another key.
    @discardableResult
    public nonisolated(nonsending) func update<Row>(
        _ key: Row.Key, in table: StoredTable<Row>, _ change: (inout Row) throws -> Void
    ) async throws -> Bool {
        let bytes = try table.encoded(key)
        guard let body = try await body(bytes, table) else { return false }
        var row = try table.decode(key: bytes, body: body)
        try change(&row)
        let after = try table.encoded(row).body
        try state.withLock { [row] (state) throws(StoreError) in
            if try state.changes.patch(table, key: bytes, from: body, to: row) {
                state.seen[RowID(table: table.id, key: bytes)] = .some(after)
            }
        }
        return true
    }

    private func body<Row>(_ key: [UInt8], _ table: StoredTable<Row>) async throws -> [UInt8]? {
        guard table.engine === engine else { throw StoreError.unknownTable(table.name) }
        let id = RowID(table: table.id, key: key)
        if let known = state.withLock({ $0.seen[id] }) { return known }
        let fetched = try await engine.fetch(table.id, key)
        state.withLock {
            $0.reads.append(ReadVersion(table: table.id, key: key, version: fetched.version))
            $0.seen[id] = .some(fetched.body)
        }
        return fetched.body
    }
}
