import EventLog

extension Shard {
    /// Like ``lookup(_:_:_:now:)``, for a commit that checks what it has read: counts as no use.
    package mutating func peek(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) -> Lookup {
        let place = rows.find(hash, table, key)
        guard place.reference != 0 else {
            if let cleared = pendingClear(of: table) {
                return Lookup(state: .tombstone, sequence: cleared, reference: 0)
            }
            return Lookup(state: .absent, sequence: 0, reference: 0)
        }
        let entry = rows.entry(place.reference)
        return Lookup(state: entry.state, sequence: entry.sequence, reference: place.reference)
    }

    /// Whether what the database held at `watermark` still holds for keys that the view knows nothing of.
    func isCurrent(_ table: UInt16, asOf watermark: UInt64) -> Bool {
        watermark >= droppedThrough && watermark >= rows.clearedAt[table] ?? 0
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
    /// Hands out key and body of every whole row of a table.
    func forEachFullRow<E: Error>(
        of table: UInt16, _ body: (Span<UInt8>, Span<UInt8>) throws(E) -> Void
    ) throws(E) {
        for reference in rows.references() {
            guard rows.table(reference) == table, rows.state(reference) == .full else { continue }
            try rows.withKey(reference) { (key) throws(E) in
                try rows.withBody(reference) { (row) throws(E) in try body(key, row) }
            }
        }
    }
}
