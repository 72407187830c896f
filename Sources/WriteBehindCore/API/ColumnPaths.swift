// Columns by the key paths that `@Table` made: `\.score` instead of "score".

extension StoredTable {
    /// Adds to an integer column of a row, atomically.
    ///
    /// ```swift
    /// try await players.increment(1, \.score, by: 5)
    /// ```
    ///
    /// - Parameters:
    ///   - key: the row's key.
    ///   - column: the column, as `@Table` made it. Its property is not optional. Give a column that may be null by its
    ///     name as text.
    ///   - amount: what to add; may be negative.
    ///   - initial: the row to put, as it is, if there is none yet: `amount` is not added to it. It must have
    ///     this key.
    /// - Returns: the new value and the receipt.
    /// - Throws: ``StoreError/noSuchRow(table:key:)`` if there is neither a row nor an `initial`;
    ///   ``StoreError/cannotIncrement(table:column:reason:)`` if the sum does not fit the property's type;
    ///   ``StoreError/initialHasAnotherKey(table:)``; the errors of any write or read.
    @discardableResult
    public nonisolated(nonsending) func increment<V: ColumnValue & FixedWidthInteger>(
        _ key: Row.Key, _ column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>,
        by amount: Int = 1, orPut initial: Row? = nil
    ) async throws(StoreError) -> (value: V, receipt: Receipt) {
        // The sum is within the type.
        let sum = try await increment(
            key, layout.name(of: column), by: amount, within: V.stored, orPut: initial)
        return (V(truncatingIfNeeded: sum.value), sum.receipt)
    }
}

extension Transaction {
    /// Adds to an integer column of a row.
    ///
    /// - Parameters:
    ///   - column: the column, as `@Table` made it.
    ///   - initial: the row to put, as it is, if there is none yet: `amount` is not added to it. It must have
    ///     this key.
    /// - Returns: the new value.
    /// - Throws: as ``StoredTable/increment(_:_:by:orPut:)-(_,KeyPath<Row.StoredColumns,TableColumn<Row,V>>,_,_)``.
    @discardableResult
    public nonisolated(nonsending) mutating func increment<Row, V: ColumnValue & FixedWidthInteger>(
        _ key: Row.Key, _ column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>,
        in table: StoredTable<Row>, by amount: Int = 1, orPut initial: Row? = nil
    ) async throws(StoreError) -> V {
        let sum = try await increment(
            key, table.layout.name(of: column), in: table, by: amount, within: V.stored,
            orPut: initial)
        return V(truncatingIfNeeded: sum)
    }
}

extension FixedWidthInteger {
    /// The values of this type that a column can hold.
    fileprivate static var stored: ClosedRange<Int64> {
        Int64(clamping: min)...Int64(clamping: max)
    }
}

extension RowLayout {
    /// The name of a column that a key path of the row's type leads to.
    func name<Row: TableRow, V>(
        of column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>
    ) -> String {
        valueNames[Row.StoredColumns()[keyPath: column].index]
    }
}
