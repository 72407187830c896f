// Memory for rows. A block is named by a 32-bit number, so that an index slot is 8 bytes.
//
//      reference := 1 + granule (8 bytes) from the start of the reservation; 0 is no block
//
// Blocks of one size class fill a page of 64 KiB; a page has its own list of free blocks, linked
// through their bytes, and pages with free blocks form a list per class. So allocating and freeing
// are a few loads, and a page serves another class as soon as its last block is free.
//
// Fragmentation is bounded three ways: a block wastes what SizeClass.swift says; each class has at
// most one page that was never full; and the next block of a class goes to pages that others have
// left sparse, and that eviction, which walks memory in order, empties. The rest is
// reported: the bound on memory is on resident chunks, not on the blocks inside them.
//
// Contract with the owner of a block: its first byte is not zero. The arena keeps the first byte of
// a free block zero, so a walk over memory can distinguish them.

/// An allocator of blocks in one reservation of address space.
@safe package struct Arena: ~Copyable, @unchecked Sendable {  // sole owner of its memory
    package typealias Reference = UInt32
    /// The most that 32-bit references reach.
    package static let largestReservation =
        (Int(UInt32.max) * SizeClass.granule) & ~(PagePool.hugeBytes - 1)

    private struct Page {
        /// Neighbours in the class's list of pages with free blocks: page + 1, 0 for none. In a run,
        /// `next` is the run's length in pages.
        var next: UInt32 = 0
        var previous: UInt32 = 0
        /// First free block: granule in the page + 1, 0 for none.
        var freeHead: UInt16 = 0
        /// Granules handed out at least once; the blocks behind them were never used.
        var fresh: UInt16 = 0
        var usedBlocks: UInt16 = 0
        /// 0 free, 1...SizeClass.count, or one of the two below.
        var sizeClass: UInt8 = 0

        static let run: UInt8 = 254
        static let runContinued: UInt8 = 255
    }

    private struct ClassState {
        var firstPage: UInt32 = 0
        var granules: UInt32 = 0
    }

    private var pool: PagePool
    private let pages: UnsafeMutablePointer<Page>
    private let classes: UnsafeMutablePointer<ClassState>
    /// One granule before the reservation, so that references start at 1.
    private let origin: UnsafeMutableRawPointer
    /// Pages at and above this were never used.
    private var endPage = 0
    /// Bytes of the blocks in use.
    package private(set) var bytesInUse = 0

    /// Bytes of memory that the kernel may have given to the arena for blocks.
    package var bytesResident: Int { pool.residentBytes }

    /// Reserves address space for blocks; no memory yet.
    package init(reserving byteCount: Int, hugePages: Bool = true) throws(OutOfMemory) {
        let length = min(byteCount, Self.largestReservation)
        pool = try PagePool(reserving: length, hugePages: hugePages)
        unsafe origin = pool.base - SizeClass.granule
        unsafe pages = .allocate(capacity: pool.pageCount)
        unsafe classes = .allocate(capacity: SizeClass.count + 1)
        unsafe classes.initialize(to: ClassState())
        for sizeClass in 1...SizeClass.count {
            let granules = UInt32(SizeClass.granules(sizeClass))
            unsafe (classes + sizeClass).initialize(to: ClassState(granules: granules))
        }
    }

    deinit {
        unsafe pages.deallocate()
        unsafe classes.deallocate()
    }

    /// The bytes of a block in use.
    @inline(__always)
    @unsafe package func address(_ reference: Reference) -> UnsafeMutableRawPointer {
        unsafe origin + Int(reference) * SizeClass.granule
    }

    /// The length of a block in use.
    @inline(__always)
    package func blockBytes(_ reference: Reference) -> Int {
        let page = unsafe pages[Self.page(of: reference)]
        if page.sizeClass == Page.run { return Int(page.next) * PagePool.pageBytes }
        return unsafe Int(classes[Int(page.sizeClass)].granules) * SizeClass.granule
    }

    /// Whether a block of `byteCount` bytes would have exactly this block's length.
    @inline(__always)
    func fits(_ byteCount: Int, _ reference: Reference) -> Bool {
        let sizeClass = unsafe pages[Self.page(of: reference)].sizeClass
        guard byteCount <= SizeClass.largestBytes else {
            return blockBytes(reference) == Self.runPages(byteCount) * PagePool.pageBytes
        }
        return Int(sizeClass) == SizeClass.of(byteCount)
    }

    /// Whether a block can be taken while at most `residentLimit` bytes are resident.
    @inline(__always)
    package mutating func hasRoom(for byteCount: Int, residentLimit: Int) -> Bool {
        if byteCount <= SizeClass.largestBytes {
            if unsafe classes[SizeClass.of(byteCount)].firstPage != 0 { return true }
            return pool.hasRoom(pages: 1, residentLimit: residentLimit)
        }
        return pool.hasRoom(pages: Self.runPages(byteCount), residentLimit: residentLimit)
    }

    /// Takes a block; 0 when the reservation is used up. The caller writes a first byte that is not
    /// zero.
    @inline(__always)
    package mutating func allocate(_ byteCount: Int) -> Reference {
        guard byteCount <= SizeClass.largestBytes else { return allocateRun(byteCount) }
        let sizeClass = SizeClass.of(byteCount)
        let granules = unsafe classes[sizeClass].granules
        var first = unsafe classes[sizeClass].firstPage
        if first == 0 {
            first = addPage(to: sizeClass)
            if first == 0 { return 0 }
        }
        let index = Int(first) - 1
        let page = unsafe pages + index
        var granule = unsafe UInt32(page.pointee.freeHead)
        let start = UInt32(index * SizeClass.granulesPerPage)
        if granule != 0 {
            let link = unsafe address(start + granule).load(as: UInt64.self)
            unsafe page.pointee.freeHead = UInt16(truncatingIfNeeded: link >> 8)
        } else {
            granule = unsafe UInt32(page.pointee.fresh) + 1
            unsafe page.pointee.fresh += UInt16(truncatingIfNeeded: granules)
        }
        unsafe page.pointee.usedBlocks += 1
        bytesInUse += Int(granules) * SizeClass.granule
        if unsafe page.pointee.freeHead == 0, unsafe isFresh(page.pointee, granules) == false {
            unlink(index)
        }
        return start + granule
    }

    /// Gives a block back.
    package mutating func free(_ reference: Reference) {
        let index = Self.page(of: reference)
        let page = unsafe pages + index
        bytesInUse -= blockBytes(reference)
        let sizeClass = unsafe page.pointee.sizeClass
        if sizeClass == Page.run { return freeRun(index) }
        let granules = unsafe classes[Int(sizeClass)].granules
        let wasFull = unsafe page.pointee.freeHead == 0 && !isFresh(page.pointee, granules)
        // The link is above the first byte, which stays zero.
        let next = unsafe UInt64(page.pointee.freeHead) << 8
        unsafe address(reference).storeBytes(of: next, as: UInt64.self)
        let granule = (Int(reference) - 1) % SizeClass.granulesPerPage + 1
        unsafe page.pointee.freeHead = UInt16(truncatingIfNeeded: granule)
        unsafe page.pointee.usedBlocks -= 1
        if wasFull { link(index) }
        if unsafe page.pointee.usedBlocks == 0 {
            unlink(index)
            unsafe page.pointee = Page()
            pool.release(index..<index + 1)
        }
    }

    /// Takes all blocks back.
    mutating func freeAll() {
        for index in 0..<endPage {
            let page = unsafe pages[index]
            // Pages that hold no blocks do not belong to the arena; the pages of a run go with its first page.
            guard page.sizeClass != 0, page.sizeClass != Page.runContinued else { continue }
            if page.sizeClass == Page.run {
                freeRun(index)
            } else {
                unsafe pages[index] = Page()
                pool.release(index..<index + 1)
            }
        }
        for sizeClass in 1...SizeClass.count { unsafe classes[sizeClass].firstPage = 0 }
        bytesInUse = 0
    }

    /// Takes a block of the same length in another page that is in use already; 0 if none has room.
    mutating func allocateElsewhere(than reference: Reference) -> Reference {
        let index = Self.page(of: reference)
        let sizeClass = unsafe Int(pages[index].sizeClass)
        guard sizeClass <= SizeClass.count else { return 0 }
        if unsafe classes[sizeClass].firstPage == UInt32(index + 1) {
            let other = unsafe pages[index].next
            guard other != 0 else { return 0 }
            // The other page moves to the front; the order of the list means nothing.
            unlink(Int(other) - 1)
            link(Int(other) - 1)
        }
        guard unsafe classes[sizeClass].firstPage != 0 else { return 0 }
        return unsafe allocate(Int(classes[sizeClass].granules) * SizeClass.granule)
    }

    /// Copies a whole block to another block of the same length.
    func copyBlock(from source: Reference, to target: Reference) {
        unsafe address(target).copyMemory(
            from: address(source), byteCount: blockBytes(source))
    }

    /// Takes adjacent pages for something other than blocks. A walk does not see them. Nil when the
    /// reservation is used up.
    mutating func takePages(_ count: Int) -> Int? {
        guard let index = pool.takeRun(count) else { return nil }
        reach(index + count)
        for page in index..<index + count {
            unsafe pages[page] = Page(sizeClass: Page.runContinued)
        }
        return index
    }

    /// Gives pages back that ``takePages(_:)`` took.
    mutating func givePages(_ range: Range<Int>) {
        for page in range { unsafe pages[page] = Page() }
        pool.release(range)
    }

    @unsafe func pageAddress(_ page: Int) -> UnsafeMutableRawPointer {
        unsafe pool.base + page * PagePool.pageBytes
    }

    /// Whether adjacent pages can be taken while at most `residentLimit` bytes are resident.
    mutating func hasRoom(pages count: Int, residentLimit: Int) -> Bool {
        pool.hasRoom(pages: count, residentLimit: residentLimit)
    }

    /// Whether `count` pages can be taken, wherever they are.
    @inline(__always)
    mutating func hasRoom(scattered count: Int) -> Bool { pool.hasRoom(scattered: count) }

    /// The kernel refused to give more memory when it was last asked.
    var lacksMemory: Bool { pool.lacksMemory }

    /// Free pages that cost no further memory.
    var freeResidentPages: Int { pool.freeResidentPages }

    /// Returns memory that no block uses to the kernel.
    package mutating func trim() { pool.trim() }

    @inline(__always)
    static func page(of reference: Reference) -> Int {
        Int(reference &- 1) / SizeClass.granulesPerPage
    }

    private static func runPages(_ byteCount: Int) -> Int {
        (byteCount + PagePool.pageBytes - 1) / PagePool.pageBytes
    }

    @inline(__always)
    private func isFresh(_ page: Page, _ granules: UInt32) -> Bool {
        UInt32(page.fresh) + granules <= UInt32(SizeClass.granulesPerPage)
    }

    @inline(never)
    private mutating func addPage(to sizeClass: Int) -> UInt32 {
        guard let index = pool.takePage() else { return 0 }
        reach(index + 1)
        unsafe (pages + index).initialize(to: Page(sizeClass: UInt8(sizeClass)))
        link(index)
        return UInt32(index + 1)
    }

    /// Descriptors are initialized when their page is first reached: a big reservation costs nothing.
    private mutating func reach(_ end: Int) {
        guard end > endPage else { return }
        unsafe (pages + endPage).initialize(repeating: Page(), count: end - endPage)
        endPage = end
    }

    private mutating func link(_ index: Int) {
        let state = unsafe classes + Int(pages[index].sizeClass)
        let first = unsafe state.pointee.firstPage
        unsafe pages[index].previous = 0
        unsafe pages[index].next = first
        if first != 0 { unsafe pages[Int(first) - 1].previous = UInt32(index + 1) }
        unsafe state.pointee.firstPage = UInt32(index + 1)
    }

    private mutating func unlink(_ index: Int) {
        let page = unsafe pages[index]
        if page.next != 0 { unsafe pages[Int(page.next) - 1].previous = page.previous }
        if page.previous != 0 {
            unsafe pages[Int(page.previous) - 1].next = page.next
        } else {
            unsafe classes[Int(page.sizeClass)].firstPage = page.next
        }
        unsafe pages[index].next = 0
        unsafe pages[index].previous = 0
    }

    private mutating func allocateRun(_ byteCount: Int) -> Reference {
        let count = Self.runPages(byteCount)
        guard let index = takePages(count) else { return 0 }
        unsafe pages[index] = Page(next: UInt32(count), usedBlocks: 1, sizeClass: Page.run)
        bytesInUse += count * PagePool.pageBytes
        return UInt32(index * SizeClass.granulesPerPage + 1)
    }

    private mutating func freeRun(_ index: Int) {
        let count = unsafe Int(pages[index].next)
        givePages(index..<index + count)
    }
}

extension Arena {
    /// A place in a walk over all blocks in the order of memory.
    package struct Cursor: Equatable {
        package fileprivate(set) var page: Int
        fileprivate var granule = 0

        package init(page: Int = 0) { self.page = page }
    }

    /// The next block in use at or behind the cursor, which moves past it; 0 at the end, where the
    /// cursor goes back to the start. Blocks may be taken and freed between two calls.
    ///
    /// - Parameter limit: the page to stop at. The result is 0 there, too, and the cursor stays on it.
    package func next(_ cursor: inout Cursor, before limit: Int = .max) -> Reference {
        while cursor.page < endPage {
            if cursor.page >= limit { return 0 }
            let page = unsafe pages[cursor.page]
            let start = UInt32(cursor.page * SizeClass.granulesPerPage) + 1
            if page.sizeClass == Page.run {
                cursor.page += 1
                cursor.granule = 0
                return start
            }
            let granules =
                unsafe page.sizeClass == Page.runContinued
                ? 0
                : Int(classes[Int(page.sizeClass)].granules)
            // If the page has changed its class since then, its blocks start elsewhere: go up to the next one.
            if granules > 0 {
                cursor.granule = (cursor.granule + granules - 1) / granules * granules
            }
            while granules > 0, cursor.granule < Int(page.fresh) {
                let reference = start + UInt32(cursor.granule)
                cursor.granule += granules
                if unsafe address(reference).load(as: UInt8.self) != 0 { return reference }
            }
            cursor.page += 1
            cursor.granule = 0
        }
        cursor = Cursor()
        return 0
    }
}
