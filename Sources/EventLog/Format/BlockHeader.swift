// The header of a block: 80 bytes, one zstd skippable frame; the zstd frame with the records follows.
// A sealed segment's footer has the same form.
//
//      0   4   8   12    16    24    28    30    32     36     40    44    48    56      64    72     80
//      +---+---+---+-----+-----+-----+-----+-----+------+------+-----+-----+-----+-------+-----+------+ - -
//      | M | L |tag|check|first|count|flags|codec|unsync|packed| raw |span |time |content|chain|tables| zstd
//      +---+---+---+-----+-----+-----+-----+-----+------+------+-----+-----+-----+-------+-----+------+ - -
//      '-----------'     '------------------- covered by check, with the first 12 -------------------'
//
//      M, L     u32  0x184D2A57 and 72: zstd steps over the header
//      tag      u32  "WBB1" block, "WBF1" footer
//      check    u32  low half of XXH3-64, seeded with the segment's salt
//      first    u64  sequence of the first record; in a footer the next segment's base
//      count    u32  records in the block; in a footer the number of blocks
//      flags    u16  1 footer, 2 holds a named mark, 4 re-blocked, 8 starts with a preamble,
//                    16 holds a define
//      codec    u16  0 zstd
//      unsync   u32  unsynced before: first - 1 - the last sequence that was known to be synced in segments when this
//                    was built, saturating: evidence for recovery (JudgeEvidence.swift)
//      packed   u32  length of the zstd frame; in a footer of the seek table behind it
//      raw      u32  length once unpacked; 0 in a footer
//      span     u32  milliseconds between the first and the last commit, saturating
//      time     u64  time of the last commit, microseconds since 1970; never decreases
//      content  u64  XXH3-64, seeded with the salt, of the zstd frame; in a footer of the seek table
//      chain    u64  chain value after the last record (Chain.swift)
//      tables   u64  which tables the records belong to (TableSet.swift); 0 says nothing, as in footers and snapshots
//
// The lengths are covered by the checksum so that a torn header cannot make a reader step over blocks.

/// The decoded header of a block or of a footer.
package struct BlockHeader: Equatable, Sendable {
    package static let byteCount = 80

    package enum Kind: UInt32, Sendable {
        case block = 0x3142_4257  // "WBB1"
        case footer = 0x3146_4257  // "WBF1"
    }

    package var kind: Kind
    package var firstSequence: UInt64
    package var count: UInt32
    package var flags: LogFlags
    package var unsyncedBefore: UInt32
    package var packedLength: UInt32
    package var rawLength: UInt32
    package var span: UInt32
    package var time: UInt64
    package var content: UInt64
    package var chain: UInt64
    package var tables: TableSet

    package init(
        kind: Kind, firstSequence: UInt64, count: UInt32, flags: LogFlags, unsyncedBefore: UInt32,
        packedLength: UInt32, rawLength: UInt32, span: UInt32, time: UInt64, content: UInt64,
        chain: UInt64, tables: TableSet = TableSet()
    ) {
        self.kind = kind
        self.firstSequence = firstSequence
        self.count = count
        self.flags = flags
        self.unsyncedBefore = unsyncedBefore
        self.packedLength = packedLength
        self.rawLength = rawLength
        self.span = span
        self.time = time
        self.content = content
        self.chain = chain
        self.tables = tables
    }

    /// The sequence after this block's last record; in a footer the next segment's base.
    package var nextSequence: UInt64 {
        kind == .footer ? firstSequence : firstSequence + UInt64(count)
    }

    /// The last sequence that was known to be synced in segments when this was built; nil if the field saturated.
    package var durable: UInt64? {
        unsyncedBefore == .max ? nil : firstSequence - 1 - UInt64(unsyncedBefore)
    }

    /// The most bytes that may follow the header: a zstd frame is hardly longer than its content, and a seek table has two
    /// entries for each block, and two more.
    private var packedBound: UInt64 {
        switch kind {
        case .block: UInt64(rawLength) + UInt64(rawLength) / 256 + 64
        case .footer: UInt64(SeekTable.byteCount(entries: 2 * Int(count) + 2))
        }
    }

    package init(decoding bytes: Span<UInt8>, salt: UInt64) throws(FormatFault) {
        guard bytes.count >= Self.byteCount else { throw .truncated(byteCount: bytes.count) }
        let magic = bytes.integer(UInt32.self, at: 0)
        guard magic == Frame.skippableMagic, bytes.integer(UInt32.self, at: 4) == 72 else {
            throw .unknownMagic(magic)
        }
        let tag = bytes.integer(UInt32.self, at: 8)
        guard let kind = Kind(rawValue: tag) else { throw .unknownMagic(tag) }
        guard
            Frame.check(of: bytes, count: Self.byteCount, seed: salt)
                == bytes.integer(UInt32.self, at: 12)
        else { throw .checksumMismatch }
        self.kind = kind
        firstSequence = bytes.integer(UInt64.self, at: 16)
        count = bytes.integer(UInt32.self, at: 24)
        flags = LogFlags(rawValue: bytes.integer(UInt16.self, at: 28))
        unsyncedBefore = bytes.integer(UInt32.self, at: 32)
        packedLength = bytes.integer(UInt32.self, at: 36)
        rawLength = bytes.integer(UInt32.self, at: 40)
        span = bytes.integer(UInt32.self, at: 44)
        time = bytes.integer(UInt64.self, at: 48)
        content = bytes.integer(UInt64.self, at: 56)
        chain = bytes.integer(UInt64.self, at: 64)
        tables = TableSet(bits: bytes.integer(UInt64.self, at: 72))
        guard bytes.integer(UInt16.self, at: 30) == 0 else { throw .outOfRange(field: "codec") }
        guard firstSequence > 0, firstSequence <= Frame.sequenceLimit else {
            throw .outOfRange(field: "first sequence")
        }
        guard count > 0 else { throw .outOfRange(field: "count") }
        guard unsyncedBefore == .max || UInt64(unsyncedBefore) < firstSequence else {
            throw .outOfRange(field: "unsynced before")
        }
        guard rawLength <= SegmentHeader.rawBlockCap else { throw .outOfRange(field: "raw length") }
        guard packedLength <= packedBound else { throw .outOfRange(field: "packed length") }
        guard flags.contains(.footer) == (kind == .footer) else {
            throw .outOfRange(field: "flags")
        }
    }

    package func encoded(salt: UInt64) -> [UInt8] {
        assert(firstSequence > 0)
        assert(count > 0)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.append(integer: Frame.skippableMagic)
        bytes.append(integer: UInt32(Self.byteCount - 8))
        bytes.append(integer: kind.rawValue)
        bytes.append(integer: UInt32(0))
        bytes.append(integer: firstSequence)
        bytes.append(integer: count)
        bytes.append(integer: flags.rawValue)
        bytes.append(integer: UInt16(0))
        for field in [unsyncedBefore, packedLength, rawLength, span] {
            bytes.append(integer: field)
        }
        for field in [time, content, chain, tables.bits] { bytes.append(integer: field) }
        let check = Frame.check(of: bytes.span, count: Self.byteCount, seed: salt)
        bytes.store(integer: check, at: 12)
        return bytes
    }
}
