public import Foundation

// More overloads of `encode` and `decode`: for column values, for types whose raw value is one, and, if nothing else
// fits, for any `Codable` type, as JSON.

extension RowEncoder {
    /// Writes the next column: a value of a ``ColumnValue``, or null.
    @inlinable public mutating func encode<V: ColumnValue>(_ value: V?) {
        V.encode(value, to: &self)
    }

    /// Writes the next column: a raw value, or null.
    @inlinable public mutating func encode<V: RawRepresentable>(
        _ value: V?
    ) where V.RawValue: ColumnValue {
        V.RawValue.encode(value?.rawValue, to: &self)
    }

    /// Writes the next column: a value of a ``ColumnValue``, or null.
    @inlinable public mutating func encode<V: RawRepresentable & ColumnValue>(
        _ value: V?
    ) where V.RawValue: ColumnValue {
        V.encode(value, to: &self)
    }

    /// Writes the next column: JSON with sorted keys, as text, or null.
    @_disfavoredOverload
    public mutating func encode<V: Encodable>(_ value: V?) {
        guard let value else { return encodeNull() }
        do {
            encode(String(decoding: try ColumnJSON.bytes(of: value), as: UTF8.self))
        } catch {
            refuse("this \(V.self), which has no JSON form: \(error)")
        }
    }

    /// Makes a type that no column can hold an error of the compiler.
    @available(
        *, unavailable,
        message:
            "no column holds this type: give an enum a raw value (enum Kind: String), make another type Codable (its column then holds JSON) or a ColumnValue, or mark the property @Ignored"
    )
    @_disfavoredOverload
    public mutating func encode<V>(_ value: V) {}

    /// Writes the next column: a time in whole seconds since 1970, or null.
    public mutating func encodeSeconds(_ value: Date?) {
        guard let value else { return encodeNull() }
        guard let seconds = value.expirySeconds else { return refuse("\(value)") }
        encode(seconds)
    }

    /// Writes the next column: seconds since 1970, or null.
    public mutating func encodeSeconds(_ value: Int?) { encode(value) }

    /// Makes any other type of an expiry column an error of the compiler.
    @available(
        *, unavailable,
        message: "@Expires marks a Date, an Int (seconds since 1970), or an optional of these"
    )
    @_disfavoredOverload
    public mutating func encodeSeconds<V>(_ value: V) {}
}

extension RowDecoder {
    /// Reads the next column: a value of a ``ColumnValue``.
    @inlinable public mutating func decode<V: ColumnValue>(
        _: V.Type = V.self
    ) throws(RowError) -> V {
        guard let value = try V.decode(from: &self) else { throw nullRefusal() }
        return value
    }

    /// Reads the next column: a value of a ``ColumnValue``, or null.
    @inlinable public mutating func decode<V: ColumnValue>(
        _: V?.Type = V?.self
    ) throws(RowError) -> V? {
        try V.decode(from: &self)
    }

    /// Reads the next column: a raw value.
    @inlinable public mutating func decode<V: RawRepresentable>(
        _: V.Type = V.self
    ) throws(RowError) -> V where V.RawValue: ColumnValue {
        guard let value = try decode(V?.self) else { throw nullRefusal() }
        return value
    }

    /// Reads the next column: a raw value, or null.
    @inlinable public mutating func decode<V: RawRepresentable>(
        _: V?.Type = V?.self
    ) throws(RowError) -> V? where V.RawValue: ColumnValue {
        guard let raw = try V.RawValue.decode(from: &self) else { return nil }
        guard let value = V(rawValue: raw) else { throw refusal("\(V.self)") }
        return value
    }

    /// Reads the next column: a value of a ``ColumnValue``.
    @inlinable public mutating func decode<V: RawRepresentable & ColumnValue>(
        _: V.Type = V.self
    ) throws(RowError) -> V where V.RawValue: ColumnValue {
        guard let value = try V.decode(from: &self) else { throw nullRefusal() }
        return value
    }

    /// Reads the next column: a value of a ``ColumnValue``, or null.
    @inlinable public mutating func decode<V: RawRepresentable & ColumnValue>(
        _: V?.Type = V?.self
    ) throws(RowError) -> V? where V.RawValue: ColumnValue {
        try V.decode(from: &self)
    }

    /// Reads the next column: JSON.
    @_disfavoredOverload
    public mutating func decode<V: Decodable>(_: V.Type = V.self) throws(RowError) -> V {
        guard let value = try decode(V?.self) else { throw nullRefusal() }
        return value
    }

    /// Reads the next column: JSON, or null.
    @_disfavoredOverload
    public mutating func decode<V: Decodable>(_: V?.Type = V?.self) throws(RowError) -> V? {
        guard let text = try decode(String?.self) else { return nil }
        do {
            return try ColumnJSON.value(V.self, text)
        } catch {
            throw refusal("\(V.self)")
        }
    }

    /// Makes a type that no column can hold an error of the compiler.
    @available(
        *, unavailable,
        message:
            "no column holds this type: give an enum a raw value (enum Kind: String), make another type Codable (its column then holds JSON) or a ColumnValue, or mark the property @Ignored"
    )
    @_disfavoredOverload
    public mutating func decode<V>(_: V.Type = V.self) throws(RowError) -> V {
        throw refusal("\(V.self)")
    }

    /// Reads the next column: seconds since 1970 as a time.
    public mutating func decodeSeconds() throws(RowError) -> Date {
        Date(timeIntervalSince1970: Double(try decode(Int.self)))
    }

    /// Reads the next column: seconds since 1970 as a time, or null.
    public mutating func decodeSeconds() throws(RowError) -> Date? {
        try decode(Int?.self).map { Date(timeIntervalSince1970: Double($0)) }
    }

    /// Reads the next column: seconds since 1970.
    public mutating func decodeSeconds() throws(RowError) -> Int { try decode() }

    /// Reads the next column: seconds since 1970, or null.
    public mutating func decodeSeconds() throws(RowError) -> Int? { try decode() }

    /// Makes any other type of an expiry column an error of the compiler.
    @available(
        *, unavailable,
        message: "@Expires marks a Date, an Int (seconds since 1970), or an optional of these"
    )
    @_disfavoredOverload
    public mutating func decodeSeconds<V>() throws(RowError) -> V { throw refusal("\(V.self)") }
}

extension KeyEncoder {
    /// Writes the next column: a value of a ``ColumnValue``.
    @inlinable public mutating func encode<V: ColumnValue>(_ value: V) {
        value.encode(to: &self)
    }

    /// Writes the next column: a raw value.
    @inlinable public mutating func encode<V: RawRepresentable>(
        _ value: V
    ) where V.RawValue: ColumnValue {
        value.rawValue.encode(to: &self)
    }

    /// Writes the next column: a value of a ``ColumnValue``.
    @inlinable public mutating func encode<V: RawRepresentable & ColumnValue>(
        _ value: V
    ) where V.RawValue: ColumnValue {
        value.encode(to: &self)
    }

    /// Makes a type that no key can hold an error of the compiler.
    @available(
        *, unavailable,
        message:
            "a key cannot hold this type: give an enum a raw value (enum Kind: String), or make another type a ColumnValue"
    )
    @_disfavoredOverload
    public mutating func encode<V>(_ value: V) {}
}

/// JSON as a column holds it. Equal values give equal bytes, except for types without an order, such as `Set`.
enum ColumnJSON {
    static func bytes(of value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(value))
    }

    static func value<V: Decodable>(_ type: V.Type, _ text: String) throws -> V {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}

extension Date {
    /// The seconds since 1970 that are stored for the date at which a row expires; nil if they do not fit. They are rounded
    /// up, so that a row does not expire too early.
    var expirySeconds: Int64? { Int64(exactly: timeIntervalSince1970.rounded(.up)) }
}
