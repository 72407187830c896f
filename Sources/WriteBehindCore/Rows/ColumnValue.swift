public import Foundation

/// A Swift type whose values a column can hold, and a key as well.
///
/// | Swift | column | ``LogicalType`` |
/// |---|---|---|
/// | `Int`, `Int8` … `Int64`, `UInt` … `UInt64` | integer; a value above `Int64.max` is an error of the write | |
/// | `Bool` | integer, 0 or 1 | boolean |
/// | `Double`, `Float` | real; NaN is an error of the write | |
/// | `String`, `Character` | text | |
/// | `Date` | text, `YYYY-MM-DD HH:MM:SS.SSS` in UTC, rounded to the millisecond | timestamp |
/// | `URL` | text: the absolute URL | |
/// | `Decimal` | text, with all digits | decimal |
/// | `UUID` | blob of 16 bytes | uuid |
/// | `Data`, `[UInt8]` | blob | |
///
/// An enum, or another `RawRepresentable`, with such a raw value needs no conformance: its column holds the raw value.
/// Any other `Codable` type becomes JSON. If neither is what you want, conform your type:
///
/// ```swift
/// struct Money: ColumnValue {
///     var cents: Int
///     static var columnType: ColumnType { .integer }
///     static func encode(_ value: Money?, to encoder: inout RowEncoder) {
///         encoder.encode(value?.cents)
///     }
///     static func decode(from decoder: inout RowDecoder) throws(RowError) -> Money? {
///         try decoder.decode(Int?.self).map { Money(cents: $0) }
///     }
///     func encode(to encoder: inout KeyEncoder) { encoder.encode(cents) }
/// }
/// ```
public protocol ColumnValue: RowKey {
    /// The type of the column in the database.
    static var columnType: ColumnType { get }

    /// What the stored values mean; nil if they mean nothing more than their type.
    static var logicalType: LogicalType? { get }

    /// Writes the next column: exactly one value, null for nil.
    static func encode(_ value: Self?, to encoder: inout RowEncoder)

    /// Reads the next column: exactly one value, nil for null.
    static func decode(from decoder: inout RowDecoder) throws(RowError) -> Self?
}

extension ColumnValue {
    /// By default, the values mean nothing more than their type.
    public static var logicalType: LogicalType? { nil }
}

extension RowKey where Self: RawRepresentable, RawValue: ColumnValue {
    /// Writes the raw value. So an enum becomes a key by conforming to ``RowKey``: `enum Kind: String, RowKey`.
    public func encode(to encoder: inout KeyEncoder) { rawValue.encode(to: &encoder) }

    /// Reads the raw value.
    public init(from decoder: inout RowDecoder) throws { self = try decoder.decode(Self.self) }
}

extension ColumnValue {
    /// Reads the key from the next column.
    public init(from decoder: inout RowDecoder) throws { self = try decoder.decode(Self.self) }
}

extension ColumnValue where Self: RawRepresentable, RawValue: ColumnValue {
    /// Reads the key from the next column.
    public init(from decoder: inout RowDecoder) throws { self = try decoder.decode(Self.self) }
}

// MARK: The values that encoder and decoder know

extension Int: ColumnValue {
    public static var columnType: ColumnType { .integer }
    @inlinable public static func encode(_ value: Int?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Int? { try decoder.decode(Int?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Int64: ColumnValue {
    public static var columnType: ColumnType { .integer }
    @inlinable public static func encode(_ value: Int64?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Int64? { try decoder.decode(Int64?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Bool: ColumnValue {
    public static var columnType: ColumnType { .integer }
    public static var logicalType: LogicalType? { .boolean }
    @inlinable public static func encode(_ value: Bool?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Bool? { try decoder.decode(Bool?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Double: ColumnValue {
    public static var columnType: ColumnType { .real }
    @inlinable public static func encode(_ value: Double?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Double? { try decoder.decode(Double?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension String: ColumnValue {
    public static var columnType: ColumnType { .text }
    @inlinable public static func encode(_ value: String?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> String? { try decoder.decode(String?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension Date: ColumnValue {
    public static var columnType: ColumnType { .text }
    public static var logicalType: LogicalType? { .timestamp }
    @inlinable public static func encode(_ value: Date?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> Date? { try decoder.decode(Date?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

extension UUID: ColumnValue {
    public static var columnType: ColumnType { .blob }
    public static var logicalType: LogicalType? { .uuid }
    @inlinable public static func encode(_ value: UUID?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> UUID? { try decoder.decode(UUID?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}

// The compiler does not conclude these from the next conformance, because all have a condition.
extension [UInt8]: IndexValue {}
extension [UInt8]: RowKey {}

extension [UInt8]: ColumnValue {
    public static var columnType: ColumnType { .blob }
    @inlinable public static func encode(_ value: [UInt8]?, to encoder: inout RowEncoder) {
        encoder.encode(value)
    }
    @inlinable public static func decode(
        from decoder: inout RowDecoder
    ) throws(RowError) -> [UInt8]? { try decoder.decode([UInt8]?.self) }
    public func encode(to encoder: inout KeyEncoder) { encoder.encode(self) }
}
