import EventLog

// The bytes of single values in keys and in rows. No checks here: callers have checked the column.
//
//   in a row     u8(tag), then: integer: zigzag varint | real: 8 bytes, little-endian
//                | text, blob: varint(length) bytes
//   in a key     integer: 8 bytes, big-endian, sign bit flipped
//                real: 8 bytes, big-endian, all bits flipped if negative, else the sign bit
//                text, blob: bytes with 00 as 00 FF, then 00 00; the last component of a key is
//                its raw bytes instead
//
// Key components compare bytewise as SQLite compares the values: flipping puts negative numbers
// first; 00 00 ends a text before any byte that could follow, so a prefix sorts first; and
// UTF-8 sorts as its bytes do, as under SQLite's BINARY collation.

extension [UInt8] {
    package mutating func append(rowInteger value: Int64) {
        append(addingCapacity: 11) { bytes in
            bytes.append(ValueTag.integer.rawValue)
            bytes.append(varint: zigzag(value))
        }
    }

    /// -0.0 becomes 0.0, as it would in the database.
    package mutating func append(rowReal value: Double) {
        append(addingCapacity: 9) { bytes in
            bytes.append(ValueTag.real.rawValue)
            bytes.append(fixed64: (value == 0 ? 0.0 : value).bitPattern)
        }
    }

    package mutating func append(rowText value: String) {
        append(ValueTag.text.rawValue)
        append(varint: UInt64(value.utf8.count))
        append(utf8: value)
    }

    package mutating func append(rowBlob value: [UInt8]) {
        append(ValueTag.blob.rawValue)
        append(varint: UInt64(value.count))
        append(contentsOf: value)
    }

    /// Copies all bytes at once. Through `value.utf8`, a short string would be copied byte by byte.
    private mutating func append(utf8 value: String) {
        var value = value
        value.withUTF8 { unsafe append(contentsOf: $0) }
    }

    mutating func append(row value: StoredValue) {
        switch value {
        case .null: append(ValueTag.null.rawValue)
        case .integer(let value): append(rowInteger: value)
        case .real(let value): append(rowReal: value)
        case .text(let value): append(rowText: value)
        case .blob(let value): append(rowBlob: value)
        }
    }

    package mutating func append(keyInteger value: Int64) {
        append(key: UInt64(bitPattern: value) ^ keySignBit)
    }

    package mutating func append(keyReal value: Double) {
        let bits = (value == 0 ? 0.0 : value).bitPattern
        append(key: bits & keySignBit == 0 ? bits ^ keySignBit : ~bits)
    }

    private mutating func append(key bits: UInt64) {
        append(addingCapacity: 8) { $0.append(fixed64: bits.byteSwapped) }
    }

    package mutating func append(keyText value: String, isLast: Bool) {
        let start = count
        append(utf8: value)
        if !isLast { endKeyBytes(from: start) }
    }

    package mutating func append(keyBlob value: [UInt8], isLast: Bool) {
        let start = count
        append(contentsOf: value)
        if !isLast { endKeyBytes(from: start) }
    }

    /// Escapes and terminates the component that starts at `start`.
    package mutating func endKeyBytes(from start: Int) {
        if self[start...].contains(0) {
            let raw = self[start...]
            removeLast(count - start)
            for byte in raw {
                append(byte)
                if byte == 0 { append(0xFF) }
            }
        }
        append(0)
        append(0)
    }
}

extension OutputSpan<UInt8> {
    /// Appends an integer, least significant byte first.
    @inline(__always)
    mutating func append(fixed64 value: UInt64) {
        for shift in stride(from: 0 as UInt64, to: 64, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

let keySignBit: UInt64 = 1 << 63
