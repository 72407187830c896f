public import Foundation

// The types that are the key of a table with one key column. What column each needs is said at
// ``KeyEncoder``.

extension Int: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Int64: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Double: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension String: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension [UInt8]: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Bool: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Date: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension UUID: RowKey {
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}
