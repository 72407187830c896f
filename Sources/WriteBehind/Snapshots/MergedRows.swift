package import EventLog

/// The rows of a past state, in the order of tables and keys: a snapshot, and the changes since it.
///
/// Each row is put together from the oldest source that has it to the newest, by the rules of
/// ``RowTable``. Memory is that of one block a source.
package final class MergedRows {
    /// What the rows stand for.
    package let position: LogPosition
    package let preamble: Preamble
    package let catalog: Catalog
    /// The snapshot that it was made from; 0 where the whole log was folded.
    package let snapshot: UInt64
    private let clearedAt: [UInt32: UInt64]
    private let tables: Set<UInt32>?
    private let defaults: [UInt32: [[UInt8]]]
    /// Oldest first.
    private var sources: [any RowSource] = []
    private var heads: [HistoryRow?] = []
    /// A heap of the sources that have a row, the one to take next on top.
    private var heap: [Int] = []

    /// - Parameter base: the snapshot that the fold started from; nil for none.
    init(
        _ base: SnapshotReader?, _ fold: LogFold, tables: Set<UInt32>? = nil
    ) throws(HistoryError) {
        fold.noteClears()
        position = fold.position
        preamble = fold.preamble
        catalog = try fold.catalog()
        snapshot = base?.head.sequence ?? 0
        clearedAt = fold.clearedAt
        self.tables = tables
        defaults = Dictionary(
            uniqueKeysWithValues: catalog.tables.map { ($0.id, RowCodec.defaults($0.schema)) })
        if let base { sources.append(FileRows(base)) }
        for run in fold.runs {
            sources.append(try Self.rows(of: run, fold))
        }
        sources.append(MemoryRows(fold))
        for index in sources.indices {
            heads.append(try sources[index].next())
            if heads[index] != nil { push(index) }
        }
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

    /// The next row, whole; nil behind the last.
    package func next() throws(HistoryError) -> HistoryRow? {
        while let first = try take() {
            var merged: HistoryRow? = isDropped(first) ? nil : first
            while let top = heap.first, heads[top]?.isSameRow(first) == true {
                guard let change = try take() else { break }
                if !isDropped(change) { merged = try merge(change, over: merged) }
            }
            guard let row = merged, row.row.operation != .delete else { continue }
            guard row.row.operation == .put else { throw orphan(row) }
            return row
        }
        return nil
    }

    /// Whether a later clear of its table, or the caller's wish, leaves a change out.
    private func isDropped(_ change: HistoryRow) -> Bool {
        if let tables, !tables.contains(change.table) { return true }
        guard let cleared = clearedAt[change.table] else { return false }
        return change.row.sequence < cleared
    }

    private func merge(
        _ change: HistoryRow, over old: HistoryRow?
    ) throws(HistoryError) -> HistoryRow {
        guard change.row.operation == .patch, let old, old.row.operation != .delete else {
            return change
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

    /// The store logs a patch only of a row that there is.
    private func orphan(_ row: HistoryRow) -> HistoryError {
        .malformed(sequence: row.row.sequence, reason: "it changes a row that is not there")
    }

    // MARK: the heap

    private func take() throws(HistoryError) -> HistoryRow? {
        guard let top = heap.first, let row = heads[top] else { return nil }
        heads[top] = try sources[top].next()
        if heads[top] == nil {
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
        }
        sink(0)
        return row
    }

    private func comesFirst(_ one: Int, _ other: Int) -> Bool {
        guard let left = heads[one], let right = heads[other] else { return false }
        if left.isBefore(right) { return true }
        if right.isBefore(left) { return false }
        return one < other
    }

    private func push(_ source: Int) {
        heap.append(source)
        var child = heap.count - 1
        while child > 0, comesFirst(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func sink(_ start: Int) {
        var parent = start
        while true {
            var first = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && comesFirst(heap[child], heap[first]) { first = child }
            if first == parent { return }
            heap.swapAt(first, parent)
            parent = first
        }
    }
}
