import Foundation

// The columns of a change as key paths, where `@Table` made them: `change[\.likes]` instead of `change["likes"]`. Each
// subscript is for one of the kinds of properties that a column may have, as the overloads of `RowDecoder.decode` are.

extension RowChange {
    /// The value that was written into a column; nil if the change left the column alone.
    ///
    /// ```swift
    /// if let likes = try change[\.likes] { … }
    /// ```
    public subscript<V: ColumnValue>(
        column: KeyPath<Row.StoredColumns, TableColumn<Row, V>>
    ) -> V? {
        get throws(StoreError) {
            try value(of: column) { decoder throws(RowError) in try decoder.decodeColumn() }
        }
    }

    /// The value that was written into a column, nil for null; nil of that if the change left the column alone.
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

    /// The value that was written into a column, nil for null; nil of that if the change left the column alone.
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

    /// The value that was written into a column, nil for null; nil of that if the change left the column alone.
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

    /// The value that was written into a column as JSON, nil for null; nil of that if the change left the column alone.
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
