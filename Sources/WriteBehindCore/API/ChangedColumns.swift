import Foundation

// The columns of a change by the key paths that `@Table` made: `change[\.likes]` instead of `change["likes"]`. As with the
// overloads of `RowDecoder.decode`, there is one subscript for each kind of property that a column may have.

extension RowChange {
    /// The value that was written into a column; nil if the change left the column alone.
    ///
    /// ```swift
    /// if let likes = try change[\.likes] { … }
    /// ```
    ///
    /// All subscripts with key paths throw ``StoreError/row(_:)`` if the stored value does not fit the property.
    public subscript<V: ColumnValue>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>
    ) -> V? {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decodeColumn() }
        }
    }

    /// The value that was written into a column. The inner optional is nil for null, the outer one if the change left the
    /// column alone.
    public subscript<V: ColumnValue>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>
    ) -> V?? {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decodeColumn() }
        }
    }

    /// The value that was written into a column; nil if the change left the column alone.
    public subscript<V: RawRepresentable>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>
    ) -> V? where V.RawValue: ColumnValue {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decode(V.self) }
        }
    }

    /// The value that was written into a column. The inner optional is nil for null, the outer one if the change left the
    /// column alone.
    public subscript<V: RawRepresentable>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>
    ) -> V?? where V.RawValue: ColumnValue {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decode(V?.self) }
        }
    }

    /// The value that was written into a column; nil if the change left the column alone.
    public subscript<V: RawRepresentable & ColumnValue>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>
    ) -> V? where V.RawValue: ColumnValue {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decode(V.self) }
        }
    }

    /// The value that was written into a column. The inner optional is nil for null, the outer one if the change left the
    /// column alone.
    public subscript<V: RawRepresentable & ColumnValue>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>
    ) -> V?? where V.RawValue: ColumnValue {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decode(V?.self) }
        }
    }

    /// The value that was written into a column as JSON; nil if the change left the column alone.
    @_disfavoredOverload
    public subscript<V: Decodable>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>
    ) -> V? {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decode(V.self) }
        }
    }

    /// The value that was written into a column as JSON. The inner optional is nil for null, the outer one if the change
    /// left the column alone.
    @_disfavoredOverload
    public subscript<V: Decodable>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V?>>
    ) -> V?? {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decode(V?.self) }
        }
    }

    private func value<V, W>(
        of column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>,
        _ decode: (inout RowDecoder) throws(RowError) -> W
    ) throws(StoreError) -> W? {
        try value(at: Row.StoredColumns()[keyPath: column].index, decode)
    }
}

extension RowDecoder {
    /// A date that says when a row expires is stored as seconds.
    fileprivate mutating func decodeColumn<V: ColumnValue>() throws(RowError) -> V {
        guard V.self == Date.self, holdsSeconds else { return try decode(V.self) }
        let date: Date = try decodeSeconds()
        return date as! V  // it is the same type, as was just asked
    }

    fileprivate mutating func decodeColumn<V: ColumnValue>() throws(RowError) -> V? {
        guard V.self == Date.self, holdsSeconds else { return try decode(V?.self) }
        let date: Date? = try decodeSeconds()
        return date as! V?  // it is the same type, as was just asked
    }
}
