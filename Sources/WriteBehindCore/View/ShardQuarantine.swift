package import EventLog

/// The rows of commits in quarantine: they stay, whatever the database holds.
extension Shard {
    /// Makes a row count as dirty at any sequence; false if there is no entry.
    package mutating func pin(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) -> Bool {
        let place = find(hash, table, key)
        guard place.reference != 0 else { return false }
        let entry = rows.entry(place.reference)
        guard !entry.flags.contains(.pinned) else { return true }
        unsaved.pin(entry.word, rows.arena.blockBytes(place.reference))
        entry.set(.pinned)
        return true
    }

    /// Takes in the state that commits in quarantine gave a row, beneath what the view already has of it, and pins the row.
    ///
    /// Like those commits, later writes to the row are not in the database. So they are either here or in
    /// `body`: changes to such a row follow into quarantine.
    ///
    /// - Parameter isAdd: whether the body of a partial row is an add.
    package mutating func restore(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ state: RowState,
        _ body: Span<UInt8>, isAdd: Bool = false, sequence: UInt64
    ) throws(MalformedRecord) {
        // The table may have been cleared since: all later writes to the row are here.
        guard sequence > rows.clearedAt[table] ?? 0 else { return }
        let place = find(hash, table, key)
        switch (place.reference == 0 ? .absent : rows.entry(place.reference).state, state) {
        // What its readers need of quarantine, they get themselves.
        case (.partial, _) where isCounted(place.reference): break
        case (.partial, .partial) where isAdd:
            let sequence = rows.entry(place.reference).sequence
            unsaved.add(rows.count(hash, table, key, at: place), sequence)
        case (.absent, .full): put(hash, table, key, body, sequence: sequence)
        case (.absent, .partial) where isAdd:
            try add(hash, table, key, body, sequence: sequence)
        case (.absent, .partial): try patch(hash, table, key, body, sequence: sequence)
        case (.absent, .tombstone): delete(hash, table, key, sequence: sequence)
        case (.partial, .full), (.partial, .partial):
            try complete(hash, table, key, base: body, state, isAdd: isAdd, at: place)
        case (.partial, .tombstone):
            // The database's row is from before the delete.
            try completeWithoutRow(hash, table, key, at: place)
        default: break  // the view has the whole row
        }
        _ = pin(hash, table, key)
    }

    /// Lays a partial row's patch or add over the row before it.
    mutating func complete(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, base: Span<UInt8>,
        _ state: RowState = .full, isAdd: Bool = false, at place: RowTable.Place
    ) throws(MalformedRecord) {
        let sequence = rows.entry(place.reference).sequence
        unsaved.add(
            try rows.complete(hash, table, key, base: base, state, isAdd: isAdd, at: place),
            sequence)
    }

    /// Completes a partial row that is known to have no row beneath it.
    mutating func completeWithoutRow(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, at place: RowTable.Place
    ) throws(MalformedRecord) {
        let change = try rows.completeWithoutRow(hash, table, key, at: place)
        let entry = rows.entry(change.reference)
        unsaved.add(change, entry.sequence)
        if entry.state == .tombstone { noteTombstone(entry.sequence, hash) }
    }

    /// Takes in that a table was cleared by a commit in quarantine.
    mutating func restoreClear(_ table: UInt16, sequence: UInt64) {
        rows.clear(table, sequence: max(sequence, rows.clearedAt[table] ?? 0))
    }

    /// Makes the rows that a clear at `since` or later removed count as deleted although the clear is at or below the
    /// watermark; nil ends that.
    mutating func hold(_ table: UInt16, since: UInt64?) { heldTables[table] = since }

    /// The database's rows may change for keys in quarantine from now on. To be called before they are unpinned.
    package mutating func sinkDidChange() {
        sinkGeneration += 1
        copies.drop()
    }

    /// Ends the effect of ``pin(_:_:_:)``; a tombstone that is clean is removed.
    package mutating func unpin(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) {
        let place = find(hash, table, key)
        guard place.reference != 0 else { return }
        let entry = rows.entry(place.reference)
        guard entry.flags.contains(.pinned) else { return }
        unsaved.unpin(entry.word, rows.arena.blockBytes(place.reference))
        entry.clear(.pinned)
        isExhausted = false
        if entry.state == .tombstone, isClean(entry) { drop(place) }
    }
}
