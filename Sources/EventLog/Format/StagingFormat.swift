// The staging file: a write buffer of fixed size, mapped shared, so that a killed process loses nothing.
//
//   staging := header page (4096 bytes) copy of the header (4096 bytes) slot*
//   slot    := slot header (64 bytes) staged commit* copy of the slot header (64 bytes)
//
//   header page
//      0  u32  "WBW1"
//      4  u32  format version: major << 16 + minor
//      8  16   store UUID
//     24  u64  salt, random per file: commits of an earlier staging file never look valid in this one
//     32  u64  slot size, its header and the copy included
//     40  u32  slot count; 0 if the buffer is plain memory and the file only a marker
//     44  u32  zero
//     48  u64  writer epoch: how many times the store has been opened for writing
//     56  u64  XXH3-64, unseeded, of bytes [0,56)
//     64  u64  readable: the last sequence that segments hold, synced; followers in other processes read it
//     72  u64  durable: the last sequence that survives power loss, in segments or here
//     80  u64  XXH3-64, seeded with the salt, of bytes [64,80)
//
//   Bytes [64,88) change all the time and are in the first page only. In its copy they are zero.
//
//   slot header
//      0  u64  sequence of the first commit
//      8  u64  generation, +1 at each use of any slot
//     16  u32  low half of XXH3-64, seeded with the salt, of bytes [0,16)
//     20  44   zero
//
//   staged commit, padded to a multiple of 8
//      0  u32  length of the records, at most 4 MiB - 80
//      4  u32  low half of XXH3-64 of bytes [8,32): the check of the header
//      8  u32  low half of XXH3-64 of the records; both seeded with salt, generation and length
//     12  u32  unsynced before: first sequence - 1 - last sequence known to survive power loss, saturating
//     16  u32  low half of the first sequence
//     20  u32  record count in the low 24 bits; flags above (LogFlags.swift)
//     24  u64  time, milliseconds since 1970
//     32  …    records
//
// Each commit is staged by itself. The time is directly before the records because the chain is computed over
// exactly these bytes. The generation in the seed keeps commits of a slot's earlier use from looking valid.
// Length 0 is never written, so zeros are not a commit.
//
// The header has its own checksum, so that the work of reading past damage is bounded by the file's length: a
// commit with a good header and bad records is stepped over by its length, and checking 24 bytes shows
// whether bytes are a commit at all. The file's header and each slot's header are written twice, in
// different pages, because without its header a slot, or the file, cannot be read.

/// The first pages of a staging file.
package struct StagingHeader: Equatable, Sendable {
    package static let pageByteCount = 4096
    /// The header page and its copy: where the slots start.
    package static let byteCount = 2 * pageByteCount
    static let publishedOffset = 64
    private static let magic: UInt32 = 0x3157_4257  // "WBW1"

    package var storeID: StoreID
    package var salt: UInt64
    package var slotSize: Int
    package var slotCount: Int
    package var epoch: UInt64
    /// Whether the first page is damaged, so that this was read from its copy.
    package var isFromCopy = false

    init(storeID: StoreID, salt: UInt64, slotSize: Int, slotCount: Int, epoch: UInt64) {
        self.storeID = storeID
        self.salt = salt
        self.slotSize = slotSize
        self.slotCount = slotCount
        self.epoch = epoch
    }

    /// The limits of staging files. A file beyond them is damaged, and memory for it must not be allocated.
    package static let slotCountLimit = 4096
    package static let slotSizeLimit = 1 << 30
    package static let byteCountLimit = 4 << 30

    /// Decodes the first page, or its copy if the first page is not good.
    package init(decoding bytes: Span<UInt8>) throws(FormatFault) {
        do throws(FormatFault) {
            try self.init(page: bytes)
        } catch let fault {
            guard bytes.count >= Self.byteCount,
                let copy = try? StagingHeader(page: bytes.extracting(Self.pageByteCount...))
            else { throw fault }
            self = copy
            isFromCopy = true
        }
    }

    private init(page bytes: Span<UInt8>) throws(FormatFault) {
        guard bytes.count >= Self.pageByteCount else { throw .truncated(byteCount: bytes.count) }
        let magic = bytes.integer(UInt32.self, at: 0)
        guard magic == Self.magic else { throw .unknownMagic(magic) }
        try SegmentHeader.check(version: bytes.integer(UInt32.self, at: 4))
        guard Checksum.of(bytes.extracting(0..<56), seed: 0) == bytes.integer(UInt64.self, at: 56)
        else { throw .checksumMismatch }
        storeID = StoreID(bytes.extracting(8..<24))
        salt = bytes.integer(UInt64.self, at: 24)
        let size = bytes.integer(UInt64.self, at: 32)
        let count = bytes.integer(UInt32.self, at: 40)
        guard size <= UInt64(Self.slotSizeLimit), count <= UInt32(Self.slotCountLimit),
            Int(size) * Int(count) <= Self.byteCountLimit,
            count == 0 || size >= UInt64(2 * SlotHeader.byteCount)
        else { throw .outOfRange(field: "slots") }
        slotSize = Int(size)
        slotCount = Int(count)
        epoch = bytes.integer(UInt64.self, at: 48)
        guard epoch < .max else { throw .outOfRange(field: "epoch") }
    }

    /// Whether a file begins as a staging file does, or its copy of the header does.
    package static func isOne(_ path: String, on disk: any Disk) throws(SystemError) -> Bool {
        let bytes = try disk.open(path, .read).bytes(byteCount)
        return [0, pageByteCount].contains {
            bytes.count >= $0 + 4 && bytes.span.integer(UInt32.self, at: $0) == magic
        }
    }

    /// The header page and its copy.
    func encoded() -> [UInt8] {
        var page: [UInt8] = []
        page.append(integer: Self.magic)
        page.append(integer: SegmentHeader.version)
        page.append(integer: storeID.low)
        page.append(integer: storeID.high)
        page.append(integer: salt)
        page.append(integer: UInt64(slotSize))
        page.append(integer: UInt32(slotCount))
        page.append(integer: UInt32(0))
        page.append(integer: epoch)
        page.append(integer: Checksum.of(page.span, seed: 0))
        page.append(contentsOf: repeatElement(0, count: Self.pageByteCount - page.count))
        return page + page
    }

    var byteCount: Int { Self.byteCount + slotSize * slotCount }

    func slotRange(_ slot: Int) -> Range<Int> {
        let start = Self.byteCount + slot * slotSize
        return start..<start + slotSize
    }

    /// The offset in a slot at which its commits end and the copy of its header starts.
    var commitsEnd: Int { slotSize - SlotHeader.byteCount }
}

/// How far the writer had come. The header page shows it to other processes and to recovery.
package struct PublishedProgress: Equatable, Sendable {
    static let byteCount = 24

    /// The last sequence that segments hold, synced.
    package var readable: UInt64
    /// The last sequence that survives power loss, in segments or in staging.
    package var durable: UInt64

    init(readable: UInt64, durable: UInt64) {
        self.readable = readable
        self.durable = durable
    }

    /// nil if a kill came between two stores, or no writer has published this.
    package init?(decodingPage bytes: Span<UInt8>, salt: UInt64) {
        let start = StagingHeader.publishedOffset
        guard bytes.count >= start + Self.byteCount,
            Checksum.of(bytes.extracting(start..<start + 16), seed: salt)
                == bytes.integer(UInt64.self, at: start + 16)
        else { return nil }
        readable = bytes.integer(UInt64.self, at: start)
        durable = bytes.integer(UInt64.self, at: start + 8)
        guard readable <= Frame.sequenceLimit, durable <= Frame.sequenceLimit else { return nil }
    }

    func encoded(salt: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: readable)
        bytes.append(integer: durable)
        bytes.append(integer: Checksum.of(bytes.span, seed: salt))
        return bytes
    }
}

/// The head of a slot.
package struct SlotHeader: Equatable {
    package static let byteCount = 64

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

    /// nil for a slot that was never used, or if a crash tore its header.
    init?(decoding bytes: Span<UInt8>, salt: UInt64) {
        guard bytes.count >= Self.byteCount,
            Checksum.low(bytes.extracting(0..<16), seed: salt) == bytes.integer(UInt32.self, at: 16)
        else { return nil }
        firstSequence = bytes.integer(UInt64.self, at: 0)
        generation = bytes.integer(UInt64.self, at: 8)
        guard firstSequence > 0, generation > 0 else { return nil }
    }
}

/// A commit in staging. Its bytes stay where they are for as long as this is used.
@safe package struct StagedCommit {
    package static let headerByteCount = 32
    /// The most bytes of records. With the longest preamble they still fit into a block.
    package static let recordsLimit =
        Int(SegmentHeader.rawBlockCap) - Preamble.byteLimit - 2 * BlockBuilder.commitOverhead

    var firstSequence: UInt64
    var count: UInt32
    var flags: LogFlags
    var unsyncedBefore: UInt32
    var time: UInt64
    var records: UnsafeRawBufferPointer

    /// The sequence after this commit's last record.
    var nextSequence: UInt64 { firstSequence + UInt64(count) }
    var durable: UInt64? {
        unsyncedBefore == .max ? nil : firstSequence - 1 - UInt64(unsyncedBefore)
    }

    package static func byteCount(records: Int) -> Int { (headerByteCount + records + 7) & ~7 }

    static func seed(salt: UInt64, generation: UInt64, length: UInt32) -> UInt64 {
        salt ^ (generation &* 0x9E37_79B9_7F4A_7C15) ^ (UInt64(length) << 32)
    }

    /// Writes a commit at the start of `target`, which must have room for it.
    @inline(__always)
    @unsafe static func write(
        to target: UnsafeMutableRawPointer, records: UnsafeRawBufferPointer, count: UInt32,
        flags: LogFlags, firstSequence: UInt64, unsyncedBefore: UInt32, time: UInt64, salt: UInt64,
        generation: UInt64
    ) {
        let length = UInt32(truncatingIfNeeded: records.count)
        let packed = count | UInt32(flags.rawValue) << 24
        let seed = seed(salt: salt, generation: generation, length: length)
        unsafe target.storeBytes(of: unsyncedBefore.littleEndian, toByteOffset: 12, as: UInt32.self)
        unsafe target.storeBytes(
            of: UInt32(truncatingIfNeeded: firstSequence).littleEndian, toByteOffset: 16,
            as: UInt32.self)
        unsafe target.storeBytes(of: packed.littleEndian, toByteOffset: 20, as: UInt32.self)
        unsafe target.storeBytes(of: time.littleEndian, toByteOffset: 24, as: UInt64.self)
        if let source = records.baseAddress {
            unsafe (target + headerByteCount).copyMemory(from: source, byteCount: records.count)
        }
        let copied = unsafe UnsafeRawBufferPointer(
            start: target + headerByteCount, count: records.count)
        let recordsCheck = unsafe UInt32(truncatingIfNeeded: Checksum.of(copied, seed: seed))
        unsafe target.storeBytes(of: recordsCheck.littleEndian, toByteOffset: 8, as: UInt32.self)
        let header = unsafe UnsafeRawBufferPointer(start: target + 8, count: headerByteCount - 8)
        let check = unsafe UInt32(truncatingIfNeeded: Checksum.of(header, seed: seed))
        unsafe target.storeBytes(of: check.littleEndian, toByteOffset: 4, as: UInt32.self)
        unsafe target.storeBytes(of: length.littleEndian, as: UInt32.self)
    }

    /// The bytes at a place where a commit may start.
    @safe enum Item {
        case commit(StagedCommit)
        /// A good header before damaged records. It is as good evidence as any other header, and says
        /// where the next commit starts.
        case damaged(StagedCommit)
        case none
    }

    /// Reads the bytes at `offset` of a slot.
    ///
    /// - Parameters:
    ///   - slot: the slot up to the end of its commits.
    ///   - base: the slot's first sequence.
    @unsafe static func read(
        _ slot: UnsafeRawBufferPointer, at offset: Int, base: UInt64, salt: UInt64,
        generation: UInt64
    ) -> Item {
        guard offset + headerByteCount <= slot.count else { return .none }
        let length = unsafe slot.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian
        guard length > 0, Int(length) <= slot.count - offset - headerByteCount else { return .none }
        let seed = seed(salt: salt, generation: generation, length: length)
        let header = unsafe UnsafeRawBufferPointer(
            rebasing: slot[(offset + 8)..<(offset + headerByteCount)])
        let check = unsafe slot.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        guard
            unsafe UInt32(truncatingIfNeeded: Checksum.of(header, seed: seed)) == check.littleEndian
        else { return .none }
        let commit = unsafe trusted(slot, at: offset, base: base)
        guard commit.isPlausible(base: base, slotByteCount: slot.count) else { return .none }
        let recordsCheck = unsafe slot.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self)
        let computed = unsafe UInt32(truncatingIfNeeded: Checksum.of(commit.records, seed: seed))
        return computed == recordsCheck.littleEndian ? .commit(commit) : .damaged(commit)
    }

    /// Whether every field is one that a writer may write. A record takes at least one byte, so the slot bounds the
    /// sequences. No computation with a plausible commit overflows.
    private func isPlausible(base: UInt64, slotByteCount: Int) -> Bool {
        let limit = UInt64(slotByteCount)
        let length = unsafe records.count
        return base <= Frame.sequenceLimit && firstSequence >= base && firstSequence - base <= limit
            && length <= Self.recordsLimit && count > 0 && Int(count) <= length
            && (unsyncedBefore == .max || UInt64(unsyncedBefore) < firstSequence)
            && time <= .max / 1000
    }

    /// Reads a commit without checking it: one that this process wrote, or one that the caller checks afterwards.
    ///
    /// - Parameter base: a sequence at or a little before the commit's first, because only the low half of that is stored.
    @unsafe static func trusted(
        _ slot: UnsafeRawBufferPointer, at offset: Int, base: UInt64
    ) -> StagedCommit {
        let length = unsafe slot.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian
        let unsyncedBefore = unsafe slot.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self)
        let low = unsafe slot.loadUnaligned(fromByteOffset: offset + 16, as: UInt32.self)
            .littleEndian
        let packed = unsafe slot.loadUnaligned(fromByteOffset: offset + 20, as: UInt32.self)
            .littleEndian
        let time = unsafe slot.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self)
        let start = offset + headerByteCount
        return unsafe StagedCommit(
            firstSequence: base &+ UInt64(low &- UInt32(truncatingIfNeeded: base)),
            count: packed & 0xFF_FFFF, flags: LogFlags(rawValue: UInt16(packed >> 24)),
            unsyncedBefore: unsyncedBefore.littleEndian, time: time.littleEndian,
            records: UnsafeRawBufferPointer(rebasing: slot[start..<start + Int(length)]))
    }

    var byteCount: Int { unsafe Self.byteCount(records: records.count) }

    /// The time and the records, which are next to each other. The chain is computed over them.
    @unsafe var timeAndRecords: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            start: records.baseAddress! - 8,  // a commit's records are never empty
            count: records.count + 8)
    }
}
