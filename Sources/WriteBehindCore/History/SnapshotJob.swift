import EventLog

/// Makes one snapshot, piece by piece.
///
///     folding ──▶ merging ──▶ verifying ──▶ published
///
/// folding reads the log behind the base, and merges runs if there are many; merging writes base and changes, in order, into a temporary
/// file and syncs it; verifying reads all of that file again; publishing renames it and syncs the
/// directory. If the job is dropped at any point, nothing is left. After a crash, a temporary file may be left.
final class SnapshotJob {
    private enum Phase {
        case folding(LogReader)
        case merging(MergedRows, SnapshotWriter)
        case verifying(SnapshotReader)
    }

    let base: SnapshotReader?
    let started: UInt64
    private let target: UInt64
    private let fold: LogFold
    private let environment: LogEnvironment
    private let options: LogOptions
    private var phase: Phase
    private var temporary: RunFile?
    private var rowCount: UInt64 = 0

    /// Blocks and rows of one step: a few milliseconds each.
    private static let blocksPerStep = 8
    private static let rowsPerStep = 4000

    /// - Parameters:
    ///   - base: the snapshot to start from; nil for a log that is whole.
    ///   - target: the last sequence to include.
    init(
        from base: SnapshotReader?, through target: UInt64, memoryLimit: Int,
        _ history: StoreHistory, _ options: LogOptions
    ) throws(HistoryError) {
        self.base = base
        self.target = target
        self.options = options
        environment = history.environment
        started = environment.time.monotonicNanoseconds()
        fold = try LogFold(
            after: base.map { LogPosition($0.head) } ?? history.origin,
            preamble: base?.preamble ?? Preamble(),
            spilling: LogFold.Spilling(
                directory: environment.layout.snapshots, memoryLimit: memoryLimit,
                environment: environment))
        phase = .folding(try history.reader(from: fold.position.sequence + 1))
    }

    /// Does one piece of work. Returns the snapshot once it is published.
    func step() throws(HistoryError) -> SnapshotHead? {
        switch phase {
        case .folding(let reader):
            try gather(reader)
            return nil
        case .merging(let rows, let writer):
            try merge(rows, writer)
            return nil
        case .verifying(let reader):
            return try verify(reader)
        }
    }

    private func gather(_ reader: LogReader) throws(HistoryError) {
        for _ in 0..<Self.blocksPerStep {
            if try fold.mergeRuns(rows: Self.rowsPerStep) { return }
            guard try logErrors({ () throws(LogError) in try reader.next(through: target) }),
                let block = reader.block
            else {
                try startMerging()
                return
            }
            let payload = reader.payload
            _ = try fold.append(
                block, payload: payload.span, chainBefore: reader.chainBefore, limit: FoldLimit())
        }
    }

    private func startMerging() throws(HistoryError) {
        let rows = try MergedRows(base, fold)
        let head = SnapshotHead(
            sequence: rows.position.sequence, chain: rows.position.chain, time: rows.position.time,
            created: environment.time.wallMilliseconds(), previous: base?.head.sequence ?? 0)
        let path = StoreLayout.temporary(environment.layout.snapshot(head.sequence))
        temporary = RunFile(path, on: environment.disk)
        let writer = try snapshotErrors { () throws(SnapshotError) in
            try removeIfThere(path)
            return try SnapshotWriter(
                creating: path, head, preamble: rows.preamble, blockSize: options.blockSize,
                compressionLevel: options.compressionLevel, in: environment)
        }
        phase = .merging(rows, writer)
    }

    private func removeIfThere(_ path: String) throws(SnapshotError) {
        do throws(SystemError) {
            if try environment.disk.exists(path) { try environment.disk.remove(path) }
        } catch {
            throw .system(error)
        }
    }

    private func merge(_ rows: MergedRows, _ writer: SnapshotWriter) throws(HistoryError) {
        for _ in 0..<Self.rowsPerStep {
            guard try rows.advance() else {
                try finish(writer)
                return
            }
            let row = rows.row
            try rows.withRow { (key, body) throws(HistoryError) in
                if RowMerge.holdsWideInteger(body) {
                    throw .sumOutOfRange(table: rows.catalog[row.table]?.schema.name ?? "")
                }
                try snapshotErrors { () throws(SnapshotError) in
                    try writer.append(row, key: key, body: body)
                }
            }
        }
    }

    private func finish(_ writer: SnapshotWriter) throws(HistoryError) {
        let reader = try snapshotErrors { () throws(SnapshotError) in
            try writer.finish(isDurable: true)
            return try SnapshotReader(opening: writer.path, in: environment)
        }
        rowCount = writer.rowCount
        guard reader.head == writer.head, reader.rowCount == rowCount else {
            throw readDifferently(reader)
        }
        phase = .verifying(reader)
    }

    private func verify(_ reader: SnapshotReader) throws(HistoryError) -> SnapshotHead? {
        for _ in 0..<Self.rowsPerStep {
            let isRow = try snapshotErrors { () throws(SnapshotError) in try reader.next() }
            if isRow { continue }
            try publish(reader)
            return reader.head
        }
        return nil
    }

    private func publish(_ reader: SnapshotReader) throws(HistoryError) {
        do throws(SystemError) {
            let target = environment.layout.snapshot(reader.head.sequence)
            try environment.disk.rename(reader.path, to: target)
            try environment.disk.synchronizeDirectory(environment.layout.snapshots)
        } catch {
            throw .snapshot(.system(error))
        }
    }

    private func readDifferently(_ reader: SnapshotReader) -> HistoryError {
        .snapshot(
            .damaged(path: reader.path, offset: 0, reason: "it reads differently than written"))
    }
}
