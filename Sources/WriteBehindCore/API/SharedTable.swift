/// A table of counters that several stores share: each has a log of its own, and the database adds up.
///
/// ```swift
/// @Table struct PostCount {
///     let post: Int
///     var likes = 0
///     var views = 0
/// }
///
/// let counts = try store.sharedTable(PostCount.self)
/// try counts.add(1, to: \.likes, of: post)
/// ```
///
/// Processes and machines count into one table of a PostgreSQL server in this way, each with a ``Store`` in a directory of
/// its own. Every add counts exactly once, whichever of them is killed, and when. Their adds are never in each other's way:
/// they are written at memory speed, and batches lock rows in one order in all stores. <doc:ManyProcesses> says what happens
/// when something fails.
///
/// Amounts can be added to a shared table, a row can be put if there is none, and rows can be read; nothing else. What was added to a row that does not
/// exist makes it, so each column outside the key must be nullable or have a default. The table has neither expiry nor
/// indices of the store's, and columns can be added to it, but not changed. Programs that use the database itself may do
/// what they want with the rows: an add only changes the columns that it names.
///
/// A database other than PostgreSQL has one store, so the table is only that store's.
///
/// Writes throw as those of a ``StoredTable`` do.
public struct SharedTable<Row: TableRow>: Sendable {
    let table: StoredTable<Row>

    // MARK: writing

    /// Adds to an integer column of a row, which this makes if there is none: with the defaults, and the amount.
    ///
    /// It takes about as long as a ``StoredTable/put(_:cachedFor:)``. After a crash an add counts exactly once or, if it was
    /// not ``Stage/durable`` yet, not at all. A null counts as the column's default, or else as 0. A sum that does not fit
    /// into 64 bits is refused by the database (<doc:Quarantine>).
    ///
    /// - Parameters:
    ///   - amount: what to add; may be negative.
    ///   - column: the column, as `@Table` made it. It holds integers, and no times.
    ///   - key: the row's key.
    /// - Returns: the receipt of the write, which is ``Stage/staged`` now. All that read the database see the amount once it
    ///   is ``Stage/materialized``.
    /// - Throws: ``StoreError/cannotAdd(table:column:reason:)`` if the column takes no amounts; the errors of any write: see
    ///   ``StoredTable``. Then nothing was added.
    @discardableResult
    public func add<V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>, of key: Row.Key
    ) throws(StoreError) -> Receipt {
        try table.add(amount, to: column, of: key)
    }

    /// Adds to an integer column that may be null, as ``add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)``
    /// does.
    @discardableResult
    public func add<V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>, of key: Row.Key
    ) throws(StoreError) -> Receipt {
        try table.add(amount, to: column, of: key)
    }

    /// Adds to an integer column, as ``add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` does.
    ///
    /// - Parameter column: the column's name.
    @discardableResult
    public func add(
        _ amount: Int, to column: String, of key: Row.Key
    ) throws(StoreError) -> Receipt {
        try table.add(amount, to: column, of: key)
    }

    /// Puts a row if the database has none with its key. If there is one, it stays as it is.
    ///
    /// ```swift
    /// try counts.putIfAbsent(PostCount(post: 42, title: "Write-behind"))
    /// try counts.add(1, to: \.likes, of: 42)
    /// ```
    ///
    /// Use it for rows that begin with other values than the defaults. The first store whose put comes to the database makes
    /// the row. An ``add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` that comes before makes it, too, of
    /// defaults; so put a row before anybody adds to it. It is written as an add is, and after a crash the same holds. A row
    /// that was put so survives a crash of the server. If the server goes back further, to a replica or a backup, the first
    /// write that is applied again makes the row.
    ///
    /// - Returns: the receipt of the write, which is ``Stage/staged`` now. Which row the database has is known once it is
    ///   ``Stage/materialized``.
    /// - Throws: the errors of any write: see ``StoredTable``. Then nothing was put.
    @discardableResult
    public func putIfAbsent(_ row: Row) throws(StoreError) -> Receipt {
        let (key, add) = try adding(row)
        return try table.engine.write(.add, table: table.id, key: key.span, body: add.span)
    }

    /// The add that puts a row if there is none.
    fileprivate func adding(_ row: Row) throws(StoreError) -> (key: [UInt8], add: [UInt8]) {
        let (key, body) = try table.encoded(row)
        let patch = try rowErrors { () throws(RowError) in
            try RowCodec.patch(settingAllOf: body.span, table.layout.schema)
        }
        return (key, RowCodec.encodeAdd(puttingIfAbsent: patch.span))
    }

    // MARK: reading

    /// The row with this key, from the database: with everything that this store has added by now, and what the others'
    /// batches have brought.
    ///
    /// If the database has not taken this store's last add to the row yet, the call waits for it; not longer than five
    /// seconds in which the database takes nothing. An add that the database refuses is not in the row: it is in quarantine.
    ///
    /// With a `maxAge` the call answers from memory, if another one has asked the database within this time. The row is then
    /// as it was there, with everything that this store has added since, also what the database refuses of that.
    ///
    /// - Parameter maxAge: how old the others' adds may be. Without it, nothing is kept in memory.
    /// - Returns: nil if there is no such row.
    /// - Throws: ``StoreError/database(_:)`` if the database cannot be read, is behind, or has the table's definition in
    ///   quarantine; ``StoreError/cancelled``.
    public nonisolated(nonsending) func get(
        _ key: Row.Key, maxAge: Duration = .zero
    ) async throws(StoreError) -> Row? {
        try await get(all: [key], maxAge: maxAge)[0]
    }

    /// The rows with these keys, read together, otherwise as ``get(_:maxAge:)``.
    ///
    /// - Parameter maxAge: how old the others' adds may be. Only the rows that memory lacks are read.
    /// - Returns: a row for each key, in the order of the keys; nil if there is none.
    public nonisolated(nonsending) func get(
        all keys: some Sequence<Row.Key>, maxAge: Duration = .zero
    ) async throws(StoreError) -> [Row?] {
        let keys = try keys.map { key throws(StoreError) in try table.encoded(key) }
        let bodies = try await table.engine.fetchShared(table.id, keys, maxAge: maxAge)
        return try zip(keys, bodies).map { (key, body) throws(StoreError) in
            try body.map { body throws(StoreError) in try table.decode(key: key, body: body) }
        }
    }
}

extension Store {
    /// Declares a table of counters that several stores share, and returns the handle to work with it.
    ///
    /// The first store makes the table in the database, and the others find it there. Each must declare it so; a table of one
    /// store alone never becomes a shared one.
    ///
    /// - Throws: ``StoreError/schema(_:)`` if the table is not one that several stores can count into, and as ``table(_:)``.
    public func sharedTable<Row: TableRow>(
        _ type: Row.Type
    ) throws(StoreError) -> SharedTable<Row> {
        SharedTable(table: try declare(type, Row.schema.shared))
    }
}

extension Transaction {
    /// Adds to an integer column of a row of a shared table, as
    /// ``SharedTable/add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` does.
    ///
    /// In the database it becomes visible with the transaction's other changes.
    public mutating func add<Row, V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>, of key: Row.Key,
        in table: SharedTable<Row>
    ) throws(StoreError) {
        try add(amount, to: column, of: key, in: table.table)
    }

    /// Adds to an integer column that may be null, as
    /// ``SharedTable/add(_:to:of:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_)`` does.
    public mutating func add<Row, V: Countable>(
        _ amount: Int, to column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>,
        of key: Row.Key, in table: SharedTable<Row>
    ) throws(StoreError) {
        try add(amount, to: column, of: key, in: table.table)
    }

    /// Adds to an integer column of a row of a shared table.
    ///
    /// - Parameter column: the column's name.
    public mutating func add<Row>(
        _ amount: Int, to column: String, of key: Row.Key, in table: SharedTable<Row>
    ) throws(StoreError) {
        try add(amount, to: column, of: key, in: table.table)
    }

    /// Puts a row into a shared table if there is none, as ``SharedTable/putIfAbsent(_:)`` does.
    public mutating func putIfAbsent<Row>(
        _ row: Row, in table: SharedTable<Row>
    ) throws(StoreError) {
        let (key, add) = try table.adding(row)
        try append(add: add, to: key, of: table.table)
    }
}
