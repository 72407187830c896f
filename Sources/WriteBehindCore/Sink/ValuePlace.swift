package import EventLog

/// A value whose bytes are not copied.
package enum ValuePlace {
    case null
    case integer(Int64)
    case real(Double)
    case text(Range<Int>)
    case blob(Range<Int>)
}

// The reader's steps through a row's values, with errors of a sink.
extension ByteReader {
    @inline(__always)
    package mutating func place(_ bytes: Span<UInt8>) throws(SinkError) -> ValuePlace {
        var isWide = false
        do throws(MalformedRecord) {
            switch ValueTag(rawValue: try byte(bytes)) {
            case .null: return .null
            case .integer: return .integer(unzigzag(try varint(bytes)))
            case .real:
                let range = try take(8)
                return .real(Double(bitPattern: bytes.integer(UInt64.self, at: range.lowerBound)))
            case .text: return .text(try take(try varint(bytes)))
            case .blob: return .blob(try take(try varint(bytes)))
            case .wide:
                _ = try wideInteger(bytes)
                isWide = true
            case .amount, nil: break
            }
        } catch {
            throw SinkError(malformed: error)
        }
        if isWide { throw .sumOutOfRange }
        throw SinkError(.corrupt, "a row holds an unknown kind of value")
    }

    /// How many values follow. Throws if they are more than `limit`, the columns of the table.
    @inline(__always)
    package mutating func values(_ bytes: Span<UInt8>, limit: Int) throws(SinkError) -> Int {
        let count: Int
        do throws(MalformedRecord) {
            count = try valueCount(bytes)
        } catch {
            throw SinkError(malformed: error)
        }
        guard count <= limit else { throw SinkError(.corrupt, "a row has too many values") }
        return count
    }

    /// The number of the column that the next value of a patch is for.
    @inline(__always)
    package mutating func column(_ bytes: Span<UInt8>) throws(SinkError) -> UInt64 {
        do throws(MalformedRecord) { return try varint(bytes) } catch {
            throw SinkError(malformed: error)
        }
    }

    @inline(__always)
    package mutating func skip(_ bytes: Span<UInt8>) throws(SinkError) {
        do throws(MalformedRecord) { try skipValue(bytes) } catch {
            throw SinkError(malformed: error)
        }
    }
}
