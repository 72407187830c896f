import CLinux
import Glibc

extension Span<UInt8> {
    /// Reads a little-endian integer; traps if it would reach past the end.
    @inlinable
    package func integer<T>(_ type: T.Type, at offset: Int) -> T
    where T: FixedWidthInteger & BitwiseCopyable {
        // The load checks its bounds in release builds too. Only the reinterpretation is unsafe,
        // and any bytes make a valid fixed-width integer.
        T(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// Less than zero if these bytes come before the others in the order of keys, zero if they are the same.
    package func compared(with other: Span<UInt8>) -> Int {
        let shared = Swift.min(count, other.count)
        let order = unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                // memcmp must not get a null address, which an empty span has.
                shared == 0 ? 0 : unsafe memcmp(left.baseAddress!, right.baseAddress!, shared)
            }
        }
        return order != 0 ? Int(order) : count - other.count
    }

    /// Whether these bytes come before the others in the order of keys.
    package func precedes(_ other: Span<UInt8>) -> Bool { compared(with: other) < 0 }

    /// Whether these bytes begin with the others.
    package func starts(with other: Span<UInt8>) -> Bool {
        other.count <= count && extracting(..<other.count).compared(with: other) == 0
    }

    /// Whether these bytes contain the others.
    package func holds(_ other: Span<UInt8>) -> Bool {
        guard other.count > 0, other.count <= count else { return other.count == 0 }
        return unsafe withUnsafeBytes { all in
            unsafe other.withUnsafeBytes { piece in
                unsafe memmem(all.baseAddress!, all.count, piece.baseAddress!, piece.count) != nil
            }
        }
    }
}

extension [UInt8] {
    /// Appends an integer, least significant byte first.
    @inlinable
    package mutating func append<T: FixedWidthInteger>(integer value: T) {
        var rest = value
        for _ in 0..<MemoryLayout<T>.size {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    /// Overwrites the bytes at `offset` with an integer, least significant byte first.
    @inlinable
    package mutating func store<T: FixedWidthInteger>(integer value: T, at offset: Int) {
        var rest = value
        for index in offset..<offset + MemoryLayout<T>.size {
            self[index] = UInt8(truncatingIfNeeded: rest)
            rest >>= 8
        }
    }

    /// Appends an unsigned LEB128.
    @inlinable
    package mutating func append(varint value: UInt64) {
        append(addingCapacity: 10) { $0.append(varint: value) }
    }
}

extension [UInt8] {
    /// Appends a zigzag integer of up to 128 bits, as ``ByteReader/wideInteger(_:)`` reads it.
    package mutating func append(wideInteger value: Int128) {
        var rest = UInt128(bitPattern: value << 1 ^ value >> 127)
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

/// Calls `body` for each byte of an unsigned LEB128, at most ten.
@inlinable
@inline(__always)
package func forEachByte(ofVarint value: UInt64, _ body: (UInt8) -> Void) {
    var rest = value
    while rest >= 0x80 {
        body(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    body(UInt8(truncatingIfNeeded: rest))
}

extension OutputSpan<UInt8> {
    /// Appends an unsigned LEB128, of ten bytes at the most.
    @inlinable
    @inline(__always)
    package mutating func append(varint value: UInt64) {
        forEachByte(ofVarint: value) { append($0) }
    }

    /// Appends a copy of the bytes; traps if there is no room for them.
    @inlinable
    @inline(__always)
    package mutating func append(bytes: Span<UInt8>) {
        unsafe withUnsafeMutableBufferPointer { buffer, count in
            unsafe bytes.withUnsafeBufferPointer { source in
                guard let start = source.baseAddress, let target = buffer.baseAddress else {
                    return
                }
                precondition(source.count <= buffer.count - count, "no room for the bytes")
                unsafe (target + count).initialize(from: start, count: source.count)
                count += source.count
            }
        }
    }
}

/// Maps a signed integer onto an unsigned one of similar magnitude: 0, -1, 1, -2, … become 0, 1, 2, 3, …
@inlinable
package func zigzag(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: (value << 1) ^ (value >> 63))
}

/// The inverse of ``zigzag(_:)``.
@inlinable
package func unzigzag(_ value: UInt64) -> Int64 {
    Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
}
