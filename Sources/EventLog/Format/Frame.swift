/// Shared by segment headers and block headers: both are zstd skippable frames with a tag of ours
/// at offset 8 and a checksum at offset 12 that covers all their other bytes.
package enum Frame {
    package static let skippableMagic: UInt32 = 0x184D_2A57

    /// No block or segment may start at this sequence or above. No log gets so far, so bytes with a higher one are not a
    /// header, and counting on from an accepted sequence never overflows.
    static let sequenceLimit = StoreLayout.sequenceLimit

    /// The checksum of bytes [0,12) and [16,count).
    static func check(of bytes: Span<UInt8>, count: Int, seed: UInt64) -> UInt32 {
        var covered: [UInt8] = []
        covered.reserveCapacity(count - 4)
        for index in 0..<12 { covered.append(bytes[index]) }
        for index in 16..<count { covered.append(bytes[index]) }
        return Checksum.low(covered.span, seed: seed)
    }
}
