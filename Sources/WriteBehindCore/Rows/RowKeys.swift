public import Foundation

// The types that are the key of a table with one key column. What column each needs is said at
// ``KeyEncoder``.

extension Int: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .integer }
}

extension Int64: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .integer }
}

extension Double: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .real }
}

extension String: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .text }
}

extension [UInt8]: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .blob }
}

extension Bool: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .integer }
}

extension Date: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .text }
}

extension UUID: RowKey, SingleColumnKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
    static var columnType: ColumnType { .blob }
}
