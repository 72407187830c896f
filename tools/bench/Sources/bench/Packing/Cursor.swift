/// Reads or writes the parts of a block's payload, one after the other. It does not check what it reads: the store
/// wrote the payload, and zstd compared its checksum.
struct Cursor {
    var at: UnsafeMutablePointer<UInt8>

    init(_ start: UnsafeMutablePointer<UInt8>) { at = start }

    /// A cursor that is only used to read.
    init(_ bytes: Bytes) { at = UnsafeMutablePointer(mutating: bytes.baseAddress!) }

    @inline(__always)
    mutating func byte() -> UInt8 {
        defer { at += 1 }
        return at.pointee
    }

    @inline(__always)
    mutating func varint() -> Int {
        var next = byte()
        guard next >= 0x80 else { return Int(next) }
        var value = UInt64(next & 0x7F)
        var shift: UInt64 = 7
        repeat {
            next = byte()
            value |= UInt64(next & 0x7F) << shift
            shift += 7
        } while next >= 0x80
        return Int(truncatingIfNeeded: value)
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        at.pointee = byte
        at += 1
    }

    @inline(__always)
    mutating func append(varint value: Int) {
        var rest = UInt64(bitPattern: Int64(value))
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// Copies bytes from the position of another cursor, and moves both.
    @inline(__always)
    mutating func append(from source: inout Cursor, _ count: Int) {
        at.update(from: source.at, count: count)
        at += count
        source.at += count
    }
}
