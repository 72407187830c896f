import EventLog

/// Changes that become one commit. They are seen by nobody until it is written, and after a crash all of them
/// are there or none.
///
/// Its methods throw ``StoreError/row(_:)`` for what does not fit its table, and
/// ``StoreError/unknownTable(_:)`` for a table of another store.
public struct Transaction: Sendable {
    private let engine: Engine
    package var commit = CommitBuilder()

    init(engine: Engine) {
        self.engine = engine
    }

    /// Writes a whole row, in the place of the one with its key if there is one.
    public mutating func put<Row>(
        _ row: Row, in table: StoredTable<Row>
    ) throws(StoreError) {
        try check(table)
        let (key, body) = try table.encoded(row)
        commit.append(.put, table: table.id, key: key.span, body: body.span)
    }

    /// Deletes the row with this key, if there is one.
    public mutating func delete<Row>(
        _ key: Row.Key, from table: StoredTable<Row>
    ) throws(StoreError) {
        try check(table)
        let bytes = try table.encoded(key)
        commit.append(.delete, table: table.id, key: bytes.span, body: Span())
    }

    /// Deletes all rows of a table.
    public mutating func clear<Row>(_ table: StoredTable<Row>) throws(StoreError) {
        try check(table)
        commit.appendClear(table: table.id)
    }

    private func check<Row>(_ table: StoredTable<Row>) throws(StoreError) {
        guard table.engine === engine else { throw .unknownTable(table.name) }
    }

    /// Logs the columns in which a row differs from its bytes; false if in none.
    mutating func patch<Row>(
        _ table: StoredTable<Row>, key: [UInt8], from body: [UInt8], to row: Row
    ) throws(StoreError) -> Bool {
        let (newKey, newBody) = try table.encoded(row)
        guard newKey == key else { throw .keyChanged(table: table.name) }
        let patch = try rowErrors { () throws(RowError) in
            try RowCodec.diff(old: body.span, new: newBody.span, table.layout.schema)
        }
        guard let patch else { return false }
        commit.append(.patch, table: table.id, key: key.span, body: patch.span)
        return true
    }

    /// Logs the sum of a column's value and an amount, or the first row where there is none. Returns the
    /// value; nil where there is neither.
    mutating func increment<Row>(
        _ table: StoredTable<Row>, key: [UInt8], body: [UInt8]?, _ column: String,
        by amount: Int, orPut initial: Row?
    ) throws(StoreError) -> Int? {
        guard let body else {
            return try initial.map { (row) throws(StoreError) in
                try put(row, in: table, key: key, column)
            }
        }
        let schema = table.layout.schema
        let (index, old) = try table.integer(column, in: body)
        let (sum, overflow) = old.addingReportingOverflow(Int64(amount))
        guard !overflow else { throw table.cannotIncrement(column, "it would exceed 64 bits") }
        let change = ColumnChange(column: index, value: .integer(sum))
        let patch = try rowErrors { () throws(RowError) in
            try RowCodec.encodePatch([change], schema)
        }
        commit.append(.patch, table: table.id, key: key.span, body: patch.span)
        return Int(sum)
    }

    /// Puts the first row of a counter. Returns the counter's value in it.
    private mutating func put<Row>(
        _ row: Row, in table: StoredTable<Row>, key: [UInt8], _ column: String
    ) throws(StoreError) -> Int {
        let (newKey, body) = try table.encoded(row)
        guard newKey == key else { throw .keyChanged(table: table.name) }
        let (_, value) = try table.integer(column, in: body)
        commit.append(.put, table: table.id, key: key.span, body: body.span)
        return Int(value)
    }
}

extension StoredTable {
    /// The place of an integer column among those outside the key, and its value in a row.
    func integer(
        _ column: String, in body: [UInt8]
    ) throws(StoreError) -> (index: Int, value: Int64) {
        let schema = layout.schema
        guard let index = schema.valueIndex(of: column) else {
            throw cannotIncrement(column, "there is no such column outside the key")
        }
        let values = try rowErrors { () throws(RowError) in
            try RowCodec.decodeRow(body.span, schema)
        }
        guard case .integer(let value) = values[index] else {
            throw cannotIncrement(column, "it holds no integer")
        }
        return (index, value)
    }

    func cannotIncrement(_ column: String, _ reason: String) -> StoreError {
        .cannotIncrement(table: name, column: column, reason: reason)
    }
}

/// Runs what reads or writes rows, turning its errors into the store's.
func rowErrors<R>(_ body: () throws(RowError) -> R) throws(StoreError) -> R {
    do throws(RowError) {
        return try body()
    } catch {
        throw .row(error)
    }
}
