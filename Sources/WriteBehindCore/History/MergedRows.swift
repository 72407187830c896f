package import EventLog

/// The rows of a past state, in the order of tables and keys: a snapshot, and the changes since it.
///
/// Each row is merged from the oldest source that has it to the newest, by the rules of
/// ``RowTable``. If the newest source has the whole row, it is not copied. Memory holds one
/// block for each source.
package final class MergedRows {
    /// The position in the log that the rows reflect.
    package let position: LogPosition
    package let preamble: Preamble
    package let catalog: Catalog
    /// The sequence of the snapshot that it was made from; 0 if the whole log was folded.
    package let snapshot: UInt64
    private let clearedAt: [UInt32: UInt64]
    private let tables: Set<UInt32>?
    private let defaults: [UInt32: [[UInt8]]]
    private var sources: SourceMerge
    /// Whether patches and deletes are handed out as well, because an older source that is not here may hold the row.
    private let keepsChanges: Bool
    /// The row that ``advance()`` went to, without key and body.
    package private(set) var row = SnapshotRow(operation: .put, table: 0, sequence: 0, time: 0)
    /// The newest of the sources that have the row. It holds the row, unless the row was merged.
    private var newest = 0
    private var merged: HistoryRow?

    /// - Parameter base: the snapshot that the fold started from; nil for none.
    convenience init(
        _ base: SnapshotReader?, _ fold: LogFold, tables: Set<UInt32>? = nil
    ) throws(HistoryError) {
        var all: [any RowSource] = base.map { [FileRows($0)] } ?? []
        for run in fold.runs { all.append(try Self.rows(of: run, fold)) }
        try self.init(
            all + [MemoryRows(fold)], fold, snapshot: base?.head.sequence ?? 0, tables: tables,
            keepsChanges: false)
    }

    /// The changes of some neighbouring runs of a fold, at most one of each row.
    convenience init(merging runs: [RunFile], of fold: LogFold) throws(HistoryError) {
        var all: [any RowSource] = []
        for run in runs { all.append(try Self.rows(of: run, fold)) }
        try self.init(all, fold, snapshot: 0, tables: nil, keepsChanges: true)
    }

    private init(
        _ sources: [any RowSource], _ fold: LogFold, snapshot: UInt64, tables: Set<UInt32>?,
        keepsChanges: Bool
    ) throws(HistoryError) {
        fold.noteClears()
        position = fold.position
        preamble = fold.preamble
        catalog = try fold.catalog()
        self.snapshot = snapshot
        self.keepsChanges = keepsChanges
        clearedAt = fold.clearedAt
        self.tables = tables
        defaults = Dictionary(
            uniqueKeysWithValues: catalog.tables.map { ($0.id, RowCodec.defaults($0.schema)) })
        self.sources = SourceMerge(sources)
    }

    private static func rows(of run: RunFile, _ fold: LogFold) throws(HistoryError) -> FileRows {
        guard let environment = fold.spillingEnvironment else {
            throw .malformed(sequence: fold.position.sequence, reason: "a run without a place")
        }
        do throws(SnapshotError) {
            let reader = try SnapshotReader(opening: run.path, isRun: true, in: environment)
            return FileRows(reader, run: run)
        } catch {
            throw .snapshot(error)
        }
    }

    /// A copy of the next row, whole; nil behind the last.
    package func next() throws(HistoryError) -> HistoryRow? {
        guard try advance() else { return nil }
        if let merged { return merged }
        return try sources.source(newest).copy()
    }

    /// Goes to the next row; false behind the last.
    package func advance() throws(HistoryError) -> Bool {
        while try sources.next() {
            if try settle() { return true }
        }
        return false
    }

    /// Hands out its key and body, in place.
    package func withRow(
        _ body: (_ key: Span<UInt8>, _ body: Span<UInt8>) throws(HistoryError) -> Void
    ) throws(HistoryError) {
        if let merged { return try body(merged.key.span, merged.body.span) }
        try sources.source(newest).withRow(body)
    }

    /// Less than zero if its key comes before another, zero if it is the same.
    package func keyCompared(with other: Span<UInt8>) -> Int { sources.keyCompared(with: other) }

    /// Computes the row from the sources that have it; false if there is no row, so that it must be skipped.
    private func settle() throws(HistoryError) -> Bool {
        merged = nil
        guard let last = sources.taken.last(where: { !isDropped(sources.row($0)) }) else {
            return false
        }
        newest = last
        row = sources.row(last)
        if row.operation == .patch || row.operation == .add {
            guard let whole = try putTogether() else { return false }
            merged = whole
            row.operation = whole.row.operation
        }
        return keepsChanges || row.operation == .put
    }

    /// nil if there is no row: amounts were added to none.
    private func putTogether() throws(HistoryError) -> HistoryRow? {
        var whole: HistoryRow?
        for index in sources.taken where !isDropped(sources.row(index)) {
            whole = try merge(try sources.source(index).copy(), over: whole)
        }
        return whole
    }

    private static let noRow = "it changes a row that is not there"

    /// Whether a change is left out: its table was cleared later, or the caller does not want the table.
    private func isDropped(_ change: SnapshotRow) -> Bool {
        if let tables, !tables.contains(change.table) { return true }
        guard let cleared = clearedAt[change.table] else { return false }
        return change.sequence < cleared
    }

    /// The row that a patch or an add makes if there is none; nil if an add makes none.
    private func made(by change: HistoryRow) throws(HistoryError) -> HistoryRow? {
        let isAdd = change.row.operation == .add
        var made = change
        made.row.operation = .put
        made.body = []
        let body = change.body.span
        do throws(MalformedRecord) {
            var parts = RowMerge.Parts(origin: .known, there: 0..<body.count)
            parts.missing = parts.there
            if isAdd { parts = try RowMerge.parts(body) }
            guard let missing = parts.missing else { return nil }
            let patch = body.extracting(missing)
            let makesRow = try makesRow(patch, change.table)
            guard parts.origin != .known || makesRow else {
                // The store logs a patch only for a row that exists.
                throw MalformedRecord(offset: 0, reason: Self.noRow)
            }
            try RowMerge.row(
                madeBy: patch,
                defaults: defaults[change.table] ?? [], into: &made.body)
        } catch {
            throw .malformed(sequence: change.row.sequence, reason: error.reason)
        }
        return made
    }

    private func makesRow(
        _ patch: Span<UInt8>, _ table: UInt32
    ) throws(MalformedRecord) -> Bool {
        guard let schema = catalog[table]?.schema else { return false }
        return RowCodec.makesRow(try RowMerge.columns(of: patch), schema)
    }

    private func merge(
        _ change: HistoryRow, over old: HistoryRow?
    ) throws(HistoryError) -> HistoryRow? {
        let isAdd = change.row.operation == .add
        guard isAdd || change.row.operation == .patch else { return change }
        guard let old else { return keepsChanges ? change : try made(by: change) }
        // Without the delete, an older source's row would come back.
        if old.row.operation == .delete { return try made(by: change) ?? old }
        var merged = change
        merged.body = []
        let defaults = defaults[change.table] ?? []
        let (before, body) = (old.body.span, change.body.span)
        do throws(MalformedRecord) {
            switch (old.row.operation, isAdd) {
            case (.put, _):
                merged.row.operation = .put
                let patch = isAdd ? try RowMerge.parts(body).there : 0..<body.count
                try RowMerge.row(
                    before, patch: body.extracting(patch), defaults: defaults,
                    into: &merged.body)
            case (.patch, false):
                try RowMerge.patch(before, body, defaults: defaults, into: &merged.body)
            default:
                merged.row.operation = .add
                try RowMerge.add(
                    before, isAdd: old.row.operation == .add, body, isAdd: isAdd,
                    defaults: defaults, into: &merged.body)
            }
        } catch {
            throw .malformed(sequence: change.row.sequence, reason: error.reason)
        }
        return merged
    }
}
