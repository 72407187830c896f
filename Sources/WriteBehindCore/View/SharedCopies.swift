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

        var byteCount: Int { row.map { SharedCopies.overhead + ($0.body?.count ?? 0) } ?? 0 }
    }

    /// About what a copy takes beside its row, with its key and what was added.
    private static let overhead = 512
    /// The most bytes of copies in a shard. All are dropped then, because that needs no order.
    static let limit = 256 << 10
    /// The most bytes of notes while a row is read. With more, the read makes no copy.
    static let noteLimit = 1 << 20

    private var copies: [UInt16: [[UInt8]: Copy]] = [:]
    private var byteCount = 0

    var isEmpty: Bool { copies.isEmpty }

    /// The row, if its copy is young enough; nil if the database must be asked.
    ///
    /// - Parameter time: the earliest time at which the copy may have been read.
    func row(
        _ table: UInt16, _ key: [UInt8], since time: UInt64, _ defaults: [[UInt8]]
    ) throws(MalformedRecord) -> SharedRow? {
        guard let copy = copies[table]?[key], let row = copy.row, copy.time >= time else {
            return nil
        }
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
        if let row, copy.noteBytes <= Self.noteLimit, copy.row == nil || copy.time < time {
            (copy.row, copy.time, copy.added) = (row, time, nil)
            for note in copy.notes where note.sequence > row.watermark {
                copy.add(note.add, defaults)
            }
        }
        copy.readers -= 1
        if copy.readers == 0 { (copy.notes, copy.noteBytes) = ([], 0) }
        let isKept = copy.readers > 0 || copy.row != nil
        copies[table]?[key] = isKept ? copy : nil
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
        copies[table]?[Array(copying: key)]?.note(Array(copying: add), sequence, defaults())
    }

    /// Drops all copies. Rows that are being read keep their notes.
    private mutating func drop() {
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
    fileprivate mutating func note(
        _ add: [UInt8], _ sequence: UInt64, _ defaults: [[UInt8]]
    ) {
        if row != nil { self.add(add, defaults) }
        guard readers > 0, noteBytes <= SharedCopies.noteLimit else { return }
        notes.append((sequence, add))
        noteBytes += add.count + 48
        if noteBytes > SharedCopies.noteLimit { notes = [] }
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
