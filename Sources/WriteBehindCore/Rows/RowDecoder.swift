import EventLog
public import Foundation

/// Reads a row, one value per column in schema order, key columns included.
///
/// ``ColumnValue`` and ``RowEncoder`` list which Swift type reads which column. The type is that of the
/// property that takes the value, or is given:
///
/// ```swift
/// delay = try decoder.decode()
/// let delay = try decoder.decode(Int?.self)
/// ```
///
/// - Throws: ``RowError`` if a column has another type, is null but not read as an optional,
///   or is damaged. It names table and column. The call that reads the row throws it as
///   ``StoreError/row(_:)``.
@safe public struct RowDecoder: ~Copyable {
    private let layout: RowLayout
    /// The codes of the layout. They are copied here, because reading them there would count a reference for every value.
    private let codes: [ColumnCode]
    // Both outlive this value: only the methods below make one, for the length of a call, and it cannot be copied.
    private let keyBytes: UnsafeBufferPointer<UInt8>
    private let rowBytes: UnsafeBufferPointer<UInt8>
    private var key: ByteReader
    private var row: ByteReader
    private var index = 0

    private init(
        _ layout: RowLayout, key: UnsafeBufferPointer<UInt8>, row: UnsafeBufferPointer<UInt8>,
        rowReader: ByteReader
    ) {
        self.layout = layout
        codes = layout.codes
        unsafe self.keyBytes = unsafe key
        unsafe self.rowBytes = unsafe row
        self.key = ByteReader(0..<key.count)
        self.row = rowReader
    }

    /// The row that these bytes hold.
    package static func decode<Row: TableRow>(
        _ type: Row.Type, key: Span<UInt8>, row: Span<UInt8>, _ layout: RowLayout
    ) throws(RowError) -> Row {
        var reader = ByteReader(0..<row.count)
        guard (try? reader.valueCount(row)) == layout.plainCount else {
            let fitted = try fitted(row, layout)
            reader = ByteReader(0..<fitted.count)
            _ = try? reader.valueCount(fitted.span)
            return try decode(type, key: key, row: fitted.span, from: reader, layout)
        }
        return try decode(type, key: key, row: row, from: reader, layout)
    }

    /// Makes a row fit the type if its values are not those of the type: it was written before the newest columns were
    /// added, or by a program that has more of them, or the type has its columns in another order.
    private static func fitted(
        _ row: Span<UInt8>, _ layout: RowLayout
    ) throws(RowError) -> [UInt8] {
        var body = try RowCodec.trimmed(row, layout.schema)
        if body == nil { body = try RowCodec.completed(row, layout.schema) }
        if let moves = layout.moves {
            let whole = body ?? copy(row)
            return try moves.typed(whole.span, layout.schema)
        }
        guard let body else {
            throw RowError(table: layout.schema.name, .malformed("no count of values"))
        }
        return body
    }

    /// Decodes a row whose bytes have exactly the values of the type, in its order. The reader must be behind their count.
    private static func decode<Row: TableRow>(
        _ type: Row.Type, key: Span<UInt8>, row: Span<UInt8>, from reader: ByteReader,
        _ layout: RowLayout
    ) throws(RowError) -> Row {
        return unsafe try key.withUnsafeBufferPointer { (key) throws(RowError) in
            unsafe try row.withUnsafeBufferPointer { (row) throws(RowError) in
                var decoder = unsafe RowDecoder(layout, key: key, row: row, rowReader: reader)
                let value: Row
                do { value = try Row(from: &decoder) } catch { throw RowError(error, layout) }
                if !decoder.isAtEnd { throw decoder.unfinished() }
                return value
            }
        }
    }

    /// The key that these bytes hold.
    ///
    /// - Parameter layout: of the key's columns alone.
    static func decode<Key: RowKey>(
        _ type: Key.Type, key: Span<UInt8>, _ layout: RowLayout
    ) throws(RowError) -> Key {
        unsafe try key.withUnsafeBufferPointer { (key) throws(RowError) in
            var decoder = unsafe RowDecoder(
                layout, key: key, row: UnsafeBufferPointer(start: nil, count: 0),
                rowReader: ByteReader(0..<0))
            let value: Key
            do { value = try Key(from: &decoder) } catch { throw RowError(error, layout) }
            if !decoder.isAtEnd { throw decoder.unfinished() }
            return value
        }
    }

    /// One value, as rows and patches hold it, read as a column of the layout.
    static func decode<V>(
        valueOf column: Int, _ value: Span<UInt8>, _ layout: RowLayout,
        _ read: (inout RowDecoder) throws(RowError) -> V
    ) throws(RowError) -> V {
        try unsafe value.withUnsafeBufferPointer { (bytes) throws(RowError) in
            var decoder = unsafe RowDecoder(
                layout, key: UnsafeBufferPointer(start: nil, count: 0), row: bytes,
                rowReader: ByteReader(0..<bytes.count))
            decoder.index = column
            return try read(&decoder)
        }
    }

    private var isAtEnd: Bool { index == codes.count && row.isAtEnd && key.isAtEnd }

    private func unfinished() -> RowError {
        let problem: RowError.Problem =
            index == codes.count
            ? .malformed("bytes follow the \(row.isAtEnd ? "key" : "row")")
            : .wrongColumnCount(expected: codes.count, got: index)
        return RowError(table: layout.schema.name, problem)
    }

    // MARK: The next column

    /// The place of the next column's value, behind its tag.
    private enum Place {
        case null
        case row
        /// An integer of a row from before the column held reals.
        case integer
        case key(isLast: Bool)
    }

    /// Steps to the next column, which must hold this type or null.
    private mutating func next(_ tag: ValueTag) throws(RowError) -> Place {
        guard index < codes.count else {
            throw RowError(
                table: layout.schema.name,
                .wrongColumnCount(expected: codes.count, got: index + 1))
        }
        let code = codes[index]
        index += 1
        guard code.holds(tag) else { throw wrongType(tag) }
        if code.isKey { return .key(isLast: code.isLastOfKey) }
        let stored: ValueTag
        do throws(Damage) {
            stored = unsafe try row.tag(rowBytes.span)
        } catch {
            throw failure(error)
        }
        if stored == tag { return .row }
        if stored == .integer, tag == .real, layout.isWidened(index - 1) { return .integer }
        guard stored == .null else { throw wrongType(stored) }
        return .null
    }

    /// Whether the next column is an integer, as a column with a time in seconds is.
    var holdsSeconds: Bool { codes[index].holds(.integer) }

    private func wrongType(_ got: ValueTag) -> RowError {
        failure(Damage(layout.columns[index - 1].problem(with: got)))
    }

    /// An error that names the column that was read last.
    private func failure(_ damage: Damage) -> RowError {
        layout.error(at: index - 1, damage.problem)
    }

    /// The error if the column that was read last does not hold a value of this type.
    @usableFromInline func refusal(_ type: String) -> RowError {
        failure(Damage(.notConvertible(to: type)))
    }

    /// The error if the column that was read last is null.
    @usableFromInline func nullRefusal() -> RowError { failure(Damage(.unexpectedNull)) }

    private func required<T>(_ value: T?) throws(RowError) -> T {
        guard let value else { throw failure(Damage(.unexpectedNull)) }
        return value
    }
}

extension RowDecoder {
    // MARK: Nullable columns

    /// Reads the next column: an integer, or null.
    public mutating func decode(_: Int64?.Type = Int64?.self) throws(RowError) -> Int64? {
        let place = try next(.integer)
        do throws(Damage) {
            switch place {
            case .null: return nil
            case .row, .integer: return unsafe try row.rowInteger(rowBytes.span)
            case .key: return unsafe try key.keyInteger(keyBytes.span)
            }
        } catch {
            throw failure(error)
        }
    }

    /// Reads the next column: an integer, or null.
    public mutating func decode(_: Int?.Type = Int?.self) throws(RowError) -> Int? {
        try decode(Int64?.self).map { Int($0) }
    }

    /// Reads the next column: an integer as a Boolean, or null. Any integer other than 0 is true.
    public mutating func decode(_: Bool?.Type = Bool?.self) throws(RowError) -> Bool? {
        try decode(Int64?.self).map { $0 != 0 }
    }

    /// Reads the next column: a number, or null.
    public mutating func decode(_: Double?.Type = Double?.self) throws(RowError) -> Double? {
        let place = try next(.real)
        do throws(Damage) {
            switch place {
            case .null: return nil
            case .row: return unsafe try row.rowReal(rowBytes.span)
            case .integer: return Double(unsafe try row.rowInteger(rowBytes.span))
            case .key: return unsafe try key.keyReal(keyBytes.span)
            }
        } catch {
            throw failure(error)
        }
    }

    /// Reads the next column: text, or null.
    public mutating func decode(_: String?.Type = String?.self) throws(RowError) -> String? {
        try decode(bytesOf: .text) { bytes throws(Damage) in try text(bytes) }
    }

    /// Reads the next column: text as a time, or null. It takes the formats that GRDB and SQLite write: a date, then
    /// optionally a time and fractions of a second.
    public mutating func decode(_: Date?.Type = Date?.self) throws(RowError) -> Date? {
        try decode(bytesOf: .text) { bytes throws(Damage) in
            guard let date = Date(sqliteText: bytes) else {
                throw Damage(.notConvertible(to: "date"))
            }
            return date
        }
    }

    /// Reads the next column: bytes, or null.
    public mutating func decode(_: [UInt8]?.Type = [UInt8]?.self) throws(RowError) -> [UInt8]? {
        try decode(bytesOf: .blob) { bytes in copy(bytes) }
    }

    /// Reads the next column: 16 bytes as a UUID, or null.
    public mutating func decode(_: UUID?.Type = UUID?.self) throws(RowError) -> UUID? {
        try decode(bytesOf: .blob) { bytes throws(Damage) in
            guard let uuid = UUID(bytes) else { throw Damage(.notConvertible(to: "UUID")) }
            return uuid
        }
    }

    @inline(__always)
    private mutating func decode<T>(
        bytesOf tag: ValueTag, _ make: (Span<UInt8>) throws(Damage) -> T
    ) throws(RowError) -> T? {
        let place = try next(tag)
        do throws(Damage) {
            switch place {
            case .null:
                return nil
            case .row, .integer:
                let range = unsafe try row.rowBytes(rowBytes.span)
                return unsafe try make(rowBytes.span.extracting(range))
            case .key(let isLast):
                let (range, isEscaped) = unsafe try key.keyBytes(keyBytes.span, isLast: isLast)
                let raw = unsafe keyBytes.span.extracting(range)
                return isEscaped ? try make(unescaped(raw).span) : try make(raw)
            }
        } catch {
            throw failure(error)
        }
    }

    // MARK: Columns that are not null

    /// Reads the next column: an integer.
    public mutating func decode(_: Int64.Type = Int64.self) throws(RowError) -> Int64 {
        try required(decode(Int64?.self))
    }

    /// Reads the next column: an integer.
    public mutating func decode(_: Int.Type = Int.self) throws(RowError) -> Int {
        Int(try required(decode(Int64?.self)))
    }

    /// Reads the next column: an integer as a Boolean. Any integer other than 0 is true.
    public mutating func decode(_: Bool.Type = Bool.self) throws(RowError) -> Bool {
        try required(decode(Int64?.self)) != 0
    }

    /// Reads the next column: a number.
    public mutating func decode(_: Double.Type = Double.self) throws(RowError) -> Double {
        try required(decode(Double?.self))
    }

    /// Reads the next column: text.
    public mutating func decode(_: String.Type = String.self) throws(RowError) -> String {
        try required(decode(String?.self))
    }

    /// Reads the next column: text as a time. It takes the formats that GRDB and SQLite write: a date, then
    /// optionally a time and fractions of a second.
    public mutating func decode(_: Date.Type = Date.self) throws(RowError) -> Date {
        try required(decode(Date?.self))
    }

    /// Reads the next column: bytes.
    public mutating func decode(_: [UInt8].Type = [UInt8].self) throws(RowError) -> [UInt8] {
        try required(decode([UInt8]?.self))
    }

    /// Reads the next column: 16 bytes as a UUID.
    public mutating func decode(_: UUID.Type = UUID.self) throws(RowError) -> UUID {
        try required(decode(UUID?.self))
    }
}
