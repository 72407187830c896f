import EventLog
public import Foundation

/// Writes a key, one value per key column in schema order.
///
/// ``ColumnValue`` lists which Swift type goes into which column.
///
/// The methods do not throw. The first mistake is remembered, and the call that encodes the key throws
/// it as ``StoreError/row(_:)``. An encoded key takes at most 65,535 bytes.
public struct KeyEncoder: ~Copyable, Sendable {
    package let layout: RowLayout
    /// The codes of the layout. They are copied here, because reading them there would count a reference for every value.
    private let codes: [ColumnCode]
    /// The encoded key; valid once ``encode(key:)`` has returned.
    package private(set) var key: [UInt8] = []
    private var index = 0
    private var failure: RowError?

    package init(_ layout: RowLayout) {
        self.layout = layout
        codes = layout.keyCodes
        key.reserveCapacity(64)
    }

    /// Encodes a key, replacing the one before. Allocates nothing once the buffer has grown.
    package mutating func encode(key value: some RowKey) throws(RowError) {
        key.removeAll(keepingCapacity: true)
        index = 0
        failure = nil
        value.encode(to: &self)
        let expected = codes.count
        if index != expected {
            fail(.wrongColumnCount(expected: expected, got: index), at: nil)
        }
        if let failure { throw failure }
        if key.count > Record.keyLimit { try layout.schema.check(keyLength: key.count) }
    }

    /// Encodes a value of the first column alone, replacing the key before.
    mutating func encode(first value: some RowKey) throws(RowError) {
        key.removeAll(keepingCapacity: true)
        index = 0
        failure = nil
        value.encode(to: &self)
        if index != 1 { fail(.wrongColumnCount(expected: 1, got: index), at: nil) }
        if let failure { throw failure }
    }

    /// Writes the next column: an integer.
    public mutating func encode(_ value: Int) { encode(Int64(value)) }

    /// Writes the next column: an integer.
    public mutating func encode(_ value: Int64) {
        if next(.integer) != nil { key.append(keyInteger: value) }
    }

    /// Writes the next column: a Boolean, as 0 or 1.
    public mutating func encode(_ value: Bool) { encode(value ? 1 as Int64 : 0) }

    /// Writes the next column: a number. NaN is an error.
    public mutating func encode(_ value: Double) {
        guard next(.real) != nil else { return }
        guard !value.isNaN else { return fail(.notANumber, at: index - 1) }
        key.append(keyReal: value)
    }

    /// Writes the next column: text.
    public mutating func encode(_ value: String) {
        if let code = next(.text) { key.append(keyText: value, isLast: code.isLastOfKey) }
    }

    /// Writes the next column: a time, as text.
    public mutating func encode(_ value: Date) {
        guard let code = next(.text) else { return }
        guard let text = DateText(value) else { return fail(.dateOutOfRange, at: index - 1) }
        key.append(keyDate: text, isLast: code.isLastOfKey)
    }

    /// Writes the next column: bytes.
    public mutating func encode(_ value: [UInt8]) {
        if let code = next(.blob) { key.append(keyBlob: value, isLast: code.isLastOfKey) }
    }

    /// Writes the next column: a UUID, as its 16 bytes.
    public mutating func encode(_ value: UUID) {
        if let code = next(.blob) { key.append(keyUUID: value, isLast: code.isLastOfKey) }
    }

    /// Steps over the next column, which cannot hold this value.
    @usableFromInline mutating func refuse(_ value: String) {
        index += 1
        // One column too many is reported as its own mistake.
        if index <= codes.count { fail(.outOfRange(value), at: index - 1) }
    }

    /// Steps to the next column; nil if it does not hold this type or does not exist.
    @inline(__always)
    private mutating func next(_ tag: ValueTag) -> ColumnCode? {
        let column = index
        index += 1
        guard column < codes.count else { return nil }
        let code = codes[column]
        if code.holds(tag) { return code }
        fail(layout.schema.keyColumns[column].problem(with: tag), at: column)
        return nil
    }

    private mutating func fail(_ problem: RowError.Problem, at index: Int?) {
        guard failure == nil else { return }
        let column = index.map { layout.schema.keyColumns[$0].name }
        failure = RowError(table: layout.schema.name, column: column, problem)
    }
}
