package import EventLog

// Rows that amounts were added to while only the database had them. Such a row is *counted*: its entry has no value, only
// the sequence of its last change. It stays counted, whatever is added to it or patched, until it is put, deleted or read.
//
// To read it, the database must have taken its changes. A hot row may be changed again all the time meanwhile, so the
// reader *tracks* it first:
//
// 1. From then on the shard notes each change of the row, with its sequence. Let `since` be the row's sequence then.
// 2. The reader waits until the database has come as far as `since`, and reads the row, as of a watermark w >= since.
// 3. The row is what the database holds, plus the noted changes above w. It is whole from then on.
//
// For this, w must be a watermark that the shard knows: only then are the rows pinned that the database has refused up to
// there. A row that is pinned also needs its commits in quarantine, through w, between the two (QuarantinedRows.swift).

/// The changes of a counted row since a reader began to track it.
struct TrackedRow {
    struct ID: Hashable {
        var table: UInt16
        var key: [UInt8]
    }

    /// One change, or some neighbouring ones that were merged.
    fileprivate struct Change {
        var sequences: ClosedRange<UInt64>
        var isAdd: Bool
        var body: [UInt8]

        var byteCount: Int { MemoryLayout<Change>.stride + body.count }
    }

    /// All changes above this sequence are noted.
    fileprivate(set) var since: UInt64
    /// The row's last change.
    fileprivate var last: UInt64
    fileprivate var readers = 0
    private(set) var byteCount = 0
    private var changes: [Change] = []

    /// With more than this, in bytes, neighbours are merged. That takes some 10,000 changes of one row while the database
    /// takes one batch.
    static let limit = 1 << 20

    fileprivate init(since: UInt64) { (self.since, last) = (since, since) }

    fileprivate mutating func startOver(at sequence: UInt64) {
        (since, last, byteCount) = (sequence, sequence, 0)
        changes = []
    }

    /// - Parameter before: the row's sequence before the change; nil if it was not counted.
    fileprivate mutating func note(
        _ kind: ChangeKind, _ body: Span<UInt8>, _ sequence: UInt64, after before: UInt64?,
        _ defaults: [[UInt8]]
    ) throws(MalformedRecord) {
        guard before == last else { return startOver(at: sequence) }
        let change = Change(
            sequences: sequence...sequence, isAdd: kind == .add, body: Array(copying: body))
        changes.append(change)
        byteCount += change.byteCount
        last = sequence
        if byteCount > Self.limit { try mergePairs(defaults) }
    }

    private mutating func mergePairs(_ defaults: [[UInt8]]) throws(MalformedRecord) {
        var merged: [Change] = []
        for start in stride(from: 0, to: changes.count, by: 2) {
            var change = changes[start]
            if start + 1 < changes.count { try change.append(changes[start + 1], defaults) }
            merged.append(change)
        }
        changes = merged
        byteCount = merged.reduce(0) { $0 + $1.byteCount }
    }

    /// The row after the changes above a watermark; `isKnown` is false if some of them were merged with one below it.
    fileprivate func row(
        from stored: [UInt8]?, asOf watermark: UInt64, defaults: [[UInt8]]
    ) throws(MalformedRecord) -> (row: [UInt8]?, isKnown: Bool) {
        // First into one change, because a row may be long.
        var all: Change?
        for change in changes where change.sequences.upperBound > watermark {
            guard change.sequences.lowerBound > watermark else { return (nil, false) }
            if all == nil { all = change } else { try all?.append(change, defaults) }
        }
        guard let all else { return (stored, true) }
        var parts = RowMerge.Parts(origin: .known, there: 0..<all.body.count)
        parts.missing = parts.there
        if all.isAdd { parts = try RowMerge.parts(all.body.span) }
        guard let patch = stored == nil ? parts.missing : parts.there else { return (nil, true) }
        let before = stored ?? RowCodec.noValues
        var row: [UInt8] = []
        try RowMerge.row(
            before.span, patch: all.body.span.extracting(patch), defaults: defaults,
            isStrict: true, into: &row)
        return (row, true)
    }
}

extension TrackedRow.Change {
    mutating func append(_ next: Self, _ defaults: [[UInt8]]) throws(MalformedRecord) {
        var merged: [UInt8] = []
        if isAdd || next.isAdd {
            try RowMerge.add(
                body.span, isAdd: isAdd, next.body.span, isAdd: next.isAdd, defaults: defaults,
                into: &merged)
        } else {
            try RowMerge.patch(body.span, next.body.span, defaults: defaults, into: &merged)
        }
        body = merged
        isAdd = isAdd || next.isAdd
        sequences = sequences.lowerBound...next.sequences.upperBound
    }
}

extension Shard {
    /// What became of a counted row that was read from the database.
    enum CountedFill: Equatable {
        /// The row as of its last change; nil if there is none. The sequence is that of its entry; nil if memory has none.
        case row([UInt8]?, sequence: UInt64?)
        /// It has changed in other ways, or the database has: look it up again.
        case lookAgain
        /// The database has come farther than the shard knows. To be called again when that is passed on.
        case wait(UInt64)
        /// What the database refused of it must be read from the log, too.
        case isQuarantined
    }

    /// Applies an add: to the row if it is here, otherwise the row is counted.
    package mutating func add(
        _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>, _ add: Span<UInt8>, sequence: UInt64
    ) throws(MalformedRecord) {
        if rows.cleared.mayBeHere { _ = find(hash, table, key) }
        if !copies.isEmpty {
            copies.note(table, key, add, sequence, rows.defaults(of: table))
        }
        let isGone = !rows.clearedAt.isEmpty && pendingClear(of: table) != nil
        let change = try rows.add(hash, table, key, add, sequence: sequence, isGone: isGone)
        guard let change else { return }
        unsaved.add(change, sequence)
        if !tracked.isEmpty { try note(change, .add, table, key, add, sequence) }
    }

    package func isCounted(_ reference: RowTable.Reference) -> Bool {
        reference != 0 && !rows.keepsSums && rows.hasAdds(reference)
    }

    /// Notes a change for the readers of a counted row.
    mutating func note(
        _ change: RowTable.Change, _ kind: ChangeKind, _ table: UInt16, _ key: Span<UInt8>,
        _ body: Span<UInt8>, _ sequence: UInt64
    ) throws(MalformedRecord) {
        guard isCounted(change.reference) else { return }
        let before = EntryFlags(rawValue: UInt8(truncatingIfNeeded: change.oldWord))
        try tracked[TrackedRow.ID(table: table, key: Array(copying: key))]?.note(
            kind, body, sequence, after: before.contains(.adds) ? change.oldWord >> 8 : nil,
            rows.defaults(of: table))
    }

    /// Begins to track a row; nil if it is not counted. Ends with ``untrack(_:_:)``.
    ///
    /// - Returns: how far the database must have come.
    mutating func track(_ hash: UInt64, _ table: UInt16, _ key: [UInt8]) -> UInt64? {
        let reference = find(hash, table, key.span).reference
        guard isCounted(reference) else { return nil }
        let id = TrackedRow.ID(table: table, key: key)
        let sequence = rows.entry(reference).sequence
        var row = tracked[id] ?? TrackedRow(since: sequence)
        // It left memory, and came back, with no change that was noted.
        if row.last != sequence { row.startOver(at: sequence) }
        row.readers += 1
        tracked[id] = row
        return row.since
    }

    mutating func untrack(_ table: UInt16, _ key: [UInt8]) {
        let id = TrackedRow.ID(table: table, key: key)
        guard var row = tracked[id] else { return }
        row.readers -= 1
        tracked[id] = row.readers > 0 ? row : nil
    }

    /// Takes in a tracked row as the database held it at `watermark`; nil if it held none.
    ///
    /// - Parameters:
    ///   - generation: ``sinkGeneration`` before the database was read.
    ///   - isJudged: whether `row` has the row's commits in quarantine, too.
    mutating func fillCounted(
        _ hash: UInt64, _ table: UInt16, _ key: [UInt8], row: [UInt8]?, asOf watermark: UInt64,
        generation: UInt64, isJudged: Bool, deadline: UInt64?
    ) throws(MalformedRecord) -> CountedFill {
        let place = find(hash, table, key.span)
        guard isCounted(place.reference), generation == sinkGeneration,
            let changes = tracked[TrackedRow.ID(table: table, key: key)],
            changes.last == rows.entry(place.reference).sequence, watermark >= changes.since
        else { return .lookAgain }
        guard watermark <= self.watermark else { return .wait(watermark) }
        let entry = rows.entry(place.reference)
        if !isJudged, entry.flags.contains(.pinned) || isHeldTable(table) {
            return .isQuarantined
        }
        let defaults = rows.defaults(of: table)
        let (body, isKnown) = try changes.row(from: row, asOf: watermark, defaults: defaults)
        guard isKnown else { return .lookAgain }
        counters.fills += 1
        let sequence = entry.sequence
        if isClean(entry) {
            // The database has it all. So it may leave memory, or not come.
            let cost = body.map { Self.cost(keyLength: key.count, bodyLength: $0.count) }
            guard let cost, makeRoom(cost), find(hash, table, key.span).reference != 0 else {
                let place = find(hash, table, key.span)
                if place.reference != 0 { drop(place) }
                return .row(body, sequence: nil)
            }
        }
        let row = NewEntry(
            table: table, state: body == nil ? .tombstone : .full, sequence: sequence,
            deadline: body == nil ? nil : deadline)
        let content = body ?? []
        unsaved.add(
            rows.store(
                row, key.span, content.span, hash: hash, at: find(hash, table, key.span)),
            sequence)
        if body == nil { noteTombstone(sequence, hash) }
        return .row(body, sequence: sequence)
    }
}
