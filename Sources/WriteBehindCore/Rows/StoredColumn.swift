public import Foundation

// The columns of a struct that is a table: `@Table` lists its properties, and the compiler finds their types.

/// A type that may be nil.
private protocol OptionalValue {}
extension Optional: OptionalValue {}

extension ColumnSchema {
    /// The column of a property.
    public static func stored<Row, V: ColumnValue>(
        _ name: String, _ property: KeyPath<Row, V>, isKey: Bool = false, default value: V? = nil
    ) -> ColumnSchema {
        make(name, V.columnType, V.logicalType, isKey: isKey, isNullable: false) {
            V.encode(value, to: &$0)
        }
    }

    /// The column of a property that may be nil.
    public static func stored<Row, V: ColumnValue>(
        _ name: String, _ property: KeyPath<Row, V?>, default value: V? = nil
    ) -> ColumnSchema {
        make(name, V.columnType, V.logicalType, isKey: false, isNullable: true) {
            V.encode(value, to: &$0)
        }
    }

    /// The column of a property with a raw value.
    public static func stored<Row, V: RawRepresentable>(
        _ name: String, _ property: KeyPath<Row, V>, isKey: Bool = false, default value: V? = nil
    ) -> ColumnSchema where V.RawValue: ColumnValue {
        make(name, V.RawValue.columnType, V.RawValue.logicalType, isKey: isKey, isNullable: false) {
            $0.encode(value)
        }
    }

    /// The column of a property with a raw value, that may be nil.
    public static func stored<Row, V: RawRepresentable>(
        _ name: String, _ property: KeyPath<Row, V?>, default value: V? = nil
    ) -> ColumnSchema where V.RawValue: ColumnValue {
        make(name, V.RawValue.columnType, V.RawValue.logicalType, isKey: false, isNullable: true) {
            $0.encode(value)
        }
    }

    /// The column of a property.
    public static func stored<Row, V: RawRepresentable & ColumnValue>(
        _ name: String, _ property: KeyPath<Row, V>, isKey: Bool = false, default value: V? = nil
    ) -> ColumnSchema where V.RawValue: ColumnValue {
        make(name, V.columnType, V.logicalType, isKey: isKey, isNullable: false) {
            V.encode(value, to: &$0)
        }
    }

    /// The column of a property that may be nil.
    public static func stored<Row, V: RawRepresentable & ColumnValue>(
        _ name: String, _ property: KeyPath<Row, V?>, default value: V? = nil
    ) -> ColumnSchema where V.RawValue: ColumnValue {
        make(name, V.columnType, V.logicalType, isKey: false, isNullable: true) {
            V.encode(value, to: &$0)
        }
    }

    /// The column of a property that becomes JSON.
    @_disfavoredOverload
    public static func stored<Row, V: Codable>(
        _ name: String, _ property: KeyPath<Row, V>, default value: V? = nil
    ) -> ColumnSchema {
        make(name, .text, .json, isKey: false, isNullable: V.self is any OptionalValue.Type) {
            $0.encode(value)
        }
    }

    /// Makes a property that no column can hold an error of the compiler.
    @available(
        *, unavailable,
        message:
            "no column holds this type: give an enum a raw value (enum Kind: String), make another type Codable (its column then holds JSON) or a ColumnValue, or mark the property @Ignored. A key cannot be JSON"
    )
    @_disfavoredOverload
    public static func stored<Row, V>(
        _ name: String, _ property: KeyPath<Row, V>, isKey: Bool = false, default value: V? = nil
    ) -> ColumnSchema {
        fatalError("no call of it compiles: it is unavailable")
    }

    /// The column that says when a row expires.
    public static func expiry<Row>(
        _ name: String, _ property: KeyPath<Row, Date>, default value: Date? = nil
    ) -> ColumnSchema {
        make(name, .integer, .timestamp, isKey: false, isNullable: false) {
            $0.encodeSeconds(value)
        }
    }

    /// The column that says when a row expires; nil means never.
    public static func expiry<Row>(
        _ name: String, _ property: KeyPath<Row, Date?>, default value: Date? = nil
    ) -> ColumnSchema {
        make(name, .integer, .timestamp, isKey: false, isNullable: true) { $0.encodeSeconds(value) }
    }

    /// The column that says when a row expires, in seconds since 1970.
    public static func expiry<Row>(
        _ name: String, _ property: KeyPath<Row, Int>, default value: Int? = nil
    ) -> ColumnSchema {
        make(name, .integer, .timestamp, isKey: false, isNullable: false) {
            $0.encodeSeconds(value)
        }
    }

    /// The column that says when a row expires, in seconds since 1970; nil means never.
    public static func expiry<Row>(
        _ name: String, _ property: KeyPath<Row, Int?>, default value: Int? = nil
    ) -> ColumnSchema {
        make(name, .integer, .timestamp, isKey: false, isNullable: true) { $0.encodeSeconds(value) }
    }

    /// Makes any other type of an expiry property an error of the compiler.
    @available(
        *, unavailable,
        message: "@Expires marks a Date, an Int (seconds since 1970), or an optional of these"
    )
    @_disfavoredOverload
    public static func expiry<Row, V>(
        _ name: String, _ property: KeyPath<Row, V>, default value: V? = nil
    ) -> ColumnSchema {
        fatalError("no call of it compiles: it is unavailable")
    }

    private static func make(
        _ name: String, _ type: ColumnType, _ logicalType: LogicalType?, isKey: Bool,
        isNullable: Bool, encodeDefault: (inout RowEncoder) -> Void
    ) -> ColumnSchema {
        if isKey { return key(name, type, as: logicalType) }
        let layout = RowLayout(
            TableSchema("", [.key("", .integer), column(name, type, nullable: true)]))
        var encoder = RowEncoder(layout)
        do {
            let value = try encoder.value(writtenBy: encodeDefault)
            return column(
                name, type, as: logicalType, nullable: isNullable, default: value)
        } catch {
            var column = column(name, type, as: logicalType, nullable: isNullable)
            column.unfitDefault = error.problem.reason
            return column
        }
    }
}

/// A column outside the key. A key path such as `\.likes` leads to it.
public struct TableColumn<Row, Value>: Sendable {
    /// Its place among the columns outside the key, as the row's type lists them.
    @usableFromInline let index: Int

    /// The column at a place; `@Table` writes this.
    @inlinable public init(_ index: Int) { self.index = index }

    /// The column at a place, for a property whose type the source does not spell out; `@Table` writes this.
    @inlinable public init(_ index: Int, _ property: KeyPath<Row, Value>) { self.index = index }
}

/// The columns of a table outside its key, for key paths such as `\.likes`.
public protocol TableColumns: Sendable {
    /// Makes the value that holds all columns.
    init()
}

/// Stands in for the columns of a row type that is coded by hand, which have names but no key paths.
public struct NoStoredColumns: TableColumns {
    /// Makes the empty value.
    public init() {}
}
