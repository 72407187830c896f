// The seek table that ends a sealed segment, as in zstd's seekable format 0.1.0:
//
//      u32 0x184D2A5E | u32 length of what follows | entry* | u32 frames | u8 0 | u32 0x8F92EAB1
//      entry := u32 compressed size | u32 decompressed size
//
// There is one entry for every frame before it, the footer's included; skippable frames have the
// decompressed size 0. It is derived from the frames: damage to it costs speed, never data.

/// The sizes of all frames of a segment, in order.
package struct SeekTable: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package var compressed: UInt32
        package var decompressed: UInt32
    }

    private static let frameMagic: UInt32 = 0x184D_2A5E
    private static let endMagic: UInt32 = 0x8F92_EAB1
    /// Header and end without any entry.
    private static let overhead = 17
    package static let endLength = 9

    package private(set) var entries: [Entry] = []

    package init() {}

    package mutating func append(compressed: Int, decompressed: Int) {
        entries.append(
            Entry(compressed: UInt32(compressed), decompressed: UInt32(decompressed)))
    }

    package var byteCount: Int { Self.byteCount(entries: entries.count) }

    static func byteCount(entries count: Int) -> Int { count * 8 + overhead }

    /// The length of the whole table that ends with these 9 bytes; nil if they are not the end of a table.
    package static func byteCount(endingWith bytes: Span<UInt8>) -> Int? {
        guard bytes.count == endLength, bytes.integer(UInt32.self, at: 5) == endMagic,
            bytes[4] == 0
        else { return nil }
        return byteCount(entries: Int(bytes.integer(UInt32.self, at: 0)))
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        bytes.append(integer: Self.frameMagic)
        bytes.append(integer: UInt32(byteCount - 8))
        for entry in entries {
            bytes.append(integer: entry.compressed)
            bytes.append(integer: entry.decompressed)
        }
        bytes.append(integer: UInt32(entries.count))
        bytes.append(0)
        bytes.append(integer: Self.endMagic)
        return bytes
    }

    /// Decodes a whole table; nil if the bytes are not one.
    package init?(decoding bytes: Span<UInt8>) {
        guard bytes.count >= Self.overhead, (bytes.count - Self.overhead) % 8 == 0,
            bytes.integer(UInt32.self, at: 0) == Self.frameMagic,
            Int(bytes.integer(UInt32.self, at: 4)) == bytes.count - 8,
            Self.byteCount(endingWith: bytes.extracting((bytes.count - Self.endLength)...))
                == bytes.count
        else { return nil }
        for index in 0..<(bytes.count - Self.overhead) / 8 {
            entries.append(
                Entry(
                    compressed: bytes.integer(UInt32.self, at: 8 + index * 8),
                    decompressed: bytes.integer(UInt32.self, at: 12 + index * 8)))
        }
    }

    /// The start of each block's header. The first frame is the segment's header, and the
    /// last is the footer.
    package var blockOffsets: [Int] {
        var offsets: [Int] = []
        var offset = 0
        for (index, entry) in entries.enumerated() {
            if index % 2 == 1, index + 1 < entries.count { offsets.append(offset) }
            offset += Int(entry.compressed)
        }
        return offsets
    }
}
