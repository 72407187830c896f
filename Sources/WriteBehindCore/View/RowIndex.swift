import CLinux

// An open-addressing index from a row's 32-bit tag to its reference:
//
//      slot := tag (32 bits) << 32 | reference (32 bits); 0 is empty
//
// The tag is a part of the key's hash; scaled to the number of slots it is where the search begins
// ("home"). Slots that are not empty are in ascending order of their tags (linear probing, each
// run kept sorted, as in Robin Hood hashing). So a search for an absent key ends early, growing
// reads the slots once in order without touching a row, and removing shifts the rest of the run
// back, so removed rows leave no marks. There is no wrap-around: some slots behind the last home take the runs
// that reach over it.

/// The slots of a ``RowTable``. The table decides which of the rows with one tag is the right one.
@safe struct RowIndex: ~Copyable, @unchecked Sendable {  // sole owner of its memory
    private var slots: UnsafeMutablePointer<UInt64>
    private var pageCount: Int
    private var firstPage: Int
    private var slotCount: Int
    /// Slots where a search may begin; the others take the runs that reach over the last of them.
    private var homes: UInt64
    private(set) var count = 0
    /// The index grows beyond this many rows.
    private(set) var countLimit: Int

    private static let slotsPerPage = PagePool.pageBytes / MemoryLayout<UInt64>.stride

    /// An index. Its slots are pages of `arena`, which is new and must be given to every method that
    /// asks for one. So one bound covers the rows and the index.
    init(in arena: inout Arena) {
        pageCount = 1
        firstPage = Self.takePages(1, in: &arena)
        slotCount = Self.slotsPerPage
        homes = Self.homes(slotCount)
        countLimit = Self.countLimit(homes)
        // A new arena's memory is zero.
        unsafe slots = Self.slots(firstPage, slotCount, in: arena)
    }

    private static func homes(_ slotCount: Int) -> UInt64 {
        UInt64(slotCount / 32 * 31)
    }

    /// Seven eighths: searches of a few slots in one or two cache lines.
    private static func countLimit(_ homes: UInt64) -> Int { Int(homes / 8 * 7) }

    /// How many pages the index takes when it grows, before it gives back its old ones. It grows by half:
    /// with the limit above, 9 to 14 bytes a row.
    var grownPageCount: Int { pageCount + max(1, pageCount / 2) }

    /// Grows if there is no room for one more row; false if there are no pages for that.
    @inline(__always)
    mutating func makeRoom(in arena: inout Arena) -> Bool {
        guard count >= countLimit else { return true }
        guard arena.hasRoom(pages: grownPageCount, residentLimit: .max) else { return false }
        grow(in: &arena)
        return true
    }

    private static func takePages(_ count: Int, in arena: inout Arena) -> Int {
        // As for blocks (RowTable.swift), the reservation is several times as large as what may be used.
        guard let page = arena.takePages(count) else {
            preconditionFailure("the index's address space is used up")
        }
        return page
    }

    @unsafe private static func slots(
        _ page: Int, _ slotCount: Int, in arena: borrowing Arena
    ) -> UnsafeMutablePointer<UInt64> {
        unsafe arena.pageAddress(page).bindMemory(to: UInt64.self, capacity: slotCount)
    }

    /// The first slot that may hold the tag.
    @inline(__always)
    func home(_ tag: UInt32) -> Int { Int((UInt64(tag) &* homes) >> 32) }

    /// Begins to bring a tag's slots into the processor's cache. On random keys this is the first of two places in memory
    /// that an operation waits for.
    @inline(__always)
    func prefetch(_ tag: UInt32) { unsafe prefetch_for_writing(slots + home(tag)) }

    /// Steps from `slot` to the next one with the tag, or to where the tag belongs. Returns the
    /// reference there, 0 if there is no further row with the tag.
    @inline(__always)
    func search(_ tag: UInt32, from slot: inout Int) -> UInt32 {
        while slot < slotCount {
            let value = unsafe slots[slot]
            let found = UInt32(truncatingIfNeeded: value >> 32)
            if found == tag, value != 0 { return UInt32(truncatingIfNeeded: value) }
            if found > tag || value == 0 { return 0 }
            slot += 1
        }
        return 0
    }

    @inline(__always)
    func reference(at slot: Int) -> UInt32 { unsafe UInt32(truncatingIfNeeded: slots[slot]) }

    @inline(__always)
    mutating func replace(_ reference: UInt32, at slot: Int) {
        unsafe slots[slot] = (slots[slot] & ~0xFFFF_FFFF) | UInt64(reference)
    }

    /// Inserts at the slot where ``search(_:from:)`` ended, growing first if needed.
    @inline(__always)
    mutating func insert(
        _ reference: UInt32, tag: UInt32, at slot: Int, arena: inout Arena
    ) {
        var slot = slot
        if count >= countLimit {
            grow(in: &arena)
            slot = place(for: tag)
        }
        while !makeGap(at: slot) {
            grow(in: &arena)
            slot = place(for: tag)
        }
        unsafe slots[slot] = UInt64(tag) << 32 | UInt64(reference)
        count += 1
    }

    /// Removes the slot and shifts what follows in its run back.
    mutating func remove(at slot: Int) {
        var gap = slot
        while gap + 1 < slotCount {
            let next = unsafe slots[gap + 1]
            guard next != 0, home(UInt32(truncatingIfNeeded: next >> 32)) <= gap else { break }
            unsafe slots[gap] = next
            gap += 1
        }
        unsafe slots[gap] = 0
        count -= 1
    }

    /// Whether there are so many rows that a pass over all slots costs less than removing them one by one.
    var isWorthEmptying: Bool { count > slotCount / 64 }

    mutating func removeAll() {
        unsafe slots.update(repeating: 0, count: slotCount)
        count = 0
    }

    private func place(for tag: UInt32) -> Int {
        var slot = home(tag)
        while slot < slotCount, case let value = unsafe slots[slot], value != 0,
            UInt32(truncatingIfNeeded: value >> 32) <= tag
        { slot += 1 }
        return slot
    }

    /// Moves the rest of the run up by one; false if it would leave the slots.
    @inline(__always)
    private mutating func makeGap(at slot: Int) -> Bool {
        guard slot < slotCount else { return false }
        var carried = unsafe slots[slot]
        if carried == 0 { return true }
        var end = slot + 1
        while end < slotCount, unsafe slots[end] != 0 { end += 1 }
        guard end < slotCount else { return false }
        var position = slot + 1
        while position <= end {
            let next = unsafe slots[position]
            unsafe slots[position] = carried
            carried = next
            position += 1
        }
        return true
    }

    @inline(never)
    private mutating func grow(in arena: inout Arena) {
        let old = firstPage..<firstPage + pageCount
        var newPageCount = pageCount
        while true {
            // One pass, unless a run reaches over the end of the new slots as well.
            newPageCount += max(1, newPageCount / 2)
            let newCount = newPageCount * Self.slotsPerPage
            let newPage = Self.takePages(newPageCount, in: &arena)
            let target = unsafe Self.slots(newPage, newCount, in: arena)
            unsafe target.initialize(repeating: 0, count: newCount)
            if unsafe copySlots(to: target, newCount) {
                unsafe slots = target
                (pageCount, firstPage, slotCount) = (newPageCount, newPage, newCount)
                break
            }
            arena.givePages(newPage..<newPage + newPageCount)
        }
        arena.givePages(old)
        homes = Self.homes(slotCount)
        countLimit = Self.countLimit(homes)
    }

    /// Copies in order, so that reading and writing are sequential; false if a run would leave the
    /// new slots.
    @unsafe private func copySlots(
        to target: UnsafeMutablePointer<UInt64>, _ targetCount: Int
    ) -> Bool {
        let targetHomes = Self.homes(targetCount)
        var end = 0
        for slot in 0..<slotCount {
            let value = unsafe slots[slot]
            guard value != 0 else { continue }
            let position = max(end, Int(((value >> 32) &* targetHomes) >> 32))
            guard position < targetCount else { return false }
            unsafe target[position] = value
            end = position + 1
        }
        return true
    }
}
