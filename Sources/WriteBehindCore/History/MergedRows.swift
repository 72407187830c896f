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
        if row.operation == .patch {
            let whole = try putTogether()
            merged = whole
            row.operation = whole.row.operation
        }
        return keepsChanges || row.operation == .put
    }

    private func putTogether() throws(HistoryError) -> HistoryRow {
        var whole: HistoryRow?
        for index in sources.taken where !isDropped(sources.row(index)) {
            whole = try merge(try sources.source(index).copy(), over: whole)
        }
        // The store logs a patch only for a row that exists.
        guard let whole, keepsChanges || whole.row.operation == .put else {
            throw .malformed(sequence: row.sequence, reason: Self.noRow)
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

    /// The row that a patch makes if there is none; the patch as it is, if it does not make a row.
    private func made(by change: HistoryRow) throws(HistoryError) -> HistoryRow {
        guard let schema = catalog[change.row.table]?.schema else { return change }
        var made = change
        do throws(RowError) {
            let columns = try RowCodec.decodePatch(change.body.span, schema).map(\.column)
            guard RowCodec.makesRow(columns, schema) else { return change }
        } catch {
            throw .malformed(sequence: change.row.sequence, reason: "\(error)")
        }
        made.row.operation = .put
        made.body = []
        do throws(MalformedRecord) {
            try RowMerge.row(
                madeBy: change.body.span,
                defaults: defaults[change.row.table] ?? [], into: &made.body)
        } catch {
            throw .malformed(sequence: change.row.sequence, reason: error.reason)
        }
        return made
    }

    private func merge(
        _ change: HistoryRow, over old: HistoryRow?
    ) throws(HistoryError) -> HistoryRow {
        guard change.row.operation == .patch else { return change }
        guard let old else { return keepsChanges ? change : try made(by: change) }
        guard old.row.operation != .delete else {
            let made = try made(by: change)
            // Without the delete, an older source's row would come back.
            guard !keepsChanges || made.row.operation == .put else {
                throw .malformed(sequence: change.row.sequence, reason: Self.noRow)
            }
            return made
        }
        var merged = change
        merged.row.operation = old.row.operation
        merged.body = []
        do throws(MalformedRecord) {
            if old.row.operation == .put {
                try RowMerge.row(
                    old.body.span, patch: change.body.span,
                    defaults: defaults[change.table] ?? [], into: &merged.body)
            } else {
                try RowMerge.patch(old.body.span, change.body.span, into: &merged.body)
            }
        } catch {
            throw .malformed(sequence: change.row.sequence, reason: error.reason)
        }
        return merged
    }
}
