import EventLog

/// The entries of one index, by key and in their order. Everything is in one arena.
///
/// The hashes are those of the cache view. Make room before each put (``makeRoom(keyLength:valueLength:)``).
package struct OrderedEntries: ~Copyable, Sendable {
    private var arena: Arena
    private var slots: RowIndex
    private var tree: OrderTree

    /// - Parameter limit: the bytes to which it should be able to grow.
    package init(limit: Int) throws(OutOfMemory) {
        let most = Arena.largestReservation
        let wanted = min(most, 2 * min(limit, most) + (64 << 20))
        try self.init(
            reserving: AddressSpace.reservation(wanted: wanted, needed: 16 << 20, parts: 8))
    }

    /// - Parameter byteCount: bytes of address space. It cannot grow beyond these.
    package init(reserving byteCount: Int) throws(OutOfMemory) {
        var arena = try Arena(reserving: byteCount, hugePages: false)
        // For the first slots and the first leaf.
        guard arena.hasRoom(scattered: 2) else { throw OutOfMemory(byteCount: byteCount) }
        slots = RowIndex(in: &arena)
        tree = OrderTree(in: &arena)
        self.arena = arena
    }

    package var count: Int { tree.count }
    package var byteCount: Int { arena.bytesResident }

    @inline(__always)
    private func entry(_ reference: UInt32) -> IndexEntry {
        unsafe IndexEntry(at: arena.address(reference))
    }

    @inline(__always)
    private func find(_ hash: UInt64, _ key: Span<UInt8>) -> (slot: Int, reference: UInt32) {
        let tag = UInt32(truncatingIfNeeded: hash)
        var slot = slots.home(tag)
        while true {
            let reference = slots.search(tag, from: &slot)
            if reference == 0 || entry(reference).matches(key: key) { return (slot, reference) }
            slot += 1
        }
    }

    /// Makes room for one more entry; false if the reservation is used up, or the machine gives no memory.
    @inline(__always)
    package mutating func makeRoom(keyLength: Int, valueLength: Int) -> Bool {
        guard slots.makeRoom(in: &arena) else { return false }
        let byteCount = IndexEntry.byteCount(keyLength: keyLength, valueLength: valueLength)
        if byteCount <= SizeClass.largestBytes {
            return arena.hasRoom(scattered: 1 + OrderTree.pagesOfAnInsertion)
        }
        // More than needed, because the nodes' pages need not be adjacent to the entry's page.
        return arena.hasRoom(
            for: byteCount + OrderTree.pagesOfAnInsertion * PagePool.pageBytes,
            residentLimit: .max)
    }

    /// Puts an entry. It replaces the entry with the same key, if there is one.
    package mutating func put(_ hash: UInt64, _ key: Span<UInt8>, _ value: Span<UInt8>) {
        let (slot, old) = find(hash, key)
        let byteCount = IndexEntry.byteCount(keyLength: key.count, valueLength: value.count)
        var reference = old
        if old != 0 {
            if entry(old).matches(value: value) { return }
            tree.remove(old, in: &arena)
            if !arena.fits(byteCount, old) {
                reference = take(byteCount)
                slots.replace(reference, at: slot)
                arena.free(old)
            }
        } else {
            reference = take(byteCount)
            slots.insert(
                reference, tag: UInt32(truncatingIfNeeded: hash), at: slot, arena: &arena)
        }
        entry(reference).write(value: value, key: key)
        tree.insert(reference, in: &arena)
    }

    private mutating func take(_ byteCount: Int) -> UInt32 {
        let reference = arena.allocate(byteCount)
        precondition(reference != 0, "the index's address space is used up")
        return reference
    }

    package mutating func remove(_ hash: UInt64, _ key: Span<UInt8>) {
        let (slot, reference) = find(hash, key)
        guard reference != 0 else { return }
        tree.remove(reference, in: &arena)
        slots.remove(at: slot)
        arena.free(reference)
    }

    /// Hands out the value of a key's entry.
    func withValue<R, E: Error>(
        _ hash: UInt64, _ key: Span<UInt8>, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R? {
        let (_, reference) = find(hash, key)
        guard reference != 0 else { return nil }
        let entry = entry(reference)
        let value = unsafe UnsafeRawBufferPointer(rebasing: entry.bytes[..<entry.valueLength])
        return try body(unsafe value.bindMemory(to: UInt8.self).span)
    }

    // MARK: Reading

    /// How many entries are before the one with this key; nil if there is none.
    package func rank(_ hash: UInt64, _ key: Span<UInt8>) -> Int? {
        let (_, reference) = find(hash, key)
        guard reference != 0 else { return nil }
        let probe = unsafe OrderProbe(entry(reference).bytes, .beforeAll)
        return tree.rank(of: probe, arena)
    }

    private func rank(of bytes: [UInt8], _ side: OrderProbe.Side) -> Int {
        unsafe bytes.withUnsafeBytes { bytes in
            tree.rank(of: unsafe OrderProbe(bytes, side), arena)
        }
    }

    /// The ranks of a part of the entries.
    package func ranks(_ part: IndexPart) -> Range<Int> {
        var low = part.lower.map { rank(of: $0, .beforeAll) } ?? 0
        var high = part.upper.map { rank(of: $0, .behindAll) } ?? count
        if let position = part.after {
            if part.isDescending {
                high = min(high, rank(of: position, .beforeAll))
            } else {
                low = max(low, rank(of: position, .behindEqual))
            }
        }
        return low < high ? low..<high : low..<low
    }

    /// The first entries of a part.
    package func entries(_ part: IndexPart, limit: Int) -> IndexedRows {
        let ranks = ranks(part)
        let count = max(0, min(limit, ranks.count))
        return entries(
            part.isDescending ? ranks.suffix(count) : ranks.prefix(count),
            isDescending: part.isDescending)
    }

    /// The entry with this key among some before and behind it, and the rank of the first of them.
    package func around(
        _ hash: UInt64, _ key: Span<UInt8>, count: Int, isDescending: Bool
    ) -> (rows: IndexedRows, firstRank: Int)? {
        guard let rank = rank(hash, key) else { return nil }
        let low = rank - min(count, rank)
        let high = rank + min(count, self.count - 1 - rank) + 1
        return (
            entries(low..<high, isDescending: isDescending),
            isDescending ? self.count - high : low
        )
    }

    /// The entries of some ranks, all of which exist.
    func entries(_ ranks: Range<Int>, isDescending: Bool) -> IndexedRows {
        var rows = IndexedRows()
        rows.reserveCapacity(ranks.count)
        tree.forEach(ranks, isDescending: isDescending, arena) { rows.append($0) }
        return rows
    }

    /// The first rule of the structure that is broken; nil if there is none.
    package func fault() -> String? {
        if slots.count != tree.count { return "the numbers of keys and entries differ" }
        return tree.fault(arena)
    }
}

/// The entries between two values, in one direction.
package struct IndexPart: Sendable {
    /// The first bytes of the entries with the lowest value, and with the highest; both are in the part.
    package var lower: [UInt8]?
    package var upper: [UInt8]?
    package var isDescending = false
    /// The part begins behind the entry at this position.
    package var after: [UInt8]?

    package init() {}
}

/// Entries that were copied out of an index, in the order in which they were read.
package struct IndexedRows: Sendable {
    /// The value and then the key of each entry, one entry behind the other.
    private var bytes: [UInt8] = []
    private var places: [(start: Int, key: Int, end: Int)] = []

    package var count: Int { places.count }

    fileprivate mutating func reserveCapacity(_ count: Int) {
        places.reserveCapacity(count)
        bytes.reserveCapacity(count * 32)
    }

    fileprivate mutating func append(_ entry: IndexEntry) {
        let start = bytes.count
        unsafe bytes.append(contentsOf: entry.bytes)
        places.append((start, start + entry.valueLength, bytes.count))
    }

    /// Hands out the key of an entry.
    @inline(__always)
    func withKey<R, E: Error>(
        _ index: Int, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        let place = places[index]
        return try body(bytes.span.extracting(place.key..<place.end))
    }

    /// The first entries.
    func prefix(_ count: Int) -> IndexedRows {
        var rows = self
        rows.places.removeLast(max(0, rows.places.count - count))
        return rows
    }

    package func key(_ index: Int) -> [UInt8] {
        Array(bytes[places[index].key..<places[index].end])
    }

    /// The place of the entry in the order. It stays valid when the entry is removed.
    package func position(_ index: Int) -> [UInt8] {
        Array(bytes[places[index].start..<places[index].end])
    }
}
