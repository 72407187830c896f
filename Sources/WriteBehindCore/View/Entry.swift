// A row in memory is one block of the arena:
//
//      0        8        9        10       12
//      +--------+--------+--------+--------+----------+ - - - +- - - -+
//      | word   | table  | key    | body   | deadline | key   | body  |      narrow
//      |        | u8     | len u8 | len u16| u64?     |       |       |
//      +--------+--------+--------+--------+----------+ - - - +- - - -+
//
//      0        8        10       12       16
//      +--------+--------+--------+--------+----------+ - - - +- - - -+
//      | word   | table  | key len| body   | deadline | key   | body  |      wide
//      |        | u16    | u16    | len u32| u64?     |       |       |
//      +--------+--------+--------+--------+----------+ - - - +- - - -+
//
//      word := sequence (56 bits) << 8 | flags; the two lowest flags are the state, never 0, so the
//              first byte of a block in use is not zero (Arena.swift)
//
// The narrow form is for tables below 256, keys below 256 bytes and bodies below 64 KiB. The
// deadline (milliseconds of a monotonic clock) is there only for rows with a time to live. A
// tombstone has no body.

/// A row in the view.
package enum RowState: UInt8, Sendable {
    /// Nothing: the database decides.
    case absent = 0
    /// The whole row.
    case full = 1
    /// The columns that were patched, over a base that only the database holds.
    case partial = 2
    /// The row is deleted.
    case tombstone = 3
}

/// The flags of an entry, beside its state.
struct EntryFlags: OptionSet {
    var rawValue: UInt8
    /// Used since eviction last looked.
    static let visited = EntryFlags(rawValue: 1 << 2)
    /// Quarantined: dirty at any sequence.
    static let pinned = EntryFlags(rawValue: 1 << 3)
    static let hasDeadline = EntryFlags(rawValue: 1 << 4)
    static let wide = EntryFlags(rawValue: 1 << 5)
    /// Read from the database, not written: its sequence is a watermark.
    static let filled = EntryFlags(rawValue: 1 << 6)
    /// Of a partial row: its body is that of an add. Without a body, the row is counted (CountedRows.swift).
    static let adds = EntryFlags(rawValue: 1 << 7)
}

/// The shape of an entry: the places of its parts in the block.
struct EntryShape: Equatable {
    var keyLength: Int
    var bodyLength: Int
    var isWide: Bool
    var hasDeadline: Bool

    @inline(__always)
    init(table: UInt16, keyLength: Int, bodyLength: Int, hasDeadline: Bool) {
        self.keyLength = keyLength
        self.bodyLength = bodyLength
        self.hasDeadline = hasDeadline
        isWide = table > 0xFF || keyLength > 0xFF || bodyLength > 0xFFFF
    }

    @inline(__always) var keyOffset: Int { (isWide ? 16 : 12) + (hasDeadline ? 8 : 0) }
    @inline(__always) var bodyOffset: Int { keyOffset + keyLength }
    @inline(__always) var byteCount: Int { bodyOffset + bodyLength }
}

/// The fields of one block. It must not outlive the block: entries are made from a reference for the
/// length of one operation, under the lock of their table.
@safe struct Entry {
    private let address: UnsafeMutableRawPointer

    @inline(__always)
    @unsafe init(at address: UnsafeMutableRawPointer) {
        unsafe self.address = address
    }

    @inline(__always)
    var word: UInt64 {
        get { unsafe address.load(as: UInt64.self) }
        nonmutating set { unsafe address.storeBytes(of: newValue, as: UInt64.self) }
    }

    @inline(__always) var sequence: UInt64 { word >> 8 }
    @inline(__always)
    var flags: EntryFlags { EntryFlags(rawValue: UInt8(truncatingIfNeeded: word)) }
    @inline(__always)
    var state: RowState { RowState(rawValue: UInt8(truncatingIfNeeded: word) & 3) ?? .absent }

    @inline(__always)
    func set(_ flag: EntryFlags) { word |= UInt64(flag.rawValue) }
    @inline(__always)
    func clear(_ flag: EntryFlags) { word &= ~UInt64(flag.rawValue) }

    @inline(__always)
    var table: UInt16 {
        if flags.contains(.wide) { return unsafe address.load(fromByteOffset: 8, as: UInt16.self) }
        return unsafe UInt16(address.load(fromByteOffset: 8, as: UInt8.self))
    }

    @inline(__always)
    var shape: EntryShape {
        let flags = self.flags
        let hasDeadline = flags.contains(.hasDeadline)
        let lengths = unsafe address.load(fromByteOffset: 8, as: UInt64.self)
        if flags.contains(.wide) {
            return EntryShape(
                table: UInt16.max, keyLength: Int(lengths >> 16 & 0xFFFF),
                bodyLength: Int(lengths >> 32), hasDeadline: hasDeadline)
        }
        return EntryShape(
            table: 0, keyLength: Int(lengths >> 8 & 0xFF),
            bodyLength: Int(lengths >> 16 & 0xFFFF), hasDeadline: hasDeadline)
    }

    /// Milliseconds of the monotonic clock after which a clean row counts as absent.
    var deadline: UInt64? {
        let flags = self.flags
        guard flags.contains(.hasDeadline) else { return nil }
        let offset = flags.contains(.wide) ? 16 : 12
        return unsafe address.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @inline(__always)
    @unsafe var key: UnsafeRawBufferPointer {
        let shape = self.shape
        return unsafe UnsafeRawBufferPointer(
            start: address + shape.keyOffset, count: shape.keyLength)
    }

    @inline(__always)
    @unsafe var body: UnsafeRawBufferPointer {
        let shape = self.shape
        return unsafe UnsafeRawBufferPointer(
            start: address + shape.bodyOffset, count: shape.bodyLength)
    }

    @inline(__always)
    func matches(table: UInt16, key: Span<UInt8>) -> Bool {
        let shape = self.shape
        guard shape.keyLength == key.count, self.table == table else { return false }
        return unsafe key.withUnsafeBytes { other in
            unsafe equalBytes(address + shape.keyOffset, other.baseAddress, other.count)
        }
    }

    /// Writes all of the entry into a block of at least `shape.byteCount` bytes.
    @inline(__always)
    func write(_ row: NewEntry, shape: EntryShape, key: Span<UInt8>, body: Span<UInt8>) {
        var flags = row.flags
        flags.remove([.wide, .hasDeadline])
        if shape.isWide {
            flags.insert(.wide)
            let lengths = UInt64(row.table) | UInt64(shape.keyLength) << 16
            unsafe address.storeBytes(
                of: lengths | UInt64(shape.bodyLength) << 32, toByteOffset: 8, as: UInt64.self)
        } else {
            let lengths = UInt32(row.table) | UInt32(shape.keyLength) << 8
            unsafe address.storeBytes(
                of: lengths | UInt32(shape.bodyLength) << 16, toByteOffset: 8, as: UInt32.self)
        }
        if let deadline = row.deadline {
            flags.insert(.hasDeadline)
            let offset = shape.isWide ? 16 : 12
            unsafe address.storeBytes(of: deadline, toByteOffset: offset, as: UInt64.self)
        }
        word = row.sequence << 8 | UInt64(flags.rawValue) | UInt64(row.state.rawValue)
        unsafe copy(key, to: address + shape.keyOffset)
        unsafe copy(body, to: address + shape.bodyOffset)
    }

    @inline(__always)
    @unsafe private func copy(_ bytes: Span<UInt8>, to target: UnsafeMutableRawPointer) {
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
    }
}

/// The content of a new entry, beside key and body.
struct NewEntry {
    var table: UInt16
    var state: RowState
    var sequence: UInt64
    var flags: EntryFlags = []
    var deadline: UInt64?
}

/// Compares short keys, which most keys are, without a call.
@inline(__always)
@unsafe private func equalBytes(
    _ left: UnsafeMutableRawPointer, _ right: UnsafeRawPointer?, _ count: Int
) -> Bool {
    guard let right = unsafe right else { return true }
    var offset = 0
    while offset + 8 <= count {
        let a = unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let b = unsafe right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if a != b { return false }
        offset += 8
    }
    while offset < count {
        let a = unsafe left.load(fromByteOffset: offset, as: UInt8.self)
        let b = unsafe right.load(fromByteOffset: offset, as: UInt8.self)
        if a != b { return false }
        offset += 1
    }
    return true
}
