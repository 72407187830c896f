import EventLog

extension Shard {
    /// Like ``lookup(_:_:_:now:)``, for a commit that checks what it has read. Does not count as use of the row.
    package mutating func peek(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) -> Lookup {
        let place = find(hash, table, key)
        guard place.reference != 0 else {
            if let cleared = pendingClear(of: table) {
                return Lookup(state: .tombstone, sequence: cleared, reference: 0)
            }
            return Lookup(state: .absent, sequence: 0, reference: 0)
        }
        let entry = rows.entry(place.reference)
        return Lookup(state: entry.state, sequence: entry.sequence, reference: place.reference)
    }

    /// Whether the database's rows at `watermark` are still current for keys that are not in the view.
    func isCurrent(_ table: UInt16, asOf watermark: UInt64) -> Bool {
        watermark >= droppedThrough && watermark >= rows.clearedAt[table] ?? 0
    }

    /// Whether what the database held at `watermark` of a row is still current: the view has nothing of the row, or counts
    /// it, and knows what the database refused up to there.
    func holdsNothingNewer(
        than watermark: UInt64, of table: UInt16, _ counted: RowTable.Reference?
    ) -> Bool {
        guard let counted else { return isCurrent(table, asOf: watermark) }
        let entry = rows.entry(counted)
        return entry.sequence <= watermark && watermark <= self.watermark
            && !entry.flags.contains(.pinned) && !isHeldTable(table)
    }

    /// Whether a row that a lookup found was read from the database, not written.
    func isFilled(_ reference: RowTable.Reference) -> Bool {
        rows.entry(reference).flags.contains(.filled)
    }

    /// See ``RowTable/setDefaults(table:_:)``.
    mutating func setDefaults(table: UInt16, _ values: [[UInt8]]) {
        rows.setDefaults(table: table, values)
    }
}

extension Shard {
    /// Hands out key and body of a table's whole, dirty rows among the next rows of a walk.
    ///
    /// Returns where to go on; nil at the end. Rows may move meanwhile, so a row may be missed.
    func forSomeDirtyRows(
        of table: UInt16, from cursor: Arena.Cursor, _ body: (Span<UInt8>, Span<UInt8>) -> Void
    ) -> Arena.Cursor? {
        var cursor = cursor
        let limit = cursor.page + RowTable.pagesPerStep
        for _ in 0..<RowTable.rowsPerStep {
            let reference = rows.arena.next(&cursor, before: limit)
            guard reference != 0 else { return cursor == Arena.Cursor() ? nil : cursor }
            let entry = rows.entry(reference)
            guard entry.state == .full, entry.table == table, !isClean(entry),
                !rows.isCleared(reference)
            else { continue }
            rows.withKey(reference) { key in rows.withBody(reference) { row in body(key, row) } }
        }
        return cursor
    }
}
