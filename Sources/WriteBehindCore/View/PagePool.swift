import Glibc

// Pages of 64 KiB, in chunks:
//
//      reservation  := chunk*            address space only; what is used of it is made usable in steps
//      chunk        := page{1 or 32}     resident as a whole, or not at all
//      page         := one size class of blocks, or part of a run that holds one big block
//
// Memory is counted, bounded and given back by the chunk. A chunk of 32 pages (2 MiB) is one huge
// page where the kernel has one: counting smaller units then would promise a bound that it does not
// keep (khugepaged fills the holes again). Chunks of one page are for small tables, of which there are many.
// Pages are taken lowest first from resident chunks, so the chunks at the end of the reservation
// drain and are given back.
//
// If the machine promises no more memory than it has (vm.overcommit_memory=2), usable pages count, and a step
// may be refused. So a step reaches farther than the request: a step that succeeded is enough for a whole commit.

/// The address space of an ``Arena`` and which of its pages are in use.
@safe struct PagePool: ~Copyable, @unchecked Sendable {  // sole owner of its memory
    static let pageBytes = 64 << 10
    /// The size of a huge page. Every reservation is a multiple of it.
    static let hugeBytes = 2 << 20

    private struct Chunk {
        /// Bit i is set while page i is in use.
        var used: UInt32 = 0
        var isResident = false
    }

    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int
    /// The first byte of page 0, aligned to a chunk.
    @unsafe let base: UnsafeMutableRawPointer
    let pageCount: Int
    private let pagesPerChunk: Int
    private let fullChunk: UInt32
    private var chunks: [Chunk]
    /// No chunk below this one is resident with a free page.
    private var firstWithRoom = 0
    /// No chunk below this one is without memory.
    private var firstAbsent = 0
    private var residentChunks = 0
    private var emptyResidentChunks = 0
    /// Free pages that cost no further memory.
    private(set) var freeResidentPages = 0
    /// Pages below this one may be used.
    private var usableEnd = 0
    /// The last request was within its limit, but the kernel refused, or the reservation is too small.
    private(set) var lacksMemory = false
    /// Pages of a step: 16 MiB.
    private static let stepPages = 256
    /// Room that is made usable beyond a request: for the rows of the largest commit, and a larger index.
    private var headroomPages: Int { 64 + usableEnd / 16 }

    var residentBytes: Int { residentChunks * chunkBytes }

    private var chunkBytes: Int { pagesPerChunk * Self.pageBytes }

    /// Reserves address space; memory is taken chunk by chunk when pages are.
    init(reserving byteCount: Int, hugePages: Bool) throws(OutOfMemory) {
        let length = max(1, (byteCount + Self.hugeBytes - 1) / Self.hugeBytes) * Self.hugeBytes
        mappedBytes = length + Self.hugeBytes  // one more, to align within
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let start = unsafe mmap(nil, mappedBytes, PROT_NONE, flags, -1, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else {
            throw OutOfMemory(byteCount: byteCount)
        }
        unsafe mapping = start
        unsafe base = start.alignedUp(toMultipleOf: Self.hugeBytes)
        pageCount = length / Self.pageBytes
        pagesPerChunk = hugePages ? 32 : 1
        fullChunk = hugePages ? .max : 1
        chunks = Array(repeating: Chunk(), count: pageCount / pagesPerChunk)
        // Only advice: without it everything works the same.
        _ = unsafe madvise(base, length, hugePages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE)
    }

    deinit {
        _ = unsafe munmap(mapping, mappedBytes)
    }

    /// Whether `count` adjacent pages can be taken while at most `residentLimit` bytes are resident.
    mutating func hasRoom(pages count: Int, residentLimit: Int) -> Bool {
        if count == 1, freeResidentPages > 0 { return true }
        let newChunks = (count + pagesPerChunk - 1) / pagesPerChunk
        if residentBytes + newChunks * chunkBytes <= residentLimit, canGrow(by: count) {
            return true
        }
        return findRun(count, residentOnly: true) != nil
    }

    /// Whether `count` pages can be taken, wherever they are.
    @inline(__always)
    mutating func hasRoom(scattered count: Int) -> Bool {
        let needed = residentChunks * pagesPerChunk - freeResidentPages + count
        return needed <= usableEnd
            || (makeUsable(through: min(pageCount, needed + headroomPages)) && needed <= usableEnd)
    }

    /// Whether there are `count` adjacent pages that may be used, resident or not.
    private mutating func canGrow(by count: Int) -> Bool {
        let start = count == 1 ? firstAbsentPage() : findRun(count, residentOnly: false)
        let canGrow = start.map { makeUsable(through: min(pageCount, $0 + count + headroomPages)) }
        lacksMemory = canGrow != true
        return !lacksMemory
    }

    /// Lets all pages below `end` be used, and some more; false if the kernel refuses.
    private mutating func makeUsable(through end: Int) -> Bool {
        guard end > usableEnd else { return true }
        let target = min(pageCount, (end + Self.stepPages - 1) / Self.stepPages * Self.stepPages)
        let start = unsafe base + usableEnd * Self.pageBytes
        let byteCount = (target - usableEnd) * Self.pageBytes
        guard unsafe mprotect(start, byteCount, PROT_READ | PROT_WRITE) == 0 else { return false }
        usableEnd = target
        return true
    }

    private mutating func firstAbsentPage() -> Int? {
        while firstAbsent < chunks.count, chunks[firstAbsent].isResident { firstAbsent += 1 }
        return firstAbsent < chunks.count ? firstAbsent * pagesPerChunk : nil
    }

    /// Takes one page; nil when the reservation is used up, or the kernel gives no memory.
    mutating func takePage() -> Int? {
        if freeResidentPages > 0 {
            while chunks[firstWithRoom].used == fullChunk || !chunks[firstWithRoom].isResident {
                firstWithRoom += 1
            }
            let page =
                firstWithRoom * pagesPerChunk
                + (~chunks[firstWithRoom].used).trailingZeroBitCount
            markUsed(page)
            return page
        }
        guard let page = firstAbsentPage(), makeUsable(through: page + pagesPerChunk) else {
            return nil
        }
        markUsed(page)
        return page
    }

    /// Takes `count` adjacent pages; nil when the reservation has no such run, or the kernel gives no memory.
    mutating func takeRun(_ count: Int) -> Int? {
        let found = findRun(count, residentOnly: true) ?? findRun(count, residentOnly: false)
        guard let found else { return nil }
        let end = (found + count + pagesPerChunk - 1) / pagesPerChunk * pagesPerChunk
        guard makeUsable(through: end) else { return nil }
        for page in found..<found + count { markUsed(page) }
        return found
    }

    /// Gives pages back. One chunk without used pages is kept; the memory of the others goes back to the kernel.
    mutating func release(_ pages: Range<Int>) {
        for page in pages {
            let index = page / pagesPerChunk
            chunks[index].used &= ~(1 << UInt32(page % pagesPerChunk))
            freeResidentPages += 1
            firstWithRoom = min(firstWithRoom, index)
            guard chunks[index].used == 0 else { continue }
            if emptyResidentChunks == 0 {
                emptyResidentChunks = 1
            } else {
                returnMemory(of: index)
            }
        }
    }

    /// Returns the memory of chunks without used pages.
    mutating func trim() {
        guard emptyResidentChunks > 0 else { return }
        for index in chunks.indices where chunks[index].isResident && chunks[index].used == 0 {
            returnMemory(of: index)
        }
        emptyResidentChunks = 0
    }

    private mutating func returnMemory(of index: Int) {
        let start = unsafe base + index * chunkBytes
        _ = unsafe madvise(start, chunkBytes, MADV_DONTNEED)
        chunks[index].isResident = false
        residentChunks -= 1
        freeResidentPages -= pagesPerChunk
        firstAbsent = min(firstAbsent, index)
    }

    private mutating func markUsed(_ page: Int) {
        let index = page / pagesPerChunk
        if !chunks[index].isResident {
            chunks[index].isResident = true
            faultIn(index)
            residentChunks += 1
            freeResidentPages += pagesPerChunk
            firstWithRoom = min(firstWithRoom, index)
        } else if chunks[index].used == 0 {
            emptyResidentChunks -= 1
        }
        chunks[index].used |= 1 << UInt32(page % pagesPerChunk)
        freeResidentPages -= 1
    }

    /// Lets the kernel back a whole chunk at once: one by one, the 16 faults of a small chunk cost more than
    /// everything else that a put does. Only advice; a huge page is one fault anyway. The first chunks are left out:
    /// a table of few rows uses a little of several chunks, one for each size of row.
    private func faultIn(_ index: Int) {
        guard pagesPerChunk == 1, residentChunks >= 4 else { return }
        _ = unsafe madvise(base + index * chunkBytes, chunkBytes, MADV_POPULATE_WRITE)
    }

    /// The first run of free pages. Takes time linear in the chunks, which is little for a block of many pages.
    private func findRun(_ count: Int, residentOnly: Bool) -> Int? {
        guard !residentOnly || freeResidentPages >= count else { return nil }
        var length = 0
        for index in chunks.indices {
            let chunk = chunks[index]
            if chunk.used == fullChunk || (residentOnly && !chunk.isResident) {
                length = 0
                continue
            }
            for bit in 0..<pagesPerChunk {
                length = chunk.used >> UInt32(bit) & 1 == 0 ? length + 1 : 0
                if length == count { return index * pagesPerChunk + bit + 1 - count }
            }
        }
        return nil
    }
}
