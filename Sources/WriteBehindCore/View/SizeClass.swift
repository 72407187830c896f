/// How big the blocks of a page are.
///
/// Steps of 8 bytes to 256 (what a row loses is below 8 bytes), 8 steps a doubling to 4 KiB (below
/// 12.5 %), then a page divided by 15, 14, … 2 (below 7 % to 34 %), so that pages have no useless
/// tail. A block bigger than half a page takes a run of whole pages.
package enum SizeClass {
    package static let granule = 8
    static let granulesPerPage = PagePool.pageBytes / granule
    /// Classes are 1...count.
    package static let count = 78
    /// The biggest block that shares its page.
    package static let largestBytes = PagePool.pageBytes / 2

    private static let finest = 32
    private static let geometricEnd = 512

    /// The class whose blocks hold `byteCount` bytes, which must be 1...largestBytes.
    @inline(__always)
    package static func of(_ byteCount: Int) -> Int {
        // At least two granules: a free block holds a link.
        let granules = max(2, (byteCount + granule - 1) / granule)
        if granules <= finest { return granules }
        return ofLarge(granules)
    }

    private static func ofLarge(_ granules: Int) -> Int {
        if granules <= geometricEnd {
            let doubling = Int.bitWidth - 1 - (granules - 1).leadingZeroBitCount
            return finest + (doubling - 5) * 8 + ((granules - 1) >> (doubling - 3)) - 7
        }
        return 64 + 16 - granulesPerPage / granules
    }

    /// The length of the blocks of a class, in granules.
    package static func granules(_ sizeClass: Int) -> Int {
        if sizeClass <= finest { return max(2, sizeClass) }
        if sizeClass <= 64 {
            let step = sizeClass - finest - 1
            return (step % 8 + 9) << (step / 8 + 2)
        }
        return granulesPerPage / (80 - sizeClass)
    }
}
