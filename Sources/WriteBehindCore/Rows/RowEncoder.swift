import EventLog
public import Foundation

/// Writes a row, one value per column in schema order, key columns included.
///
/// ``ColumnValue`` lists which Swift type goes into which column. `encode` also takes an enum or another type
/// with such a raw value, and any other `Codable` type, which becomes JSON with sorted keys.
///
/// Each value may be optional; nil is null. The methods do not throw. The first mistake is remembered, and the
/// write that encodes the row throws it as ``StoreError/row(_:)`` before anything is logged.
public struct RowEncoder: ~Copyable, Sendable {
    package let layout: RowLayout
    /// The codes of the layout. They are copied here, because reading them there would count a reference for every value.
    private let codes: [ColumnCode]
    private let isMoved: Bool
    /// The encoded key and row body; valid once ``encode(row:)`` has returned.
    package private(set) var key: [UInt8] = []
    package private(set) var row: [UInt8] = []
    private var index = 0
    private var failure: RowError?

    package init(_ layout: RowLayout) {
        self.layout = layout
        codes = layout.codes
        isMoved = layout.moves != nil
        key.reserveCapacity(64)
        row.reserveCapacity(256)
    }

    /// Encodes a row, replacing the one before. Allocates nothing once the buffers have grown, unless columns moved.
    package mutating func encode(row value: some TableRow) throws(RowError) {
        key.removeAll(keepingCapacity: true)
        row.removeAll(keepingCapacity: true)
        row.append(varint: UInt64(layout.valueCount))
        index = 0
        failure = nil
        value.encode(to: &self)
        let expected = codes.count
        if index != expected {
            fail(.wrongColumnCount(expected: expected, got: index), at: nil)
        }
        if let failure { throw failure }
        if isMoved, let moves = layout.moves { row = try moves.stored(row.span, layout.schema) }
        if key.count > Record.keyLimit { try layout.schema.check(keyLength: key.count) }
    }

    /// Writes the next column: an integer, or null.
    public mutating func encode(_ value: Int?) { encode(value.map { Int64($0) }) }

    /// Writes the next column: an integer, or null.
    public mutating func encode(_ value: Int64?) {
        guard let value else { return encodeNull() }
        guard let code = next(.integer) else { return }
        if code.isKey { key.append(keyInteger: value) } else { row.append(rowInteger: value) }
    }

    /// Writes the next column: a Boolean, as 0 or 1, or null.
    public mutating func encode(_ value: Bool?) { encode(value.map { $0 ? 1 as Int64 : 0 }) }

    /// Writes the next column: a number, or null. NaN is an error.
    public mutating func encode(_ value: Double?) {
        guard let value else { return encodeNull() }
        guard let code = next(.real) else { return }
        guard !value.isNaN else { return fail(.notANumber, at: index - 1) }
        if code.isKey { key.append(keyReal: value) } else { row.append(rowReal: value) }
    }

    /// Writes the next column: text, or null.
    public mutating func encode(_ value: String?) {
        guard let value else { return encodeNull() }
        guard let code = next(.text) else { return }
        if code.isKey {
            key.append(keyText: value, isLast: code.isLastOfKey)
        } else {
            row.append(rowText: value)
        }
    }

    /// Writes the next column: a time, as text, or null.
    public mutating func encode(_ value: Date?) {
        guard let value else { return encodeNull() }
        guard let code = next(.text) else { return }
        guard let text = DateText(value) else { return fail(.dateOutOfRange, at: index - 1) }
        if code.isKey {
            key.append(keyDate: text, isLast: code.isLastOfKey)
        } else {
            row.append(rowDate: text)
        }
    }

    /// Writes the next column: bytes, or null.
    public mutating func encode(_ value: [UInt8]?) {
        guard let value else { return encodeNull() }
        guard let code = next(.blob) else { return }
        if code.isKey {
            key.append(keyBlob: value, isLast: code.isLastOfKey)
        } else {
            row.append(rowBlob: value)
        }
    }

    /// Writes the next column: a UUID, as its 16 bytes, or null.
    public mutating func encode(_ value: UUID?) {
        guard let value else { return encodeNull() }
        guard let code = next(.blob) else { return }
        if code.isKey {
            key.append(keyUUID: value, isLast: code.isLastOfKey)
        } else {
            row.append(rowUUID: value)
        }
    }

    /// Writes null, for any type of column.
    public mutating func encodeNull() {
        defer { index += 1 }
        guard index < codes.count else { return }
        guard codes[index].isNullable else { return fail(.unexpectedNull, at: index) }
        row.append(ValueTag.null.rawValue)
    }

    /// Steps over the next column, which cannot hold this value.
    @usableFromInline mutating func refuse(_ value: String) {
        index += 1
        // One column too many is reported as its own mistake.
        if index <= codes.count { fail(.outOfRange(value), at: index - 1) }
    }

    /// The one value that `body` writes; nil if it writes none. The layout must have exactly one column outside the key.
    /// - Throws: why the value is refused.
    mutating func value(writtenBy body: (inout RowEncoder) -> Void) throws(RowError) -> StoredValue?
    {
        row.removeAll(keepingCapacity: true)
        row.append(varint: 1)
        index = 1
        failure = nil
        body(&self)
        if let failure { throw failure }
        return try? RowCodec.decodeRow(row.span, layout.schema).first
    }

    /// Steps to the next column; nil if it does not hold this type or does not exist.
    @inline(__always)
    private mutating func next(_ tag: ValueTag) -> ColumnCode? {
        let column = index
        index += 1
        guard column < codes.count else { return nil }
        let code = codes[column]
        if code.holds(tag) { return code }
        fail(layout.columns[column].problem(with: tag), at: column)
        return nil
    }

    private mutating func fail(_ problem: RowError.Problem, at index: Int?) {
        guard failure == nil else { return }
        let column = index.map { layout.columns[$0].name }
        failure = RowError(table: layout.schema.name, column: column, problem)
    }
}
