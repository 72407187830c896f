import EventLog

/// A transaction that reads: its changes are written only if nothing that it has read was changed meanwhile.
///
/// It sees its own changes. Use it only in the closure that it was handed to, by one task at a time. After a
/// crash all of its changes are there or none.
///
/// Its methods throw ``StoreError/row(_:)`` for what does not fit its table, ``StoreError/unknownTable(_:)``
/// for a table of another store, and ``StoreError/database(_:)`` when the database has to be read and cannot be.
public final class ReadingTransaction {
    private struct RowID: Hashable {
        var table: UInt16
        var key: [UInt8]
    }

    private let engine: Engine
    private(set) var changes: Transaction
    private(set) var reads: [ReadVersion] = []
    /// The bytes of rows as this transaction sees them; nil is deleted or absent.
    private var seen: [RowID: [UInt8]?] = [:]

    init(engine: Engine) {
        self.engine = engine
        changes = Transaction(engine: engine)
    }

    /// The row with this key, with this transaction's own changes; nil if there is none.
    public func get<Row>(_ key: Row.Key, from table: StoredTable<Row>) async throws -> Row? {
        let bytes = try table.encoded(key)
        return try await body(bytes, table).map { try table.decode(key: bytes, body: $0) }
    }

    /// Writes a whole row, in the place of the one with its key if there is one.
    public func put<Row>(_ row: Row, in table: StoredTable<Row>) throws(StoreError) {
        let (key, body) = try table.encoded(row)
        try changes.put(row, in: table)
        seen[RowID(table: table.id, key: key)] = .some(body)
    }

    /// Deletes the row with this key, if there is one.
    public func delete<Row>(_ key: Row.Key, from table: StoredTable<Row>) throws(StoreError) {
        try changes.delete(key, from: table)
        seen[RowID(table: table.id, key: try table.encoded(key))] = .some(nil)
    }

    /// Changes a row; only the columns that differ are logged.
    ///
    /// - Returns: whether there is such a row.
    /// - Throws: ``StoreError/keyChanged(table:)`` if `change` gave it another key.
    @discardableResult
    public func update<Row>(
        _ key: Row.Key, in table: StoredTable<Row>, _ change: (inout Row) throws -> Void
    ) async throws -> Bool {
        let bytes = try table.encoded(key)
        guard let body = try await body(bytes, table) else { return false }
        var row = try table.decode(key: bytes, body: body)
        try change(&row)
        if try changes.patch(table, key: bytes, from: body, to: row) {
            seen[RowID(table: table.id, key: bytes)] = .some(try table.encoded(row).body)
        }
        return true
    }

    private func body<Row>(_ key: [UInt8], _ table: StoredTable<Row>) async throws -> [UInt8]? {
        guard table.engine === engine else { throw StoreError.unknownTable(table.name) }
        let id = RowID(table: table.id, key: key)
        if let known = seen[id] { return known }
        let fetched = try await engine.fetch(table.id, key)
        reads.append(ReadVersion(table: table.id, key: key, version: fetched.version))
        seen[id] = .some(fetched.body)
        return fetched.body
    }
}
