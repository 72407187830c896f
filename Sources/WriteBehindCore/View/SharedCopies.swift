import EventLog

/// Copies of rows of shared tables, for reads that take a row as it was a while ago.
///
/// A copy is what the database held as of a watermark, plus what this store has added above it. What other stores add
/// meanwhile is missing from it. A reader of the database notes this store's adds from before it asks:
///
/// 1. It begins: from then on the adds to the row are noted, with their sequences.
/// 2. It waits until the database has taken all adds from before, and reads the row, as of a watermark.
/// 3. It ends: the copy is the row and the noted adds above that watermark. Later ones are merged in as they come.
struct SharedCopies {
    fileprivate struct Copy {
        var row: SharedRow?
        /// When the read of ``row`` began, nanoseconds of the monotonic clock.
        var time: UInt64 = 0
        /// What this store has added above the row's watermark, as one add.
        var added: [UInt8]?
        var readers = 0
        var notes: [(sequence: UInt64, add: [UInt8])] = []
        var noteBytes = 0
        /// Notes through this sequence were dropped.
        var droppedThrough: UInt64 = 0
        /// How many adds came since it was last read.
        var unread = 0

        var byteCount: Int {
            row.map { SharedCopies.overhead + ($0.body?.count ?? 0) + (added?.count ?? 0) } ?? 0
        }
    }

    /// About what a copy takes beside its row and what was added, with its key.
    private static let overhead = 256
    /// The most bytes of copies in a shard. All are dropped then, because that needs no order.
    static let limit = 256 << 10
    /// The most bytes of notes while a row is read. With more, the first ones are dropped, and a read that needs them makes
    /// no copy.
    static let noteLimit = 1 << 20
    /// After this many adds without a read, a copy is not worth its cost any more.
    static let unreadLimit = 10_000

    private var copies: [UInt16: [[UInt8]: Copy]] = [:]
    private var byteCount = 0

    var isEmpty: Bool { copies.isEmpty }

    /// The row, if its copy is young enough; nil if the database must be asked.
    ///
    /// - Parameter time: the earliest time at which the copy may have been read.
    mutating func row(
        _ table: UInt16, _ key: [UInt8], since time: UInt64, _ defaults: [[UInt8]]
    ) throws(MalformedRecord) -> SharedRow? {
        guard let copy = copies[table]?[key], let row = copy.row, copy.time >= time else {
            return nil
        }
        copies[table]?[key]?.unread = 0
        guard let added = copy.added else { return row }
        let parts = try RowMerge.parts(added.span)
        guard let patch = row.body == nil ? parts.missing : parts.there else {
            return SharedRow(body: nil, watermark: row.watermark)
        }
        let before = row.body ?? RowCodec.noValues
        var sum: [UInt8] = []
        try RowMerge.row(
            before.span, patch: added.span.extracting(patch), defaults: defaults, into: &sum)
        return SharedRow(body: sum, watermark: row.watermark)
    }

    /// Begins to note the adds to a row. Ends with ``end(_:_:_:_:_:)``.
    mutating func begin(_ table: UInt16, _ key: [UInt8]) {
        copies[table, default: [:]][key, default: Copy()].readers += 1
    }

    /// Makes a copy of what was read.
    ///
    /// - Parameters:
    ///   - row: what the database held; nil if it could not be read.
    ///   - time: when the read began.
    mutating func end(
        _ table: UInt16, _ key: [UInt8], _ row: SharedRow?, at time: UInt64, _ defaults: [[UInt8]]
    ) {
        guard var copy = copies[table]?[key] else { return }
        byteCount -= copy.byteCount
        let isWhole = row.map { $0.watermark >= copy.droppedThrough } ?? false
        if let row, isWhole, copy.row == nil || copy.time < time {
            (copy.row, copy.time, copy.added, copy.unread) = (row, time, nil, 0)
            for note in copy.notes where note.sequence > row.watermark {
                copy.add(note.add, defaults)
            }
        }
        copy.readers -= 1
        if copy.readers == 0 { (copy.notes, copy.noteBytes) = ([], 0) }
        copies[table]?[key] = copy.isNeeded ? copy : nil
        byteCount += copy.byteCount
        if copies[table]?.isEmpty ?? false { copies[table] = nil }
        if byteCount > Self.limit { drop() }
    }

    /// Notes an add of this store's.
    mutating func note(
        _ table: UInt16, _ key: Span<UInt8>, _ add: Span<UInt8>, _ sequence: UInt64,
        _ defaults: @autoclosure () -> [[UInt8]]
    ) {
        guard copies[table] != nil else { return }
        let key = Array(copying: key)
        let change = copies[table]?[key]?.note(Array(copying: add), sequence, defaults())
        guard let change else { return }
        byteCount += change
        if copies[table]?[key]?.isNeeded == false {
            copies[table]?[key] = nil
            if copies[table]?.isEmpty ?? false { copies[table] = nil }
        }
        if byteCount > Self.limit { drop() }
    }

    /// Drops all copies. Rows that are being read keep their notes.
    mutating func drop() {
        for (table, rows) in copies {
            let left = rows.filter { $1.readers > 0 }.mapValues { copy in
                var copy = copy
                (copy.row, copy.added) = (nil, nil)
                return copy
            }
            copies[table] = left.isEmpty ? nil : left
        }
        byteCount = 0
    }
}

extension SharedCopies.Copy {
    fileprivate var isNeeded: Bool { readers > 0 || row != nil }

    /// - Returns: by how much its bytes have grown.
    fileprivate mutating func note(
        _ add: [UInt8], _ sequence: UInt64, _ defaults: [[UInt8]]
    ) -> Int {
        let before = byteCount
        unread += 1
        if row != nil { self.add(add, defaults) }
        if unread > SharedCopies.unreadLimit { (row, added) = (nil, nil) }
        guard readers > 0 else { return byteCount - before }
        notes.append((sequence, add))
        noteBytes += add.count + 48
        if noteBytes > SharedCopies.noteLimit {
            (notes, noteBytes, droppedThrough) = ([], 0, sequence)
        }
        return byteCount - before
    }

    /// Merges an add in. A sum that does not fit into 128 bits leaves no copy: the next reader asks the database.
    fileprivate mutating func add(_ add: [UInt8], _ defaults: [[UInt8]]) {
        guard let old = added else {
            added = add
            return
        }
        do throws(MalformedRecord) {
            var merged: [UInt8] = []
            try RowMerge.add(
                old.span, isAdd: true, add.span, isAdd: true, defaults: defaults, into: &merged)
            added = merged
        } catch {
            (row, added) = (nil, nil)
        }
    }
}

/// A row of a shared table: what the database held as of a watermark, in a copy with this store's adds above it.
package struct SharedRow: Sendable {
    /// nil if there is no such row.
    package var body: [UInt8]?
    var watermark: UInt64
}
