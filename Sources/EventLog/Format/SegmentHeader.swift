// The header of a segment, a snapshot or a cut-off end: 128 bytes, one zstd skippable frame.
//
//      0   4   8   12     16    32    40    48     56       64     72    76    80    84     88    96
//      +---+---+---+------+-----+-----+-----+------+--------+------+-----+-----+-----+------+-----+----+
//      | M | L |tag|check |store|salt |base |chain |other   |made  |vers |inco |comp |bound |epoch| 0  |
//      +---+---+---+------+-----+-----+-----+------+--------+------+-----+-----+-----+------+-----+----+
//      '-----------'      '------------------------- covered by check, with the first 12 ------------'
//
//      M      u32  0x184D2A57, the magic of a zstd skippable frame: zstd steps over the header
//      L      u32  120, the length of what follows
//      tag    u32  "WBS1" segment, "WBN1" snapshot, "WBT1" what recovery cut off a segment
//      check  u32  low half of XXH3-64, unseeded, of bytes [0,12) and [16,128)
//      store  16   the store's UUID: a foreign file is recognised
//      salt   u64  random per file; seeds every other checksum in it, so that stale or foreign bytes
//                  never look valid
//      base   u64  first sequence; equals the file's name
//      chain  u64  chain value before the first record (Chain.swift)
//      other  u64  segment: the length of the writer's staging buffer, for what may be missing when that is
//                  gone, at most 4 GiB; snapshot: the sequence of the snapshot that it was made from, 0
//                  for none
//      made   u64  microseconds since 1970
//      vers   u32  format version: major << 16 + minor
//      inco   u32  features that a reader must support
//      comp   u32  features that a reader may ignore
//      bound  u32  largest raw block: what a reader must be ready to allocate, at most 64 MiB
//      epoch  u64  how many times the store has been opened for writing
//
// Validity is checked as magic, version, checksum, in that order: a file of a newer version is
// "unsupported", never "corrupt".

/// The decoded header of a segment or snapshot file.
package struct SegmentHeader: Equatable, Sendable {
    package static let byteCount = 128
    package static let version: UInt32 = 1 << 16
    /// The longest block payload that is ever allowed, whatever a segment's header says.
    package static let rawBlockCap: UInt32 = 64 << 20

    package enum Kind: UInt32, Sendable {
        case segment = 0x3153_4257  // "WBS1"
        case snapshot = 0x314E_4257  // "WBN1"
        case cutOff = 0x3154_4257  // "WBT1"
    }

    package var kind: Kind
    package var storeID: StoreID
    package var salt: UInt64
    package var base: UInt64
    package var chain: UInt64
    /// In a segment the length of its writer's staging buffer; in a snapshot the sequence of the snapshot before it.
    package var other: UInt64
    package var created: UInt64
    package var compatibleFeatures: UInt32 = 0
    package var rawBlockBound: UInt32
    package var epoch: UInt64

    package init(
        kind: Kind, storeID: StoreID, salt: UInt64, base: UInt64, chain: UInt64,
        other: UInt64, created: UInt64, rawBlockBound: UInt32, epoch: UInt64
    ) {
        self.kind = kind
        self.storeID = storeID
        self.salt = salt
        self.base = base
        self.chain = chain
        self.other = other
        self.created = created
        self.rawBlockBound = rawBlockBound
        self.epoch = epoch
    }

    package init(decoding bytes: Span<UInt8>) throws(FormatFault) {
        guard bytes.count >= Self.byteCount else { throw .truncated(byteCount: bytes.count) }
        let magic = bytes.integer(UInt32.self, at: 0)
        guard magic == Frame.skippableMagic, bytes.integer(UInt32.self, at: 4) == 120 else {
            throw .unknownMagic(magic)
        }
        let tag = bytes.integer(UInt32.self, at: 8)
        guard let kind = Kind(rawValue: tag) else { throw .unknownMagic(tag) }
        let version = bytes.integer(UInt32.self, at: 72)
        try Self.check(version: version)
        guard
            Frame.check(of: bytes, count: Self.byteCount, seed: 0)
                == bytes.integer(UInt32.self, at: 12)
        else { throw .checksumMismatch }
        guard bytes.integer(UInt32.self, at: 76) == 0 else {
            throw .unsupportedFeatures(bytes.integer(UInt32.self, at: 76))
        }
        self.kind = kind
        storeID = StoreID(bytes.extracting(16..<32))
        salt = bytes.integer(UInt64.self, at: 32)
        base = bytes.integer(UInt64.self, at: 40)
        chain = bytes.integer(UInt64.self, at: 48)
        other = bytes.integer(UInt64.self, at: 56)
        created = bytes.integer(UInt64.self, at: 64)
        compatibleFeatures = bytes.integer(UInt32.self, at: 80)
        rawBlockBound = bytes.integer(UInt32.self, at: 84)
        epoch = bytes.integer(UInt64.self, at: 88)
        guard base > 0, base <= Frame.sequenceLimit else {
            throw .outOfRange(field: "base sequence")
        }
        guard epoch < .max else { throw .outOfRange(field: "epoch") }
        let limit =
            kind == .snapshot ? Frame.sequenceLimit : UInt64(StagingHeader.byteCountLimit)
        guard other <= limit else {
            throw .outOfRange(field: kind == .snapshot ? "earlier snapshot" : "buffer length")
        }
        guard rawBlockBound <= Self.rawBlockCap else { throw .outOfRange(field: "raw block bound") }
    }

    /// To be called before any checksum is compared, because a newer major version may have moved it.
    static func check(version: UInt32) throws(FormatFault) {
        if version >> 16 > Self.version >> 16 { throw .unsupportedVersion(version) }
        if version >> 16 < Self.version >> 16 { throw .outOfRange(field: "version") }
    }

    package func encoded() -> [UInt8] {
        assert(base > 0)
        // No reader would accept a file with a larger bound. Definitions leave room for any commit.
        precondition(rawBlockBound <= Self.rawBlockCap, "a block longer than any reader takes")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.append(integer: Frame.skippableMagic)
        bytes.append(integer: UInt32(Self.byteCount - 8))
        bytes.append(integer: kind.rawValue)
        bytes.append(integer: UInt32(0))
        bytes.append(integer: storeID.low)
        bytes.append(integer: storeID.high)
        for field in [salt, base, chain, other, created] { bytes.append(integer: field) }
        for field in [Self.version, 0, compatibleFeatures, rawBlockBound] {
            bytes.append(integer: field)
        }
        bytes.append(integer: epoch)
        bytes.append(contentsOf: repeatElement(0, count: Self.byteCount - bytes.count))
        bytes.store(integer: Frame.check(of: bytes.span, count: Self.byteCount, seed: 0), at: 12)
        return bytes
    }
}
