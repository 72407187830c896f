import EventLog

/// A fault in stored bytes. The caller adds table and column and makes a ``RowError`` of it.
struct Damage: Error {
    let problem: RowError.Problem

    init(_ problem: RowError.Problem) { self.problem = problem }
    init(_ reason: String) { problem = .malformed(reason) }

    @inline(__always)
    static func naming<T>(_ read: () throws(MalformedRecord) -> T) throws(Damage) -> T {
        do throws(MalformedRecord) {
            return try read()
        } catch {
            throw Damage(error.reason)
        }
    }
}

// The inverse of ValueBytes.swift. The bytes may be damaged, so every step checks that it stays inside them.

extension ByteReader {
    // MARK: In a row

    mutating func tag(_ bytes: Span<UInt8>) throws(Damage) -> ValueTag {
        let code = try Damage.naming { () throws(MalformedRecord) in try byte(bytes) }
        guard let tag = ValueTag(rawValue: code) else { throw Damage("unknown value tag") }
        return tag
    }

    mutating func rowInteger(_ bytes: Span<UInt8>) throws(Damage) -> Int64 {
        try Damage.naming { () throws(MalformedRecord) in unzigzag(try varint(bytes)) }
    }

    mutating func rowReal(_ bytes: Span<UInt8>) throws(Damage) -> Double {
        try storableReal(try fixed64(bytes))
    }

    mutating func rowBytes(_ bytes: Span<UInt8>) throws(Damage) -> Range<Int> {
        try Damage.naming { () throws(MalformedRecord) in try take(try varint(bytes)) }
    }

    mutating func count(_ bytes: Span<UInt8>) throws(Damage) -> Int {
        try Damage.naming { () throws(MalformedRecord) in try valueCount(bytes) }
    }

    /// Reads any value behind its tag.
    mutating func value(_ tag: ValueTag, _ bytes: Span<UInt8>) throws(Damage) -> StoredValue {
        switch tag {
        case .null: .null
        case .integer: .integer(try rowInteger(bytes))
        case .real: .real(try rowReal(bytes))
        case .text: .text(try text(bytes.extracting(try rowBytes(bytes))))
        case .blob: .blob(copy(bytes.extracting(try rowBytes(bytes))))
        case .amount: throw Damage("an amount in the place of a value")
        case .wide: throw Damage(.sumOutOfRange)
        }
    }

    // MARK: In a key

    mutating func keyInteger(_ bytes: Span<UInt8>) throws(Damage) -> Int64 {
        Int64(bitPattern: try fixed64(bytes).byteSwapped ^ keySignBit)
    }

    mutating func keyReal(_ bytes: Span<UInt8>) throws(Damage) -> Double {
        let bits = try fixed64(bytes).byteSwapped
        return try storableReal(bits & keySignBit == 0 ? ~bits : bits ^ keySignBit)
    }

    /// Steps over a text or blob. The result is still escaped if `isEscaped`.
    mutating func keyBytes(
        _ bytes: Span<UInt8>, isLast: Bool
    ) throws(Damage) -> (range: Range<Int>, isEscaped: Bool) {
        let start = offset
        if isLast {
            offset = end
            return (start..<end, false)
        }
        var isEscaped = false
        while end - offset >= 2 {
            if bytes[offset] != 0 {
                offset += 1
                continue
            }
            offset += 2
            switch bytes[offset - 1] {
            case 0: return (start..<offset - 2, isEscaped)
            case 0xFF: isEscaped = true
            default: throw Damage("unknown escape in a key")
            }
        }
        throw Damage("a key component is not terminated")
    }

    /// Reads a component of a key.
    mutating func component(
        _ type: ColumnType, isLast: Bool, _ bytes: Span<UInt8>
    ) throws(Damage) -> StoredValue {
        switch type {
        case .integer: return .integer(try keyInteger(bytes))
        case .real: return .real(try keyReal(bytes))
        case .text:
            let (range, isEscaped) = try keyBytes(bytes, isLast: isLast)
            guard isEscaped else { return .text(try text(bytes.extracting(range))) }
            return .text(try text(unescaped(bytes.extracting(range)).span))
        case .blob:
            let (range, isEscaped) = try keyBytes(bytes, isLast: isLast)
            let raw = bytes.extracting(range)
            return .blob(isEscaped ? unescaped(raw) : copy(raw))
        }
    }

    // MARK: In both

    private mutating func fixed64(_ bytes: Span<UInt8>) throws(Damage) -> UInt64 {
        let range = try Damage.naming { () throws(MalformedRecord) in try take(8) }
        return bytes.integer(UInt64.self, at: range.lowerBound)
    }
}

/// The number. Throws for NaN and -0.0, which no writer writes.
private func storableReal(_ bits: UInt64) throws(Damage) -> Double {
    let value = Double(bitPattern: bits)
    guard !value.isNaN, value != 0 || bits == 0 else { throw Damage("a number never written") }
    return value
}

func text(_ bytes: Span<UInt8>) throws(Damage) -> String {
    do throws(UTF8.ValidationError) {
        return String(copying: try UTF8Span(validating: bytes))
    } catch {
        throw Damage("text is not UTF-8")
    }
}

func copy(_ bytes: Span<UInt8>) -> [UInt8] {
    unsafe bytes.withUnsafeBufferPointer { unsafe [UInt8]($0) }
}

/// Undoes the escaping of a key component, which ``ByteReader/keyBytes(_:isLast:)`` has checked.
func unescaped(_ bytes: Span<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        result.append(bytes[index])
        index += bytes[index] == 0 ? 2 : 1
    }
    return result
}
