package import EventLog

// The value of an index entry: one component for each column of the index, in its order.
//
//   component := not nullable: bytes | nullable: 00 (null) | 01 bytes
//   bytes     := integer: 8 bytes, big-endian, sign bit flipped
//              | real: 8 bytes, big-endian, all bits flipped if negative, else the sign bit
//              | text, blob: bytes with 00 as 00 FF, then 00 00
//
// Components compare bytewise as SQLite orders the values under ORDER BY: nulls first, numbers by size, text as its
// UTF-8 bytes (the collation BINARY), blobs as bytes. No component is the beginning of another one of its column.
// The bytes are those of keys (ValueBytes.swift).

/// How the entries of an index are made from rows.
package struct IndexColumns: Sendable, Equatable {
    struct Part: Sendable, Equatable {
        /// Its place among the columns outside the key.
        var place: Int
        var name: String
        var type: ColumnType
        var isNullable: Bool
        /// Whether older rows may hold integers in this column, which holds reals now.
        var wasInteger: Bool
        /// The component of a row that lacks the column.
        var missing: [UInt8]
    }

    let parts: [Part]
    /// The places of the columns, ascending, each once: the columns to read from a database.
    package let places: [Int]
    /// The same columns in a row that has nothing but these.
    private let projectedPlaces: [Int]

    /// The columns of an index in a table, by their places among those outside the key.
    package init(_ columns: [Int], in schema: TableSchema) {
        parts = columns.map { place in
            let column = schema.valueColumns[place]
            var missing: [UInt8] = []
            missing.append(
                indexComponent: Self.missing(of: column), isNullable: column.isNullable)
            return Part(
                place: place, name: column.name, type: column.type,
                isNullable: column.isNullable, wasInteger: column.wasInteger, missing: missing)
        }
        places = Set(parts.map(\.place)).sorted()
        let places = places
        projectedPlaces = parts.map { places.firstIndex(of: $0.place) ?? 0 }
    }

    /// Whether entries are the same bytes as those of another index over the same columns.
    func hasForm(of other: IndexColumns) -> Bool {
        parts.elementsEqual(other.parts) {
            $0.type == $1.type && $0.isNullable == $1.isNullable && $0.missing == $1.missing
        }
    }

    /// The value of a row that lacks the column. If the column is not nullable and has no default, only a row that the
    /// builder has yet to visit can lack it. Its entry must be whole nevertheless, because another patch may follow.
    private static func missing(of column: ColumnSchema) -> StoredValue {
        guard column.missingValue == .null, !column.isNullable else { return column.missingValue }
        return switch column.type {
        case .integer: .integer(0)
        case .real: .real(0)
        case .text: .text("")
        case .blob: .blob([])
        }
    }

    /// Appends the value of a row, given as a row body, or as one that has only the columns at ``places``.
    package func append(
        row: Span<UInt8>, isProjected: Bool = false, to value: inout [UInt8]
    ) throws(MalformedRecord) {
        var reader = ByteReader(0..<row.count)
        let count = try reader.valueCount(row)
        let start = reader
        var next = 0
        for (index, part) in parts.enumerated() {
            let place = isProjected ? projectedPlaces[index] : part.place
            guard place < count else {
                value.append(contentsOf: part.missing)
                continue
            }
            if place < next { (reader, next) = (start, 0) }
            while next < place {
                try reader.skipValue(row)
                next += 1
            }
            try reader.appendComponent(of: part, row, to: &value)
            next += 1
        }
    }

    /// Appends the value of a row after a patch.
    ///
    /// - Parameter old: the value before; nil if there was no row. Columns that the patch does not set then get their
    ///   defaults.
    /// - Returns: false, with nothing appended, if the patch sets none of the columns and there was a row.
    package func append(
        patch: Span<UInt8>, over old: Span<UInt8>?, to value: inout [UInt8]
    ) throws(MalformedRecord) -> Bool {
        if old != nil {
            guard try touches(patch) else { return false }
        }
        var position = 0
        for part in parts {
            let start = position
            if let old { position = part.end(in: old, from: start) }
            if var reader = try Self.find(part.place, in: patch) {
                try reader.appendComponent(of: part, patch, to: &value)
            } else if let old {
                value.append(span: old.extracting(start..<position))
            } else {
                value.append(contentsOf: part.missing)
            }
        }
        return true
    }

    /// The reason why a row cannot be in the index at present.
    static let sumOutOfRange = "a sum does not fit into 64 bits"

    /// Appends the value of a row after amounts were added to it, given as a patch of amounts.
    ///
    /// - Parameter old: the value before; nil if the amounts make the row.
    /// - Returns: false, with nothing appended, if nothing is added to the columns, and there was a row.
    package func append(
        adding amounts: Span<UInt8>, over old: Span<UInt8>?, to value: inout [UInt8]
    ) throws(MalformedRecord) -> Bool {
        if old != nil {
            guard try touches(amounts) else { return false }
        }
        var position = 0
        for part in parts {
            let start = position
            if let old { position = part.end(in: old, from: start) }
            if part.type == .integer, var reader = try Self.find(part.place, in: amounts) {
                var before = part.integer(in: part.missing.span, from: 0)
                if let old { before = part.integer(in: old, from: start) ?? before }
                guard try reader.byte(amounts) == ValueTag.amount.rawValue else {
                    throw MalformedRecord(offset: reader.offset, reason: "no amount")
                }
                let sum = Int128(before ?? 0).addingReportingOverflow(
                    try reader.wideInteger(amounts))
                guard !sum.overflow, let sum = Int64(exactly: sum.partialValue) else {
                    throw MalformedRecord(offset: reader.offset, reason: Self.sumOutOfRange)
                }
                value.append(indexComponent: .integer(sum), isNullable: part.isNullable)
            } else if let old {
                value.append(span: old.extracting(start..<position))
            } else {
                value.append(contentsOf: part.missing)
            }
        }
        return true
    }

    private func touches(_ patch: Span<UInt8>) throws(MalformedRecord) -> Bool {
        for place in places where try Self.find(place, in: patch) != nil { return true }
        return false
    }

    /// A reader at the value that a patch sets a column to; nil if it does not set it.
    private static func find(
        _ place: Int, in patch: Span<UInt8>
    ) throws(MalformedRecord) -> ByteReader? {
        var reader = ByteReader(0..<patch.count)
        for _ in 0..<(try reader.valueCount(patch)) {
            // Columns ascend in a patch.
            let column = try reader.varint(patch)
            if column == UInt64(place) { return reader }
            if column > UInt64(place) { return nil }
            try reader.skipValue(patch)
        }
        return nil
    }
}

extension IndexColumns {
    /// A writer for the values of a bound.
    package func bound(of table: String) -> IndexBound {
        IndexBound(table: table, columns: parts.map(\.column))
    }

    /// The first bytes of all entries that have these values in their first columns.
    package func bound(
        _ values: [StoredValue], of table: String
    ) throws(RowError) -> [UInt8] {
        guard values.count <= parts.count else {
            throw RowError(
                table: table, .wrongColumnCount(expected: parts.count, got: values.count))
        }
        let schema = TableSchema(table, [])
        var bytes: [UInt8] = []
        for (part, value) in zip(parts, values) {
            let value = part.wasInteger ? value.asReal : value
            try schema.check(value, part.column)
            bytes.append(indexComponent: value, isNullable: part.isNullable)
        }
        return bytes
    }
}

extension IndexColumns.Part {
    fileprivate var column: ColumnSchema {
        var column = ColumnSchema.column(name, type, nullable: isNullable)
        column.wasInteger = wasInteger
        return column
    }

    /// The integer of the component that begins at `start`; nil for a null.
    func integer(in value: Span<UInt8>, from start: Int) -> Int64? {
        var place = start
        if isNullable {
            if value[place] == 0 { return nil }
            place += 1
        }
        guard type == .integer else { return nil }
        let bits = value.integer(UInt64.self, at: place).byteSwapped
        return Int64(bitPattern: bits ^ keySignBit)
    }

    /// The end of the component that begins at `start`.
    func end(in value: Span<UInt8>, from start: Int) -> Int {
        var end = start
        if isNullable {
            end += 1
            if value[start] == 0 { return end }
        }
        guard type == .text || type == .blob else { return end + 8 }
        while value[end] != 0 || value[end + 1] != 0 { end += value[end] == 0 ? 2 : 1 }
        return end + 2
    }
}

extension ByteReader {
    /// Appends the component of the next value.
    @inline(__always)
    fileprivate mutating func appendComponent(
        of part: IndexColumns.Part, _ bytes: Span<UInt8>, to value: inout [UInt8]
    ) throws(MalformedRecord) {
        let start = offset
        let tag = try byte(bytes)
        if tag == ValueTag.null.rawValue, part.isNullable { return value.append(0) }
        guard tag == part.type.tag.rawValue else {
            guard part.wasInteger, tag == ValueTag.integer.rawValue else {
                let isWide = tag == ValueTag.wide.rawValue
                throw MalformedRecord(
                    offset: start,
                    reason: isWide ? IndexColumns.sumOutOfRange : "a value of another type")
            }
            if part.isNullable { value.append(1) }
            return value.append(keyReal: Double(unzigzag(try varint(bytes))))
        }
        if part.isNullable { value.append(1) }
        switch part.type {
        case .integer: value.append(keyInteger: unzigzag(try varint(bytes)))
        case .real:
            let place = try take(8).lowerBound
            value.append(
                keyReal: Double(bitPattern: bytes.integer(UInt64.self, at: place)))
        case .text, .blob:
            let start = value.count
            value.append(span: bytes.extracting(try take(try varint(bytes))))
            value.endKeyBytes(from: start)
        }
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func append(span: Span<UInt8>) {
        unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    /// Appends the component of a value of the right type.
    mutating func append(indexComponent value: StoredValue, isNullable: Bool) {
        if isNullable {
            append(value == .null ? 0 : 1)
        }
        switch value {
        case .null: break
        case .integer(let value): append(keyInteger: value)
        case .real(let value): append(keyReal: value)
        case .text(let value): append(keyText: value, isLast: false)
        case .blob(let value): append(keyBlob: value, isLast: false)
        }
    }
}
