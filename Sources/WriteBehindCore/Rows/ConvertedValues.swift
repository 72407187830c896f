public import Foundation

// Types that a column stores as another type. If a stored value does not fit its Swift type, the error names the column.

extension ColumnValue where Self: FixedWidthInteger {
    public static var columnType: ColumnType { .integer }

    @inlinable public static func encode(_ value: Self?, to encoder: inout RowEncoder) {
        guard let value else { return encoder.encodeNull() }
        guard let wide = Int64(exactly: value) else { return encoder.refuse(value.asTooWide) }
        encoder.encode(wide)
    }

    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Self? {
        guard let wide = try decoder.decode(Int64?.self) else { return nil }
        guard let value = Self(exactly: wide) else { throw decoder.refusal("\(Self.self)") }
        return value
    }

    @inlinable public func encode(to encoder: inout KeyEncoder) {
        guard let wide = Int64(exactly: self) else { return encoder.refuse(asTooWide) }
        encoder.encode(wide)
    }

    /// The description of a value that does not fit, for errors.
    @usableFromInline var asTooWide: String { "\(self), which exceeds 64 bits with a sign" }
}

extension Int8: ColumnValue {}
extension Int16: ColumnValue {}
extension Int32: ColumnValue {}
extension UInt: ColumnValue {}
extension UInt8: ColumnValue {}
extension UInt16: ColumnValue {}
extension UInt32: ColumnValue {}
extension UInt64: ColumnValue {}

extension Float: ColumnValue {
    public static var columnType: ColumnType { .real }
    @inlinable public static func encode(_ value: Float?, to encoder: inout RowEncoder) {
        encoder.encode(value.map { Double($0) })
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Float? { try decoder.decode(Double?.self).map { Float($0) } }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(Double(self)) }
}

extension Data: ColumnValue {
    public static var columnType: ColumnType { .blob }
    public static func encode(_ value: Data?, to encoder: inout RowEncoder) {
        encoder.encode(value.map { [UInt8]($0) })
    }
    public static func decode(from decoder: inout RowDecoder) throws(RowError) -> Data? {
        try decoder.decode([UInt8]?.self).map { Data($0) }
    }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode([UInt8](self)) }
}

extension Character: ColumnValue {
    public static var columnType: ColumnType { .text }
    public static func encode(_ value: Character?, to encoder: inout RowEncoder) {
        encoder.encode(value.map { String($0) })
    }
    public static func decode(from decoder: inout RowDecoder) throws(RowError) -> Character? {
        try decoder.decode { $0.count == 1 ? $0.first : nil }
    }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(String(self)) }
}

extension URL: ColumnValue {
    public static var columnType: ColumnType { .text }
    public static func encode(_ value: URL?, to encoder: inout RowEncoder) {
        encoder.encode(value?.absoluteString)
    }
    public static func decode(from decoder: inout RowDecoder) throws(RowError) -> URL? {
        try decoder.decode { URL(string: $0) }
    }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(absoluteString) }
}

extension Decimal: ColumnValue {
    public static var columnType: ColumnType { .text }
    public static var logicalType: LogicalType? { .decimal }
    public static func encode(_ value: Decimal?, to encoder: inout RowEncoder) {
        guard let value else { return encoder.encodeNull() }
        guard !value.isNaN else { return encoder.refuse("NaN") }
        encoder.encode(value.description)
    }
    public static func decode(from decoder: inout RowDecoder) throws(RowError) -> Decimal? {
        try decoder.decode { Decimal(string: $0) }
    }
    public func encode(to encoder: inout KeyEncoder) {
        guard !isNaN else { return encoder.refuse("NaN") }
        encoder.encode(description)
    }
}

extension RowDecoder {
    /// Reads the next column: text that `make` accepts, or null.
    fileprivate mutating func decode<V>(_ make: (String) -> V?) throws(RowError) -> V? {
        guard let text = try decode(String?.self) else { return nil }
        guard let value = make(text) else { throw refusal("\(V.self)") }
        return value
    }
}
