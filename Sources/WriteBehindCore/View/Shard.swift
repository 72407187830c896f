import DequeModule
package import EventLog

/// The part of the cache view under one lock: rows with the same first bits of the hash.
///
/// Every method is called with the shard's lock held (``CacheView``), and takes the hash of table and
/// key that chose the shard. Records are applied in the critical section in which they were appended
/// to the log, so that a key's order in the view is its order in the log (I1).
package struct Shard: ~Copyable, Sendable {
    package internal(set) var rows: RowTable
    /// Rows at or below this sequence, if not pinned, are clean.
    package private(set) var watermark: UInt64
    /// The highest sequence of any row that left without a newer record of its key: by eviction,
    /// time to live, or as a tombstone that became clean.
    package private(set) var droppedThrough: UInt64
    /// Counts changes to the database's rows that its watermark does not show: commits that left quarantine, and
    /// another database in its place.
    package internal(set) var sinkGeneration: UInt64 = 0
    let limit: Int
    let dirtyLimit: Int
    var unsaved: UnsavedBytes
    /// The counted rows that are being read: nearly always none (CountedRows.swift).
    var tracked: [TrackedRow.ID: TrackedRow] = [:]
    /// Rows of shared tables as they were read a while ago: nearly always none.
    var copies = SharedCopies()
    /// Tables that are held as a whole, and the sequence from which on. A clear from there on is in quarantine: its rows are
    /// gone, though the database still shows them.
    var heldTables: [UInt16: UInt64] = [:]
    /// Tombstones by ascending sequence. Some of them are gone by now, at most about as many as there are rows.
    private var tombstones: Deque<Tombstone> = []
    var hand = Arena.Cursor()
    /// Whether a full walk found nothing to evict, and nothing became clean since.
    var isExhausted = false
    var counters = CacheStatistics()

    /// From here on the 2 MiB that are lost to rounding in a shard do not matter; below, they would
    /// cost more memory than huge pages gain time (a tenth on random keys).
    private static let hugePagesLimit = 256 << 20

    private struct Tombstone {
        var sequence: UInt64
        var hash: UInt64
    }

    /// The result of ``lookup(_:_:_:now:)``. The reference is valid until the shard changes or its lock
    /// is released. It is 0 if there is no entry.
    package struct Lookup {
        package var state: RowState
        package var sequence: UInt64
        package var reference: RowTable.Reference
    }

    /// What became of a row that was read from the database.
    package enum Fill: Equatable, Sendable {
        /// Resident now; ``lookup(_:_:_:now:)`` finds it. A partial row was completed with it.
        case filled
        /// Current, but there is no room to keep it.
        case unkept
        /// Neither the database nor the view has such a row.
        case absent
        /// The view has an entry of its own for the key: look it up.
        case present
        /// It may be older than an acknowledged write: read the database again.
        case lookAgain
    }

    init(
        limit: Int, dirtyLimit: Int, watermark: UInt64, seed: UInt64, reserving reservation: Int
    ) throws(OutOfMemory) {
        rows = try RowTable(
            reserving: reservation, hugePages: limit >= Self.hugePagesLimit, seed: seed)
        rows.keepsSums = false
        self.limit = limit
        self.dirtyLimit = dirtyLimit
        self.watermark = watermark
        droppedThrough = watermark
        unsaved = UnsavedBytes(watermark: watermark)
    }

    /// Bytes of rows that the database does not hold yet, blocks rounded up.
    package var dirtyBytes: Int { unsaved.total }

    /// How many tombstones are kept for deletes that the database may not have seen.
    package var tombstoneCount: Int { tombstones.count }

    var statistics: CacheStatistics {
        var result = counters
        result.rows = rows.count
        result.dirtyBytes = dirtyBytes
        result.pinnedBytes = unsaved.pinned
        result.residentBytes = rows.bytesResident
        return result
    }

    func isClean(_ entry: Entry) -> Bool {
        entry.sequence <= watermark && !entry.flags.contains(.pinned)
    }

    // MARK: Reading

    /// The place of a row, or the one where it would be; a cleared row counts as none, and is freed.
    @inline(__always)
    mutating func find(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>
    ) -> RowTable.Place {
        let place = rows.find(hash, table, key)
        guard rows.cleared.mayBeHere, place.reference != 0, rows.isCleared(place.reference) else {
            return place
        }
        forget(place)
        return rows.find(hash, table, key)
    }

    /// The view's row of a key. Marks the row as used. `now` is asked for only if the row has a
    /// time to live (milliseconds of a monotonic clock).
    ///
    /// A key of a table whose clear is not materialized yet, and that was not written since, is a
    /// tombstone: the database would still show the row.
    @inline(__always)
    package mutating func lookup(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, now: @autoclosure () -> UInt64
    ) -> Lookup {
        let place = find(hash, table, key)
        guard place.reference != 0 else { return lookupAbsent(table) }
        let entry = rows.entry(place.reference)
        let flags = entry.flags
        if flags.contains(.hasDeadline), isExpired(entry, now: now()) {
            drop(place)
            return lookupAbsent(table)
        }
        if !flags.contains(.visited) { entry.set(.visited) }
        let state = entry.state
        if state == .partial { counters.misses += 1 } else { counters.hits += 1 }
        return Lookup(state: state, sequence: entry.sequence, reference: place.reference)
    }

    private mutating func lookupAbsent(_ table: UInt16) -> Lookup {
        if let cleared = pendingClear(of: table) {
            counters.hits += 1
            return Lookup(state: .tombstone, sequence: cleared, reference: 0)
        }
        counters.misses += 1
        return Lookup(state: .absent, sequence: 0, reference: 0)
    }

    /// The sequence of a table's clear that the database has not seen.
    func pendingClear(of table: UInt16) -> UInt64? {
        guard let cleared = rows.clearedAt[table] else { return nil }
        return cleared > watermark || isHeld(cleared, of: table) ? cleared : nil
    }

    /// Whether all rows of a table follow a commit into quarantine.
    func isHeldTable(_ table: UInt16) -> Bool { heldTables[table] != nil }

    /// Whether a clear is in quarantine: the database's watermark has passed it, but the database did not take it.
    private func isHeld(_ cleared: UInt64, of table: UInt16) -> Bool {
        cleared >= heldTables[table] ?? .max
    }

    private func isExpired(_ entry: Entry, now: UInt64) -> Bool {
        guard let deadline = entry.deadline else { return false }
        return now >= deadline && isClean(entry)
    }

    /// Hands out the bytes that a lookup found: a row, or the patch of a partial row.
    @inline(__always)
    package func withBody<R, E: Error>(
        _ reference: RowTable.Reference, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        try rows.withBody(reference, body)
    }

    // MARK: Writing

    /// Begins to fetch the memory that a write to a key needs. Worth it about 100 ns before the write.
    @inline(__always)
    func prefetch(_ hash: UInt64) { rows.index.prefetch(UInt32(truncatingIfNeeded: hash)) }

    /// Applies a put; the cached copy counts as absent once it is clean and past the deadline.
    @inline(__always)
    package mutating func put(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ row: Span<UInt8>,
        sequence: UInt64, deadline: UInt64? = nil
    ) {
        if rows.cleared.mayBeHere { _ = find(hash, table, key) }
        unsaved.add(
            rows.put(hash, table, key, row, sequence: sequence, deadline: deadline), sequence)
    }

    /// Applies a patch. Throws, with nothing changed, only on bytes that no codec wrote.
    package mutating func patch(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ patch: Span<UInt8>,
        sequence: UInt64
    ) throws(MalformedRecord) {
        if rows.cleared.mayBeHere { _ = find(hash, table, key) }
        // The database would still show the row that the clear removed.
        let isGone = !rows.clearedAt.isEmpty && pendingClear(of: table) != nil
        let change = try rows.patch(hash, table, key, patch, sequence: sequence, isGone: isGone)
        unsaved.add(change, sequence)
        if !tracked.isEmpty { try note(change, .patch, table, key, patch, sequence) }
    }

    /// Applies a delete: a tombstone until it is clean.
    package mutating func delete(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, sequence: UInt64
    ) {
        if rows.cleared.mayBeHere { _ = find(hash, table, key) }
        unsaved.add(rows.delete(hash, table, key, sequence: sequence), sequence)
        tombstones.append(Tombstone(sequence: sequence, hash: hash))
        if tombstones.count > 2 * rows.count + 1024 { forgetWhatWasWrittenAgain() }
    }

    /// Applies a clear. Every shard gets it, with the same sequence.
    package mutating func clear(_ table: UInt16, sequence: UInt64) {
        rows.clear(table, sequence: sequence)
        isExhausted = false
    }

    /// Frees cleared rows among the next rows of the walk. Returns whether there may be more of them.
    package mutating func freeCleared() -> Bool {
        var freed: [(word: UInt64, bytes: Int)] = []
        let mayBeMore = rows.freeCleared { freed.append(($0, $1)) }
        for row in freed { unsaved.remove(row.word, row.bytes) }
        return mayBeMore
    }

    // MARK: Filling

    /// Takes in the row that the database held at `watermark`; nil if it held none.
    ///
    /// Allowed only if nothing newer than that watermark was ever dropped here, the table was not cleared
    /// since, and ``sinkGeneration`` is what it was when the database was asked: otherwise the row could be
    /// older than an acknowledged write (I5).
    package mutating func fill(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, row: Span<UInt8>?,
        asOf watermark: UInt64, generation: UInt64, deadline: UInt64? = nil
    ) throws(MalformedRecord) -> Fill {
        let found = find(hash, table, key)
        let state = found.reference == 0 ? .absent : rows.entry(found.reference).state
        if state == .full || state == .tombstone { return .present }
        guard watermark >= droppedThrough, watermark >= rows.clearedAt[table] ?? 0,
            generation == sinkGeneration
        else { return .lookAgain }
        if isCounted(found.reference) { return .lookAgain }
        if let cleared = rows.clearedAt[table], isHeld(cleared, of: table) {
            // The database's row is from before the clear.
            guard state == .partial else { return .lookAgain }
            try completeWithoutRow(hash, table, key, at: found)
            return .filled
        }
        guard let row else {
            guard found.reference != 0, rows.hasAdds(found.reference) else { return .absent }
            try completeWithoutRow(hash, table, key, at: found)
            return .filled
        }
        counters.fills += 1
        if state == .partial {
            // The row is resident already and grows to one whole row: room need not be made for that.
            try complete(hash, table, key, base: row, at: found)
            return .filled
        }
        guard makeRoom(Self.cost(keyLength: key.count, bodyLength: row.count)),
            watermark >= droppedThrough  // making room may have dropped a row that is newer
        else { return .unkept }
        let entry = NewEntry(
            table: table, state: .full, sequence: watermark, flags: .filled, deadline: deadline)
        // Searched again: making room may have moved the place.
        _ = rows.store(entry, key, row, hash: hash, at: rows.find(hash, table, key))
        return .filled
    }

    // MARK: Leaving

    /// Drops the cached copy of a row. False if the row is dirty: then it stays (I6).
    @discardableResult
    package mutating func evict(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) -> Bool {
        let place = find(hash, table, key)
        guard place.reference != 0 else { return true }
        guard isClean(rows.entry(place.reference)) else { return false }
        drop(place)
        return true
    }

    /// Removes a clean row and notes that a row of its sequence is gone.
    mutating func drop(_ place: RowTable.Place) {
        let entry = rows.entry(place.reference)
        droppedThrough = max(droppedThrough, entry.sequence)
        forget(place)
    }

    /// Frees a row that was cleared (``RowTable/clearedAt``).
    mutating func forget(_ place: RowTable.Place) {
        unsaved.remove(rows.entry(place.reference).word, rows.arena.blockBytes(place.reference))
        rows.remove(place)
    }

    /// The sink reflects the log up to `watermark`: rows that are not above it become clean.
    package mutating func advance(to watermark: UInt64) {
        guard watermark > self.watermark else { return }
        self.watermark = watermark
        unsaved.advance(to: watermark)
        isExhausted = false
        while let first = tombstones.first, first.sequence <= watermark {
            tombstones.removeFirst()
            dropTombstone(first)
        }
    }

    private mutating func dropTombstone(_ tombstone: Tombstone) {
        guard let place = place(of: tombstone), isClean(rows.entry(place.reference)) else { return }
        drop(place)
    }

    /// Keeps the tombstone of a row that was found not to be there.
    mutating func noteTombstone(_ sequence: UInt64, _ hash: UInt64) {
        var place = tombstones.count
        while place > 0, tombstones[place - 1].sequence > sequence { place -= 1 }
        tombstones.insert(Tombstone(sequence: sequence, hash: hash), at: place)
    }

    /// The place of a tombstone; nil if the key was written again, or the tombstone is gone.
    private func place(of tombstone: Tombstone) -> RowTable.Place? {
        let tag = UInt32(truncatingIfNeeded: tombstone.hash)
        var slot = rows.index.home(tag)
        while case let reference = rows.index.search(tag, from: &slot), reference != 0 {
            let entry = rows.entry(reference)
            // Sequences are unique: it is this tombstone, or another row.
            if entry.sequence == tombstone.sequence {
                return entry.state == .tombstone
                    ? RowTable.Place(slot: slot, reference: reference) : nil
            }
            slot += 1
        }
        return nil
    }

    /// Forgets tombstones whose keys were written again: rows that are deleted again and again while the database is behind
    /// must not fill the memory.
    @inline(never)
    private mutating func forgetWhatWasWrittenAgain() {
        var all: Deque<Tombstone> = []
        swap(&all, &tombstones)
        all.removeAll { place(of: $0) == nil }
        tombstones = all
    }

    /// Lets the view keep what is added to rows that only the database has, because the database of this store does not
    /// advance any more. To be called before any row is here.
    mutating func keepSums() { rows.keepsSums = true }
}
