// Records: the parts of a commit. The log holds rows only as records.
//
//   record  := u8(operation) varint(table) varint(length) key body before?
//   body    := put: row | patch: varint(count) (varint(column) value)* | delete: empty
//            | clear: empty, key empty | define: varint(length) UTF-8 JSON of the table's schema
//            | mark: varint(length) UTF-8 name, table 0, key empty
//            | preamble: varint(length) define-record*, table 0, key empty
//            | settle: varint(first) varint(last sequence that a group of quarantined commits starts with)
//              varint(rows of the group that are left for later commits) varint(length) UTF-8 reason,
//              table 0, key empty
//            | add: u8(origin) varint(count) (varint(column) value)*, each value an amount
//   origin  := 0 the amounts count only if the row is there | 1 without a row they make one
//            | 3 varint(length) patch: a row that is put if there is none; no amounts follow. Of shared tables only.
//   before  := row: the one before a patch, if the operation has the bit 128
//   row     := varint(count) value*              the non-key columns, in schema order
//   value   := 0 null | 1 zigzag integer | 2 f64 | 3 varint(length) UTF-8 | 4 varint(length) bytes
//            | 5 amount | 6 wide integer: each a zigzag integer of 128 bits
//
// varint is unsigned LEB128 of at most 10 bytes, or 19 for 128 bits; zigzag maps a signed integer onto one. Operation 0
// is never written, so zeroes that a crash left behind are no record. A row may hold fewer values
// than its table has columns today: the missing ones, always the last, are those columns' defaults.
//
// All records but one carry after-values, so applying one twice changes nothing. An add carries amounts. The fold
// (RowTable.swift) may merge adds and patches; then the body of an add also has values that are no amounts, and another
// origin: 2, the row is there; or 3, followed by varint(length) and a patch that makes the row if it is not there, and then
// by the patch of a row that is there. A sum that does not fit into 64 bits is a wide integer: no database takes it, but
// later amounts may bring it back. The log itself has neither, but an add of origin 3 whose second patch is empty.

/// The change that a record makes to its row.
package enum Operation: UInt8, Sendable, CaseIterable {
    case put = 1
    case patch = 2
    case delete = 3
    case clear = 4
    case define = 5
    case mark = 6
    /// Gives up a group of quarantined commits, or a part of its rows. The other records of its commit set these
    /// rows.
    case settle = 7
    /// The schemas of all tables at the start of a segment or snapshot; takes no sequence number.
    case preamble = 8
    /// Adds amounts to integer columns, whatever they hold.
    case add = 9
}

extension Operation {
    /// Whether the record changes the one row that its key names.
    package var isOfRow: Bool {
        switch self {
        case .put, .patch, .add, .delete: true
        case .clear, .define, .mark, .settle, .preamble: false
        }
    }
}

/// The first byte of a value.
package enum ValueTag: UInt8, Sendable {
    case null = 0
    case integer = 1
    case real = 2
    case text = 3
    case blob = 4
    /// To be added to what the column holds.
    case amount = 5
    /// A sum that does not fit into 64 bits.
    case wide = 6
}

/// A record's place in the bytes it was parsed from.
package struct Record: Sendable, Equatable {
    package var operation: Operation
    package var table: UInt32
    package var key: Range<Int>
    package var body: Range<Int>
    /// The row before a patch, where the record carries it; empty otherwise.
    package var before = 0..<0

    /// Set in the operation's byte of a patch that carries the row before it.
    package static let beforeFlag: UInt8 = 0x80
    /// The longest key, in bytes.
    package static let keyLimit = 65_535
}

/// Why bytes that passed their checksum are not valid records.
package struct MalformedRecord: Error, Equatable, Sendable {
    package var offset: Int
    package var reason: String

    package init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }
}

/// Walks bytes from the disk; every step checks that it stays inside them.
package struct ByteReader: Sendable {
    package var offset: Int
    package let end: Int

    package init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    package var isAtEnd: Bool { offset >= end }

    package mutating func byte(_ bytes: Span<UInt8>) throws(MalformedRecord) -> UInt8 {
        guard offset < end else { throw MalformedRecord(offset: offset, reason: "ends early") }
        defer { offset += 1 }
        return bytes[offset]
    }

    @inline(__always)
    package mutating func varint(_ bytes: Span<UInt8>) throws(MalformedRecord) -> UInt64 {
        if offset < end {
            let first = bytes[offset]
            if first < 0x80 {
                offset += 1
                return UInt64(first)
            }
        }
        return try longVarint(bytes)
    }

    private mutating func longVarint(_ bytes: Span<UInt8>) throws(MalformedRecord) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let start = offset
        while true {
            let next = try byte(bytes)
            let bits = UInt64(next & 0x7F)
            guard shift < 63 || (shift == 63 && bits <= 1) else {
                throw MalformedRecord(offset: start, reason: "varint exceeds 64 bits")
            }
            value |= bits << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    /// Steps over `count` bytes and returns their place.
    package mutating func take(_ count: UInt64) throws(MalformedRecord) -> Range<Int> {
        guard count <= UInt64(end - offset) else {
            throw MalformedRecord(offset: offset, reason: "ends early")
        }
        defer { offset += Int(count) }
        return offset..<offset + Int(count)
    }

    /// Steps over one value.
    package mutating func skipValue(_ bytes: Span<UInt8>) throws(MalformedRecord) {
        let start = offset
        guard let tag = ValueTag(rawValue: try byte(bytes)) else {
            throw MalformedRecord(offset: start, reason: "unknown value tag")
        }
        switch tag {
        case .null: break
        case .integer: _ = try varint(bytes)
        case .real: _ = try take(8)
        case .text, .blob: _ = try take(try varint(bytes))
        case .amount, .wide: _ = try wideInteger(bytes)
        }
    }

    /// Reads an integer of up to 128 bits.
    package mutating func wideInteger(_ bytes: Span<UInt8>) throws(MalformedRecord) -> Int128 {
        var value: UInt128 = 0
        let start = offset
        for shift in stride(from: 0 as UInt128, to: 128, by: 7) {
            let next = try byte(bytes)
            let bits = UInt128(next & 0x7F)
            guard shift < 126 || bits < 4 else { break }
            value |= bits << shift
            if next < 0x80 { return Int128(truncatingIfNeeded: value >> 1) ^ -Int128(value & 1) }
        }
        throw MalformedRecord(offset: start, reason: "integer exceeds 128 bits")
    }

    /// Parses the record at the current offset and steps over it.
    package mutating func record(_ bytes: Span<UInt8>) throws(MalformedRecord) -> Record {
        let start = offset
        let first = try byte(bytes)
        let hasBefore = first == Operation.patch.rawValue | Record.beforeFlag
        guard let operation = hasBefore ? .patch : Operation(rawValue: first) else {
            throw MalformedRecord(offset: start, reason: "unknown operation")
        }
        let table = try table(bytes)
        let keyLength = try varint(bytes)
        guard keyLength <= UInt64(Record.keyLimit) else {
            throw MalformedRecord(offset: start, reason: "key exceeds its limit")
        }
        let key = try take(keyLength)
        let bodyStart = offset
        try skipBody(of: operation, bytes)
        var record = Record(operation: operation, table: table, key: key, body: bodyStart..<offset)
        if hasBefore {
            try skipBody(of: .put, bytes)
            record.before = record.body.upperBound..<offset
        }
        return record
    }

    /// Parses a record's table, which follows its operation.
    mutating func table(_ bytes: Span<UInt8>) throws(MalformedRecord) -> UInt32 {
        let start = offset
        guard let table = UInt32(exactly: try varint(bytes)) else {
            throw MalformedRecord(offset: start, reason: "table number exceeds 32 bits")
        }
        return table
    }

    private mutating func skipBody(
        of operation: Operation, _ bytes: Span<UInt8>
    ) throws(MalformedRecord) {
        switch operation {
        case .put:
            for _ in 0..<(try valueCount(bytes)) { try skipValue(bytes) }
        case .add:
            // An add that depends on whether the row is there has two patches.
            if try byte(bytes) == 3 { _ = try take(try varint(bytes)) }
            try skipBody(of: .patch, bytes)
        case .patch:
            for _ in 0..<(try valueCount(bytes)) {
                _ = try varint(bytes)
                try skipValue(bytes)
            }
        case .delete, .clear:
            break
        case .settle:
            for _ in 0..<3 { _ = try varint(bytes) }
            _ = try take(try varint(bytes))
        case .define, .mark, .preamble:
            _ = try take(try varint(bytes))
        }
    }

    /// Reads a count of values. Each value takes at least one byte, so a count above the number of bytes left is refused
    /// before any code loops or allocates by it.
    package mutating func valueCount(_ bytes: Span<UInt8>) throws(MalformedRecord) -> Int {
        let start = offset
        let count = try varint(bytes)
        guard count <= UInt64(end - offset) else {
            throw MalformedRecord(offset: start, reason: "more values than bytes")
        }
        return Int(count)
    }
}
