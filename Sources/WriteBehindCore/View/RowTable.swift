package import EventLog

/// Rows by table and key, with the fold of records into them.
///
/// The fold is here and nowhere else: the cache view, the materializer's batches, snapshots and time
/// travel all go through it, so they agree.
///
/// | record | on absent   | on full      | on partial     | on tombstone |
/// |--------|-------------|--------------|----------------|--------------|
/// | put    | full        | full         | full           | full         |
/// | patch  | partial**   | merged full  | merged partial | full**       |
/// | add    | partial     | summed full  | summed partial | full***      |
/// | delete | tombstone*  | tombstone*   | tombstone*     | tombstone*   |
/// | clear  | every row of the table is absent from then on (ClearedRows.swift)                    |
///
/// \* or nothing, if the caller has no use for tombstones.
/// \** A patch makes a row if there is none: it is the put of a program that lacks columns of the table.
/// The columns that it does not set get their defaults.
/// \*** or nothing, if the add makes no row.
///
/// A table of the cache view keeps no sums of a row that only the database has: such a row is *counted*: see CountedRows.swift.
///
/// Nothing here survives a crash; everything is made again from the log. For one thread at a time.
package struct RowTable: ~Copyable, Sendable {
    /// Names a row until it is changed or removed; 0 names none.
    package typealias Reference = UInt32

    var arena: Arena
    var index: RowIndex
    /// Mixed into every hash. Secret and random, so that an attacker cannot choose keys that collide.
    let seed: UInt64
    /// The sequence of each table's last clear.
    package internal(set) var clearedAt: [UInt16: UInt64] = [:]
    var cleared = ClearedRows()
    var defaults: [UInt16: [[UInt8]]] = [:]
    /// Whether a partial row holds what was added to it; otherwise it is counted, and its body is empty.
    var keepsSums = true
    var scratch: [UInt8] = []

    /// An empty table for as many rows as the process's limits allow.
    package init(
        hugePages: Bool = true, seed: UInt64 = .random(in: .min ... .max)
    ) throws(OutOfMemory) {
        let byteCount = try AddressSpace.reservation(
            wanted: Arena.largestReservation, needed: 64 << 20, parts: 4)
        try self.init(reserving: byteCount, hugePages: hugePages, seed: seed)
    }

    /// An empty table that may grow to `byteCount` bytes of blocks (32 GiB at most). That is address
    /// space; memory is taken as needed: with huge pages, which are faster, in steps of 2 MiB, otherwise of
    /// 64 KiB.
    package init(
        reserving byteCount: Int,
        hugePages: Bool = true, seed: UInt64 = .random(in: .min ... .max)
    ) throws(OutOfMemory) {
        var arena = try Arena(reserving: byteCount, hugePages: hugePages)
        index = RowIndex(in: &arena)
        self.arena = arena
        self.seed = seed
    }

    /// An empty table for about `memory` bytes of rows. A small one is made and freed at little cost.
    init(memory: Int) throws(OutOfMemory) {
        let memory = max(0, min(memory, Arena.largestReservation))
        // More than `memory`: pages are not full, and the index needs room, twice while it grows.
        let byteCount = try AddressSpace.reservation(
            wanted: 4 * memory + (512 << 20),
            needed: min(2 * memory, Arena.largestReservation) + (16 << 20), parts: 4)
        try self.init(reserving: byteCount, hugePages: memory >= 16 << 20)
    }

    /// Rows, tombstones and partial rows, with the cleared ones that are not freed yet.
    package var count: Int { index.count }
    /// Bytes of the rows' blocks: with their headers, and rounded up.
    package var bytesInUse: Int { arena.bytesInUse }
    /// Bytes of memory for everything, the index included.
    package var bytesResident: Int { arena.bytesResident }

    /// The values of columns that rows written before these columns existed do not hold: one encoded
    /// value for each non-key column in schema order. Without them they are null.
    package mutating func setDefaults(table: UInt16, _ values: [[UInt8]]) {
        defaults[table] = values
    }

    func defaults(of table: UInt16) -> [[UInt8]] { defaults[table] ?? [] }

    /// The hash that all other methods take; the same for every table with the same seed.
    @inline(__always)
    package static func hash(table: UInt16, key: Span<UInt8>, seed: UInt64) -> UInt64 {
        Checksum.of(key, seed: seed ^ (UInt64(table) &* 0x9E37_79B9_7F4A_7C15))
    }

    package func hash(table: UInt16, key: Span<UInt8>) -> UInt64 {
        Self.hash(table: table, key: key, seed: seed)
    }

    /// The place of a row, or the one where it would be.
    package struct Place {
        package var slot: Int
        package var reference: Reference
    }

    /// The effect of a change: enough to keep accounts of bytes and sequences.
    package struct Change {
        package var reference: Reference
        /// The entry's word before, 0 if there was none.
        package var oldWord: UInt64
        package var oldBytes: Int
        package var newBytes: Int
    }

    @inline(__always)
    package func find(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) -> Place {
        let tag = UInt32(truncatingIfNeeded: hash)
        var slot = index.home(tag)
        while true {
            let reference = index.search(tag, from: &slot)
            if reference == 0 || entry(reference).matches(table: table, key: key) {
                return Place(slot: slot, reference: reference)
            }
            slot += 1
        }
    }

    /// The fields of a row. Only for a reference that is in use, which every caller has from a
    /// search or a walk within the same operation.
    @inline(__always)
    func entry(_ reference: Reference) -> Entry { unsafe Entry(at: arena.address(reference)) }

    // MARK: The fold

    /// Applies a put; a deadline makes it a row with a time to live.
    @inline(__always)
    package mutating func put(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ row: Span<UInt8>,
        sequence: UInt64, deadline: UInt64? = nil
    ) -> Change {
        let place = findUncleared(hash, table, key)
        return store(
            NewEntry(table: table, state: .full, sequence: sequence, deadline: deadline),
            key, row, hash: hash, at: place)
    }

    /// Applies a patch; the row keeps its deadline. Throws, with nothing changed, if the bytes of the patch or the
    /// row are not from a codec.
    ///
    /// - Parameter isGone: whether it is known that there is no row, if there is no entry.
    package mutating func patch(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ patch: Span<UInt8>,
        sequence: UInt64, isGone: Bool = false
    ) throws(MalformedRecord) -> Change {
        let place = findUncleared(hash, table, key)
        let state = place.reference == 0 ? .absent : entry(place.reference).state
        var row = NewEntry(table: table, state: .partial, sequence: sequence)
        if state == .tombstone || state == .absent && isGone {
            var made: [UInt8] = []
            try RowMerge.row(
                madeBy: patch, defaults: defaults[table] ?? [], into: &made)
            row.state = .full
            return store(row, key, made.span, hash: hash, at: place)
        }
        guard state == .full || state == .partial else {
            try RowMerge.check(patch)
            return store(row, key, patch, hash: hash, at: place)
        }
        return try merge(patch, isAdd: false, into: row, hash, key, at: place)
    }

    /// Adds amounts; the row keeps its deadline. Throws, with nothing changed, if the bytes of the add or the row are not from
    /// a codec.
    ///
    /// - Parameter isGone: as for ``patch(_:_:_:_:sequence:isGone:)``.
    /// - Returns: nil if nothing was changed, because there is no row, and the add makes none.
    package mutating func add(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ add: Span<UInt8>,
        sequence: UInt64, isGone: Bool = false
    ) throws(MalformedRecord) -> Change? {
        let place = findUncleared(hash, table, key)
        let state = place.reference == 0 ? .absent : entry(place.reference).state
        let parts = try RowMerge.parts(add)
        var row = NewEntry(table: table, state: .partial, sequence: sequence)
        if state == .tombstone || state == .absent && isGone {
            guard let missing = parts.missing else { return nil }
            var made: [UInt8] = []
            try RowMerge.row(
                madeBy: add.extracting(missing), defaults: defaults[table] ?? [], into: &made)
            row.state = .full
            return store(row, key, made.span, hash: hash, at: place)
        }
        guard state == .absent else {
            return try merge(add, isAdd: true, into: row, hash, key, at: place)
        }
        try RowMerge.check(add: add)
        row.flags = .adds
        return store(row, key, keepsSums ? add : Span(), hash: hash, at: place)
    }

    /// Merges a patch or an add into a row that is full or partial.
    private mutating func merge(
        _ change: Span<UInt8>, isAdd: Bool, into row: NewEntry, _ hash: UInt64,
        _ key: Span<UInt8>, at place: Place
    ) throws(MalformedRecord) -> Change {
        var row = row
        let old = entry(place.reference)
        row.state = old.state
        row.deadline = old.deadline
        var merged: [UInt8] = []
        swap(&merged, &scratch)
        defer { swap(&merged, &scratch) }
        merged.removeAll(keepingCapacity: true)
        let body = unsafe old.body.bindMemory(to: UInt8.self).span
        let hasAdds = old.flags.contains(.adds)
        if old.state == .full {
            let patch = isAdd ? try RowMerge.parts(change).there : 0..<change.count
            do throws(MalformedRecord) {
                try RowMerge.row(
                    body, patch: change.extracting(patch), defaults: defaults[row.table] ?? [],
                    isStrict: !keepsSums, into: &merged)
            } catch {
                guard isAdd, !keepsSums else { throw error }
                // Somebody has put another value than a number into the database. It will judge.
                (row.state, row.flags) = (.partial, .adds)
                merged.removeAll(keepingCapacity: true)
            }
        } else if !isAdd, !hasAdds {
            try RowMerge.patch(body, change, defaults: defaults[row.table] ?? [], into: &merged)
        } else {
            row.flags = .adds
            if keepsSums {
                try RowMerge.add(
                    body, isAdd: hasAdds, change, isAdd: isAdd, defaults: defaults[row.table] ?? [],
                    into: &merged)
            } else if isAdd {
                try RowMerge.check(add: change)
            } else {
                try RowMerge.check(change)
            }
        }
        return store(row, key, merged.span, hash: hash, at: place)
    }

    /// Applies a delete, leaving a tombstone.
    package mutating func delete(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, sequence: UInt64
    ) -> Change {
        let place = findUncleared(hash, table, key)
        let row = NewEntry(table: table, state: .tombstone, sequence: sequence)
        return store(row, key, key.extracting(0..<0), hash: hash, at: place)
    }
}

extension RowTable {
    // MARK: Blocks

    /// Writes the entry: over the old block if the new one would be of the same length.
    @inline(__always)
    mutating func store(
        _ row: NewEntry, _ key: Span<UInt8>, _ body: Span<UInt8>, hash: UInt64, at place: Place
    ) -> Change {
        let shape = EntryShape(
            table: row.table, keyLength: key.count, bodyLength: body.count,
            hasDeadline: row.deadline != nil)
        if place.reference != 0 { return replace(row, shape, key, body, at: place) }
        let reference = take(shape.byteCount)
        entry(reference).write(row, shape: shape, key: key, body: body)
        index.insert(
            reference, tag: UInt32(truncatingIfNeeded: hash), at: place.slot, arena: &arena)
        return Change(
            reference: reference, oldWord: 0, oldBytes: 0, newBytes: arena.blockBytes(reference))
    }

    @inline(__always)
    private mutating func replace(
        _ row: NewEntry, _ shape: EntryShape, _ key: Span<UInt8>, _ body: Span<UInt8>,
        at place: Place
    ) -> Change {
        let old = entry(place.reference)
        let oldWord = old.word
        var row = row
        row.flags.formUnion(old.flags.intersection(.pinned))
        row.flags.insert(.visited)
        let oldBytes = arena.blockBytes(place.reference)
        if arena.fits(shape.byteCount, place.reference) {
            old.write(row, shape: shape, key: key, body: body)
            return Change(
                reference: place.reference, oldWord: oldWord, oldBytes: oldBytes,
                newBytes: oldBytes)
        }
        let reference = take(shape.byteCount)
        entry(reference).write(row, shape: shape, key: key, body: body)
        index.replace(reference, at: place.slot)
        arena.free(place.reference)
        return Change(
            reference: reference, oldWord: oldWord, oldBytes: oldBytes,
            newBytes: arena.blockBytes(reference))
    }

    @inline(__always)
    private mutating func take(_ byteCount: Int) -> Reference {
        let reference = arena.allocate(byteCount)
        // Callers that bound their memory reserve several times their bound. The others reserve all
        // that references can reach: memory is used up long before.
        precondition(reference != 0, "the rows' address space is used up")
        return reference
    }

    @inline(__always)
    package mutating func remove(_ place: Place) {
        index.remove(at: place.slot)
        arena.free(place.reference)
    }

    /// Removes a row that was found by walking over memory.
    mutating func remove(_ reference: Reference) {
        remove(place(of: reference))
    }

    /// The place of a row in the index.
    func place(of reference: Reference) -> Place {
        let entry = entry(reference)
        let key = unsafe entry.key.bindMemory(to: UInt8.self).span
        let tag = UInt32(truncatingIfNeeded: hash(table: entry.table, key: key))
        var slot = index.home(tag)
        while index.search(tag, from: &slot) != reference { slot += 1 }
        return Place(slot: slot, reference: reference)
    }

    /// Moves the blocks that are left in a page of the arena into other pages with room for them, so that the
    /// page can serve another class. References into it change.
    mutating func evacuate(page: Int) {
        var cursor = Arena.Cursor(page: page)
        while case let old = arena.next(&cursor), old != 0, Arena.page(of: old) == page {
            // Not a cleared row: the walk that frees it may already be past its new place.
            if isCleared(old) { continue }
            let new = arena.allocateElsewhere(than: old)
            guard new != 0 else { return }
            let place = place(of: old)
            arena.copyBlock(from: old, to: new)
            index.replace(new, at: place.slot)
            arena.free(old)
        }
    }
}
