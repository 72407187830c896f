import EventLog
import Foundation
package import WriteBehindCore
import WriteBehindSQLite

/// Folds snapshot and log up to a point, and writes the rows into a new database or store.
package struct Replay {
    package let position: LogPosition
    /// The sequence of the snapshot from which it starts; 0 for none.
    package let snapshot: UInt64
    package let tables: [TableDefinition]
    private let store: StoreInspection
    private let rows: MergedRows
    private let fitting: FittingRows

    /// - Parameters:
    ///   - exclusive: whether to stop before the commit at the point.
    ///   - tables: the tables that matter; nil for all.
    ///   - progress: gets the number of records that were folded in.
    package init(
        _ store: StoreInspection, to point: LogPoint, exclusive: Bool, tables: Set<UInt32>?,
        progress: (UInt64) -> Void = { _ in }
    ) throws {
        self.store = store
        let history = store.history()
        try history.requireSpan(of: point)
        let point = exclusive ? try Self.before(point, history) : point
        rows = try history.fold(to: point, tables: tables, progress: progress)
        position = rows.position
        snapshot = rows.snapshot
        self.tables = rows.catalog.tables.filter { tables?.contains($0.id) ?? true }
        fitting = FittingRows(rows)
    }

    /// The rows that were not written into a database, because they have sums that do not fit into 64 bits.
    package var leftOut: [String] { fitting.leftOut }

    private static func before(_ point: LogPoint, _ history: StoreHistory) throws -> LogPoint {
        switch point {
        case .end: return .end
        case .sequence(let sequence): return .sequence(sequence - min(sequence, 1))
        case .time(let time): return .time(time - min(time, 1))
        case .mark(let name):
            guard let mark = try history.marks().last(where: { $0.name == name }) else {
                throw HistoryError.unknownMark(name)
            }
            return .sequence(mark.sequence - 1)
        }
    }

    /// When the store was made, milliseconds since 1970. It is before the times of all rows.
    package var storeCreated: UInt64 { store.identity.createdMilliseconds }

    /// The statements that make the database, each on its own line.
    package var statements: [String] {
        tables.flatMap { definition in
            let sql = TableSQL(definition: definition)
            return [sql.create + ";", sql.createExpiryIndex.map { $0 + ";" }, sql.put + ";"]
                .compactMap(\.self)
        } + [
            "UPDATE _writebehind_watermark SET sequence = \(position.sequence), "
                + "chain = \(Int64(bitPattern: position.chain));"
        ]
    }

    /// Writes a database. It gets its name only when it is complete and synced.
    ///
    /// - Parameters:
    ///   - path: there must be no file yet.
    ///   - progress: gets the number of rows that were written.
    ///   - goesOn: is called between batches; if it returns false, the work ends and leaves nothing.
    /// - Returns: how many rows were written; nil if `goesOn` has ended the work.
    package func write(
        database path: String, progress: (Int) -> Void, goesOn: () -> Bool
    ) throws -> Int? {
        let disk = store.environment.disk
        let temporary = StoreLayout.temporary(path)
        try Self.removeDatabase(temporary, disk)
        do {
            let count = try fill(temporary, progress: progress, goesOn: goesOn)
            guard let count else {
                try Self.removeDatabase(temporary, disk)
                return nil
            }
            guard try !disk.exists(path) else {
                throw SystemError(call: "rename", path: path, code: EEXIST)
            }
            try disk.rename(temporary, to: path)
            try disk.synchronizeDirectory(StoreLayout.directory(of: path))
            return count
        } catch {
            try? Self.removeDatabase(temporary, disk)
            throw error
        }
    }

    private static func removeDatabase(_ path: String, _ disk: any Disk) throws {
        for suffix in ["-wal", "-shm", ""] where try disk.exists(path + suffix) {
            try disk.remove(path + suffix)
        }
    }

    private func fill(
        _ path: String, progress: (Int) -> Void, goesOn: () -> Bool
    ) throws -> Int? {
        let identity = store.environment.storeID
        let origin = Watermark(startOf: identity)
        let sink = try SQLiteSink(
            path: path, storeID: identity.bytes, origin: origin, disk: store.environment.disk)
        defer { try? sink.close() }
        for table in tables { try sink.define(table, through: origin) }
        var count = 0
        while true {
            guard goesOn() else { return nil }
            let batch = try RowBatch(fitting, limit: 20_000, through: origin)
            guard !batch.isEmpty else { break }
            try sink.apply(batch)
            count += batch.count
            progress(count)
        }
        let end = Watermark(sequence: position.sequence, chain: position.chain)
        try sink.apply(RowBatch(through: end))
        _ = try sink.checkpoint()
        return count
    }

    /// Has a server's database filled.
    ///
    /// - Parameters:
    ///   - fill: writes the tables and the rows, all or nothing.
    ///   - progress: gets the number of rows that were handed out.
    ///   - goesOn: is asked now and then; if it returns false, `fill` gets an error.
    /// - Returns: how many rows were written; nil if `goesOn` has ended the work.
    package func write(
        progress: @escaping (Int) -> Void, goesOn: @escaping () -> Bool,
        _ fill: ([TableDefinition], RowStream) throws(SinkError) -> Void
    ) throws -> Int? {
        let end = Watermark(sequence: position.sequence, chain: position.chain)
        let stream = RowStream(fitting, through: end, progress, goesOn)
        do throws(SinkError) {
            try fill(tables, stream)
        } catch {
            if stream.state.isEnded { return nil }
            throw stream.state.failure ?? error
        }
        return stream.state.count
    }

    /// The next row, for callers that write it elsewhere.
    package func next() throws -> HistoryRow? { try rows.next() }
}

/// The rows that a database can hold.
private final class FittingRows {
    private(set) var leftOut: [String] = []
    private let rows: MergedRows

    init(_ rows: MergedRows) { self.rows = rows }

    func next() throws(HistoryError) -> HistoryRow? {
        while let row = try rows.next() {
            do throws(MalformedRecord) {
                if try WideSums(row.body) == nil { return row }
            } catch {
                throw .malformed(sequence: row.row.sequence, reason: error.reason)
            }
            let schema = rows.catalog[row.table]?.schema
            leftOut.append(schema.map { RowName.text($0, row.key) } ?? "table \(row.table)")
        }
        return nil
    }
}

/// All rows as one batch, which can be read once.
package struct RowStream: SortedChanges {
    package let through: Watermark
    package let cleared: [UInt32] = []
    fileprivate let state = State()
    private let rows: FittingRows
    private let progress: (Int) -> Void
    private let goesOn: () -> Bool

    fileprivate final class State {
        var count = 0
        /// Whether the caller has ended the work.
        var isEnded = false
        var failure: HistoryError?
    }

    fileprivate init(
        _ rows: FittingRows, through: Watermark, _ progress: @escaping (Int) -> Void,
        _ goesOn: @escaping () -> Bool
    ) {
        (self.rows, self.through, self.progress, self.goesOn) = (rows, through, progress, goesOn)
    }

    package func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError) {
        while let row = try next() {
            try body(row.table, .put, row.key.span, row.body.span)
            state.count += 1
            guard state.count.isMultiple(of: 1024) else { continue }
            progress(state.count)
            guard goesOn() else {
                state.isEnded = true
                throw SinkError(.gone, "the work was ended")
            }
        }
    }

    private func next() throws(SinkError) -> HistoryRow? {
        do throws(HistoryError) {
            return try rows.next()
        } catch {
            state.failure = error
            throw SinkError(.io, "\(error)")
        }
    }
}

/// Whole rows as a batch.
private struct RowBatch: SortedChanges {
    let through: Watermark
    let cleared: [UInt32] = []
    private var rows: [HistoryRow] = []

    /// A batch with a new watermark only.
    init(through: Watermark) {
        self.through = through
    }

    init(_ source: FittingRows, limit: Int, through: Watermark) throws {
        self.through = through
        while rows.count < limit, let row = try source.next() { rows.append(row) }
    }

    var count: Int { rows.count }
    var isEmpty: Bool { rows.isEmpty }

    func forEach(
        _ body: (
            _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
        ) throws(SinkError) -> Void
    ) throws(SinkError) {
        for row in rows { try body(row.table, .put, row.key.span, row.body.span) }
    }
}
