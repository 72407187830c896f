// Making room. A hand walks over the shard's rows in the order of memory: it passes over dirty rows,
// takes the visited mark from rows that have it, and evicts clean rows that have none. That is the
// algorithm of SIEVE (Zhang et al., "SIEVE is Simpler than LRU", NSDI '24): rows are marked when
// used and never moved for it, so a hit costs one bit. SIEVE keeps its queue in order of insertion,
// with two links a row; here the queue is memory itself, which costs no byte and makes eviction a
// sequential read. A new row takes the place that the hand just freed, so it is looked at one
// round later, as in CLOCK.
//
// If the room that is needed is a page of another size class, rows that must stay would keep
// pages in use. So the rows that the hand leaves in a page move into free blocks of other pages of the class.

extension Shard {
    /// The bytes that a row takes in memory, for ``admits(_:largest:)``: an upper bound of its block
    /// before rounding.
    package static func cost(keyLength: Int, bodyLength: Int) -> Int {
        24 + keyLength + bodyLength
    }

    /// Whether rows of `byteCount` bytes in all, `largest` the biggest (both as ``cost(keyLength:
    /// bodyLength:)`` has it), may be written now: within the dirty limit, and with room, which is
    /// made by evicting clean rows. Asked before the log is appended to; applying never refuses.
    ///
    /// A row that alone exceeds the dirty limit is admitted if nothing else is dirty; otherwise it could never be written.
    @inline(__always)
    package mutating func admits(_ byteCount: Int, largest: Int) -> Bool {
        guard dirtyBytes + byteCount <= dirtyLimit || dirtyBytes == 0 || freeDirty(byteCount) else {
            return false
        }
        return hasRoom(byteCount, largest: largest)
            || evictUntilRoom(byteCount, largest: largest)
    }

    /// Rows that a clear made absent are no longer dirty. This frees those that are still counted.
    @inline(never)
    private mutating func freeDirty(_ byteCount: Int) -> Bool {
        while freeCleared() {
            if dirtyBytes + byteCount <= dirtyLimit { return true }
        }
        return dirtyBytes + byteCount <= dirtyLimit || dirtyBytes == 0
    }

    /// Whether the kernel refused memory. Room within the limits is another matter.
    package var lacksMemory: Bool { rows.arena.lacksMemory }

    mutating func makeRoom(_ byteCount: Int) -> Bool {
        hasRoom(byteCount, largest: byteCount) || evictUntilRoom(byteCount, largest: byteCount)
    }

    @inline(__always)
    private mutating func hasRoom(_ byteCount: Int, largest: Int) -> Bool {
        if rows.index.count >= rows.index.countLimit, !indexMayGrow() { return false }
        if byteCount > largest, freeBytes < byteCount - largest { return false }
        return rows.arena.hasRoom(for: largest, residentLimit: limit)
    }

    /// While it grows, the old and the new index are both there.
    private mutating func indexMayGrow() -> Bool {
        rows.arena.hasRoom(pages: rows.index.grownPageCount, residentLimit: limit)
    }

    private var freeBytes: Int {
        rows.arena.freeResidentPages * PagePool.pageBytes
            + max(0, limit - rows.arena.bytesResident)
    }

    /// Two rounds at most: the first may do nothing but remove marks.
    @inline(never)
    private mutating func evictUntilRoom(_ byteCount: Int, largest: Int) -> Bool {
        var steps = isExhausted ? 0 : 2 * rows.count + 2
        while steps > 0 {
            steps -= 1
            let page = hand.page
            let reference = rows.arena.next(&hand)
            // The hand has left this page; `reference` is in the next one, or a run of its own.
            if page != hand.page { rows.evacuate(page: page) }
            if reference != 0 { evictIfUnused(reference) }
            if hasRoom(byteCount, largest: largest) { return true }
        }
        isExhausted = true
        return false
    }

    private mutating func evictIfUnused(_ reference: RowTable.Reference) {
        if rows.isCleared(reference) { return forget(rows.place(of: reference)) }
        let entry = rows.entry(reference)
        guard isClean(entry) else { return }
        if entry.flags.contains(.visited) { return entry.clear(.visited) }
        drop(rows.place(of: reference))
        counters.evictions += 1
    }
}
