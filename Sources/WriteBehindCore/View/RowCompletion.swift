import EventLog

/// Partial rows become whole once what is beneath them is known.
extension RowTable {
    /// Completes a partial row that has no row beneath it: an add may make none, which leaves a tombstone.
    mutating func completeWithoutRow(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, at place: Place
    ) throws(MalformedRecord) -> Change {
        let old = entry(place.reference)
        var row = NewEntry(
            table: table, state: .tombstone, sequence: old.sequence, deadline: old.deadline)
        let change = unsafe old.body.bindMemory(to: UInt8.self).span
        var patch: Range<Int>? = 0..<change.count
        if old.flags.contains(.adds) { patch = try RowMerge.parts(change).missing }
        var made: [UInt8] = []
        if let patch {
            row.state = .full
            try RowMerge.row(
                madeBy: change.extracting(patch), defaults: defaults[table] ?? [], into: &made)
        }
        return store(row, key, made.span, hash: hash, at: place)
    }

    /// Makes a partial row counted. It keeps its sequence, flags and deadline.
    mutating func count(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, at place: Place
    ) -> Change {
        let old = entry(place.reference)
        let row = NewEntry(
            table: table, state: .partial, sequence: old.sequence, flags: .adds,
            deadline: old.deadline)
        return store(row, key, Span(), hash: hash, at: place)
    }

    /// Puts `base` beneath the patch or add that a partial row holds: a whole row, which makes it full, or an earlier
    /// patch or add. The row keeps its sequence, flags and deadline. Throws, with nothing changed, if the bytes are not
    /// that a codec wrote.
    mutating func complete(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, base: Span<UInt8>,
        _ state: RowState = .full, isAdd: Bool = false, at place: Place
    ) throws(MalformedRecord) -> Change {
        let old = entry(place.reference)
        let hasAdds = old.flags.contains(.adds)
        var row = NewEntry(
            table: table, state: state, sequence: old.sequence, deadline: old.deadline)
        var merged: [UInt8] = []
        swap(&merged, &scratch)
        defer { swap(&merged, &scratch) }
        merged.removeAll(keepingCapacity: true)
        let change = unsafe old.body.bindMemory(to: UInt8.self).span
        if state == .full {
            let patch = hasAdds ? try RowMerge.parts(change).there : 0..<change.count
            try RowMerge.row(
                base, patch: change.extracting(patch), defaults: defaults[table] ?? [],
                into: &merged)
        } else if !isAdd, !hasAdds {
            try RowMerge.patch(base, change, defaults: defaults[table] ?? [], into: &merged)
        } else {
            row.flags = .adds
            try RowMerge.add(
                base, isAdd: isAdd, change, isAdd: hasAdds, defaults: defaults[table] ?? [],
                into: &merged)
        }
        return store(row, key, merged.span, hash: hash, at: place)
    }
}
