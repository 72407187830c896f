import EventLog
import Glibc

// An entry of an ordered index is one block of its arena:
//
//      0        1        2        4        8
//      +--------+--------+--------+--------+- - - -+- - -+
//      | 1      | unused | key    | value  | value | key |
//      | u8     | u8     | len u16| len u32|       |     |
//      +--------+--------+--------+--------+- - - -+- - -+
//
// Rows are ordered by the value (IndexColumns.swift). Value and key are one run of bytes, and entries are in the
// order of these runs, so rows with equal values are in the order of their keys. No value is the beginning of another one,
// so no key is ever compared with a value.

/// The fields of one block. It must not outlive the block.
@safe struct IndexEntry {
    private static let headerBytes = 8

    private let address: UnsafeMutableRawPointer

    @inline(__always)
    @unsafe init(at address: UnsafeMutableRawPointer) {
        unsafe self.address = address
    }

    static func byteCount(keyLength: Int, valueLength: Int) -> Int {
        headerBytes + keyLength + valueLength
    }

    @inline(__always)
    var keyLength: Int { unsafe Int(address.load(fromByteOffset: 2, as: UInt16.self)) }
    @inline(__always)
    var valueLength: Int { unsafe Int(address.load(fromByteOffset: 4, as: UInt32.self)) }

    /// The value, and the key behind it.
    @inline(__always)
    @unsafe var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            start: address + Self.headerBytes, count: valueLength + keyLength)
    }

    @inline(__always)
    func matches(key: Span<UInt8>) -> Bool {
        guard keyLength == key.count else { return false }
        return unsafe compare(key, with: address + Self.headerBytes + valueLength) == 0
    }

    @inline(__always)
    func matches(value: Span<UInt8>) -> Bool {
        guard valueLength == value.count else { return false }
        return unsafe compare(value, with: address + Self.headerBytes) == 0
    }

    /// Writes all of the entry into a block that is long enough.
    @inline(__always)
    func write(value: Span<UInt8>, key: Span<UInt8>) {
        unsafe address.storeBytes(of: 1, as: UInt8.self)
        // A key takes 65,535 bytes at most (Record.keyLimit).
        unsafe address.storeBytes(
            of: UInt16(truncatingIfNeeded: key.count), toByteOffset: 2, as: UInt16.self)
        unsafe address.storeBytes(
            of: UInt32(truncatingIfNeeded: value.count), toByteOffset: 4, as: UInt32.self)
        unsafe copy(value, to: address + Self.headerBytes)
        unsafe copy(key, to: address + Self.headerBytes + value.count)
    }

    @inline(__always)
    @unsafe private func copy(_ bytes: Span<UInt8>, to target: UnsafeMutableRawPointer) {
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
    }
}

/// Compares bytes with as many at an address: below, at or above zero.
@inline(__always)
@unsafe private func compare(_ bytes: Span<UInt8>, with other: UnsafeRawPointer) -> Int32 {
    unsafe bytes.withUnsafeBytes { bytes in
        guard let start = bytes.baseAddress else { return 0 }
        return unsafe memcmp(start, other, bytes.count)
    }
}

/// Entries are compared with a probe: the bytes of a whole entry, or the first bytes of several.
@safe struct OrderProbe {
    /// Where the probe is among entries that are equal to its bytes or begin with them.
    enum Side {
        case beforeAll
        /// Behind the entry that is equal, before those that begin with its bytes.
        case behindEqual
        case behindAll
    }

    private let start: UnsafeRawPointer?
    let count: Int
    /// The first eight bytes as a number that compares as the bytes do; missing bytes are zero.
    let prefix: UInt64
    /// The bits of `prefix` that come from the bytes.
    private let mask: UInt64
    private let side: Side

    /// The bytes must stay where they are while the probe is in use.
    @inline(__always)
    @unsafe init(_ bytes: UnsafeRawBufferPointer, _ side: Side) {
        unsafe start = bytes.baseAddress
        count = bytes.count
        unsafe prefix = Self.prefix(of: bytes)
        mask = bytes.count >= 8 ? .max : ~(.max >> UInt64(bytes.count * 8))
        self.side = side
    }

    @inline(__always)
    @unsafe static func prefix(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard bytes.count < 8 else {
            return unsafe bytes.loadUnaligned(as: UInt64.self).byteSwapped
        }
        var prefix: UInt64 = 0
        for index in 0..<bytes.count {
            prefix |= unsafe UInt64(bytes[index]) << UInt64(56 - index * 8)
        }
        return prefix
    }

    /// Whether an entry with this prefix is before the probe. The entry's bytes are read only if the prefix does not decide.
    @inline(__always)
    func isBehind(_ prefix: UInt64, _ entry: @autoclosure () -> IndexEntry) -> Bool {
        let known = prefix & mask
        if known != self.prefix { return known < self.prefix }
        return isBehind(entry())
    }

    private func isBehind(_ entry: IndexEntry) -> Bool {
        let bytes = unsafe entry.bytes
        let common = min(bytes.count, count)
        if common > 0, let start = unsafe start, let other = bytes.baseAddress {
            let order = unsafe memcmp(other, start, common)
            if order != 0 { return order < 0 }
        }
        if bytes.count < count { return true }
        return bytes.count == count ? side != .beforeAll : side == .behindAll
    }
}
