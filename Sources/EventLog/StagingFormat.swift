// The staging file: a write buffer of fixed size, mapped shared, so that a killed process loses nothing.
//
//   staging := header page (4096 bytes) slot*
//   slot    := slot header (64 bytes) frame*
//
//   header page
//      0  u32  "WBW1"
//      4  u32  format version: major << 16 + minor
//      8  16   store UUID
//     24  u64  salt, random per file: frames of an earlier staging file never look valid in this one
//     32  u64  slot size, its header included
//     40  u32  slot count; 0 where the buffer is plain memory and the file only a marker
//     44  u32  zero
//     48  u64  XXH3-64, unseeded, of bytes [0,48)
//     56  u64  durable sequence, for followers in other processes; changes, so no checksum covers it
//
//   slot header
//      0  u64  sequence of the first frame
//      8  u64  generation, +1 at each use of any slot
//     16  u32  low half of XXH3-64, seeded with the salt, of bytes [0,16)
//     20  44   zero
//
//   frame, padded to a multiple of 8
//      0  u32  length of the records
//      4  u32  low half of XXH3-64 of bytes [8, 28 + length), seeded with salt, generation and length
//      8  u32  undurable: first sequence - 1 - last sequence known to be synced in segments, saturating
//     12  u32  low half of the first sequence
//     16  u32  record count in the low 24 bits; flags above: 1 holds a mark, 2 holds a define
//     20  u64  time, milliseconds since 1970
//     28  …    records
//
// A frame is one commit. The time stands right before the records because the chain is computed over
// just these bytes. The generation in the seed keeps frames of a slot's earlier use from looking valid.
// Length 0 is never written, so zeroes are no frame.

/// The first page of a staging file.
package struct StagingHeader: Equatable, Sendable {
    package static let byteCount = 4096
    static let durableOffset = 56
    private static let magic: UInt32 = 0x3157_4257  // "WBW1"

    package var storeID: StoreID
    package var salt: UInt64
    package var slotSize: Int
    package var slotCount: Int

    init(storeID: StoreID, salt: UInt64, slotSize: Int, slotCount: Int) {
        self.storeID = storeID
        self.salt = salt
        self.slotSize = slotSize
        self.slotCount = slotCount
    }

    /// The staging files that are accepted: anything beyond is damage and must not be allocated.
    static let byteCountLimit = 64 << 30

    package init(decoding bytes: Span<UInt8>) throws(FormatFault) {
        guard bytes.count >= Self.byteCount else { throw .truncated(byteCount: bytes.count) }
        let magic = bytes.integer(UInt32.self, at: 0)
        guard magic == Self.magic else { throw .unknownMagic(magic) }
        let version = bytes.integer(UInt32.self, at: 4)
        let isIntact =
            Checksum.of(bytes.extracting(0..<48), seed: 0) == bytes.integer(UInt64.self, at: 48)
        guard version >> 16 == SegmentHeader.version >> 16 else {
            throw isIntact ? .unsupportedVersion(version) : .checksumMismatch
        }
        guard isIntact else { throw .checksumMismatch }
        storeID = StoreID(bytes.extracting(8..<24))
        salt = bytes.integer(UInt64.self, at: 24)
        let size = bytes.integer(UInt64.self, at: 32)
        let count = bytes.integer(UInt32.self, at: 40)
        guard size <= UInt64(Self.byteCountLimit), count <= 4096,
            Int(size) * Int(count) <= Self.byteCountLimit
        else { throw .outOfRange(field: "slots") }
        slotSize = Int(size)
        slotCount = Int(count)
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: Self.magic)
        bytes.append(integer: SegmentHeader.version)
        bytes.append(integer: storeID.low)
        bytes.append(integer: storeID.high)
        bytes.append(integer: salt)
        bytes.append(integer: UInt64(slotSize))
        bytes.append(integer: UInt32(slotCount))
        bytes.append(integer: UInt32(0))
        bytes.append(integer: Checksum.of(bytes.span, seed: 0))
        bytes.append(contentsOf: repeatElement(0, count: Self.byteCount - bytes.count))
        return bytes
    }

    var byteCount: Int { Self.byteCount + slotSize * slotCount }

    func slotRange(_ slot: Int) -> Range<Int> {
        let start = Self.byteCount + slot * slotSize
        return start..<start + slotSize
    }
}

/// The head of a slot.
struct SlotHeader: Equatable {
    static let byteCount = 64

    var firstSequence: UInt64
    var generation: UInt64

    func encoded(salt: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: firstSequence)
        bytes.append(integer: generation)
        bytes.append(integer: Checksum.low(bytes.span, seed: salt))
        bytes.append(contentsOf: repeatElement(0, count: Self.byteCount - bytes.count))
        return bytes
    }

    init(firstSequence: UInt64, generation: UInt64) {
        self.firstSequence = firstSequence
        self.generation = generation
    }

    /// nil for a slot that was never used, or whose header a crash tore.
    init?(decoding bytes: Span<UInt8>, salt: UInt64) {
        guard bytes.count >= Self.byteCount,
            Checksum.low(bytes.extracting(0..<16), seed: salt) == bytes.integer(UInt32.self, at: 16)
        else { return nil }
        firstSequence = bytes.integer(UInt64.self, at: 0)
        generation = bytes.integer(UInt64.self, at: 8)
        guard firstSequence > 0, generation > 0 else { return nil }
    }
}

/// A frame in memory that stays where it is for as long as this is used.
@safe struct StagedFrame {
    static let headerByteCount = 28
    static let timeOffset = 20

    struct Flags: OptionSet {
        let rawValue: UInt8
        static let mark = Flags(rawValue: 1)
        static let define = Flags(rawValue: 2)
    }

    var firstSequence: UInt64
    var count: UInt32
    var flags: Flags
    var undurable: UInt32
    var time: UInt64
    var records: UnsafeRawBufferPointer

    /// The sequence after this frame's last record.
    var nextSequence: UInt64 { firstSequence + UInt64(count) }
    var synced: UInt64? { undurable == .max ? nil : firstSequence - 1 - UInt64(undurable) }

    static func byteCount(records: Int) -> Int { (headerByteCount + records + 7) & ~7 }

    static func seed(salt: UInt64, generation: UInt64, length: UInt32) -> UInt64 {
        salt ^ (generation &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(length) << 32)
    }

    /// Writes a frame at the start of `target`, which must have room for it.
    @inline(__always)
    @unsafe static func write(
        to target: UnsafeMutableRawPointer, records: UnsafeRawBufferPointer, count: UInt32,
        flags: Flags, firstSequence: UInt64, undurable: UInt32, time: UInt64, salt: UInt64,
        generation: UInt64
    ) {
        let length = UInt32(truncatingIfNeeded: records.count)
        let packed = count | UInt32(flags.rawValue) << 24
        unsafe target.storeBytes(of: undurable.littleEndian, toByteOffset: 8, as: UInt32.self)
        unsafe target.storeBytes(
            of: UInt32(truncatingIfNeeded: firstSequence).littleEndian, toByteOffset: 12,
            as: UInt32.self)
        unsafe target.storeBytes(of: packed.littleEndian, toByteOffset: 16, as: UInt32.self)
        unsafe target.storeBytes(of: time.littleEndian, toByteOffset: 20, as: UInt64.self)
        if let source = records.baseAddress {
            unsafe (target + headerByteCount).copyMemory(from: source, byteCount: records.count)
        }
        let covered = unsafe UnsafeRawBufferPointer(
            start: target + 8, count: headerByteCount - 8 + records.count)
        let check = unsafe Checksum.of(
            covered, seed: seed(salt: salt, generation: generation, length: length))
        unsafe target.storeBytes(
            of: UInt32(truncatingIfNeeded: check).littleEndian, toByteOffset: 4, as: UInt32.self)
        unsafe target.storeBytes(of: length.littleEndian, as: UInt32.self)
    }

    /// Reads the frame at `offset` of a slot; nil where there is no valid one.
    ///
    /// - Parameter base: the slot's first sequence.
    @unsafe static func read(
        _ slot: UnsafeRawBufferPointer, at offset: Int, base: UInt64, salt: UInt64,
        generation: UInt64
    ) -> StagedFrame? {
        guard offset + headerByteCount <= slot.count else { return nil }
        let length = unsafe slot.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian
        guard length > 0, Int(length) <= slot.count - offset - headerByteCount else { return nil }
        let frame = unsafe trusted(slot, at: offset, base: base)
        // What cannot be a frame of this slot is told before a checksum over megabytes is computed, at
        // every eighth byte.
        guard frame.isPlausible(base: base, slotByteCount: slot.count) else { return nil }
        let check = unsafe slot.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        let covered = unsafe UnsafeRawBufferPointer(
            rebasing: slot[(offset + 8)..<(offset + headerByteCount + Int(length))])
        let computed = unsafe Checksum.of(
            covered, seed: seed(salt: salt, generation: generation, length: length))
        guard UInt32(truncatingIfNeeded: computed) == check.littleEndian else { return nil }
        return frame
    }

    /// Whether no field is beyond what a writer writes: a record takes a byte at least, so its slot bounds the
    /// sequences. Nothing that is computed from a plausible frame overflows.
    private func isPlausible(base: UInt64, slotByteCount: Int) -> Bool {
        let limit = UInt64(slotByteCount)
        let length = unsafe records.count
        return base <= Frame.sequenceLimit && firstSequence >= base && firstSequence - base <= limit
            && count > 0 && Int(count) <= length
            && (undurable == .max || UInt64(undurable) < firstSequence) && time <= .max / 1000
    }

    /// Reads a frame that this process wrote and nobody can have changed, or that is yet to be checked.
    ///
    /// - Parameter base: a sequence at or a little before the frame's first, whose low half alone is stored.
    @unsafe static func trusted(
        _ slot: UnsafeRawBufferPointer, at offset: Int, base: UInt64
    ) -> StagedFrame {
        let length = unsafe slot.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian
        let undurable = unsafe slot.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self)
        let low = unsafe slot.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self)
            .littleEndian
        let packed = unsafe slot.loadUnaligned(fromByteOffset: offset + 16, as: UInt32.self)
            .littleEndian
        let time = unsafe slot.loadUnaligned(fromByteOffset: offset + 20, as: UInt64.self)
        let start = offset + headerByteCount
        return unsafe StagedFrame(
            firstSequence: base &+ UInt64(low &- UInt32(truncatingIfNeeded: base)),
            count: packed & 0xFF_FFFF, flags: Flags(rawValue: UInt8(packed >> 24)),
            undurable: undurable.littleEndian, time: time.littleEndian,
            records: UnsafeRawBufferPointer(rebasing: slot[start..<start + Int(length)]))
    }

    var byteCount: Int { unsafe Self.byteCount(records: records.count) }

    /// The time and the records, which stand next to each other: what the chain is computed over.
    @unsafe var timeAndRecords: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            start: records.baseAddress! - 8,  // a frame's records are never empty
            count: records.count + 8)
    }
}
