package import EventLog

/// A store's past, read from its snapshots and its log; never from its database.
///
/// It takes no lock and changes nothing, so it works beside a writer, and on a store of another process. Newer
/// snapshots are tried before older ones. If none is good, the whole log is used, if it is still there.
package struct StoreHistory: Sendable {
    package let environment: LogEnvironment
    /// The last sequence that is known to be durable: history ends there.
    package let readable: UInt64
    private let spilling: LogFold.Spilling?
    private let verified: Set<UInt64>

    /// - Parameters:
    ///   - spilling: where folding may write temporary files; nil keeps all changes in memory.
    ///   - verified: snapshots that were just read to their end, and were good.
    package init(
        _ environment: LogEnvironment, readable: UInt64, spilling: LogFold.Spilling? = nil,
        verified: Set<UInt64> = []
    ) {
        self.environment = environment
        self.readable = readable
        self.spilling = spilling
        self.verified = verified
    }

    /// All rows of a past state, in the order of tables and keys.
    ///
    /// - Parameters:
    ///   - tables: the tables that matter; nil for all.
    ///   - progress: gets the number of records that were folded in.
    package func fold(
        to point: LogPoint, tables: Set<UInt32>? = nil, progress: (UInt64) -> Void = { _ in }
    ) throws(HistoryError) -> MergedRows {
        let limit = try limit(of: point)
        return try withBase(limit, point) { (base) throws(HistoryError) in
            if let base { try verify(base) }
            let fold = try LogFold(
                after: base.map { LogPosition($0.head) } ?? origin,
                preamble: base?.preamble ?? Preamble(), tables: tables, spilling: spilling)
            try read(into: fold, limit, progress)
            return try MergedRows(base, fold, tables: tables)
        }
    }

    /// Before the first commit.
    var origin: LogPosition { LogPosition(startOf: environment.storeID) }

    /// Reads the snapshot to its end first. Otherwise damage near its end would be found only after rows were handed out.
    func verify(_ base: SnapshotReader) throws(HistoryError) {
        guard !verified.contains(base.head.sequence) else { return }
        try snapshotErrors { () throws(SnapshotError) in
            try SnapshotReader.verify(base.head.sequence, in: environment)
        }
    }

    /// Runs `body` with the newest good snapshot within the limit; if that fails, with older ones, then with none.
    func withBase<R>(
        _ limit: FoldLimit, _ point: LogPoint, refused report: (HistoryError) -> Void = { _ in },
        _ body: (SnapshotReader?) throws(HistoryError) -> R
    ) throws(HistoryError) -> R {
        var refused: [String] = []
        let sequences = try snapshotErrors { () throws(SnapshotError) in
            try SnapshotReader.sequences(environment)
        }
        for sequence in sequences.reversed() where sequence <= min(limit.sequence, readable) {
            do throws(HistoryError) {
                let base = try snapshotErrors { () throws(SnapshotError) in
                    try SnapshotReader(of: sequence, in: environment)
                }
                guard limit.admits(LogPosition(base.head)) else { continue }
                return try body(base)
            } catch {
                guard error.isOfSnapshot else { throw error }
                refused.append("\(error)")
                report(error)
            }
        }
        let oldest = try bases().first
        guard oldest == 1 || (oldest == nil && sequences.isEmpty) else {
            throw .gone(wanted: "\(point)", oldest: oldest, refused: refused)
        }
        return try body(nil)
    }

    private func bases() throws(HistoryError) -> [UInt64] {
        try logErrors { () throws(LogError) in try LogReader.segmentBases(environment) }
    }

    /// Folds the log behind the fold's position in, up to the limit.
    private func read(
        into fold: LogFold, _ limit: FoldLimit, _ progress: (UInt64) -> Void = { _ in }
    ) throws(HistoryError) {
        let start = fold.position.sequence
        let end = min(readable, limit.sequence)
        try check(fold.position, end)
        guard fold.position.sequence < end else { return }
        let reader = try reader(from: fold.position.sequence + 1)
        while try logErrors({ () throws(LogError) in try reader.next(through: end) }),
            let block = reader.block
        {
            while try fold.mergeRuns(rows: .max) {}
            let payload = reader.payload
            let isWhole = try fold.append(
                block, payload: payload.span, chainBefore: reader.chainBefore, limit: limit)
            if !isWhole { return }
            progress(fold.position.sequence - start)
        }
    }

    /// Checks that the log continues the history that the fold starts from.
    func checkStart(of fold: LogFold) throws(HistoryError) {
        try read(into: fold, FoldLimit(sequence: min(readable, fold.position.sequence + 1)))
    }

    /// If no log follows the snapshot, compares it with the log's end.
    private func check(_ position: LogPosition, _ end: UInt64) throws(HistoryError) {
        guard position.sequence == end, end > 0 else { return }
        let chain = try logErrors { () throws(LogError) in
            try LogReader.chain(at: end, environment)
        }
        guard chain == position.chain else { throw .otherHistory(snapshot: end) }
    }

    /// Checks that a snapshot is of the log's history, if the log still holds the end of what the snapshot reflects.
    func checkHistory(of head: SnapshotHead) throws(HistoryError) {
        let chain: UInt64?
        do throws(LogError) {
            chain = try LogReader.chain(at: head.sequence, environment)
        } catch {
            if case .deleted = error { return }
            throw .log(error)
        }
        guard chain == head.chain else { throw .otherHistory(snapshot: head.sequence) }
    }

    func reader(from sequence: UInt64) throws(HistoryError) -> LogReader {
        do throws(LogError) {
            return try LogReader(environment, from: sequence)
        } catch {
            guard case .deleted(let wanted, let oldest) = error else { throw .log(error) }
            throw .gone(wanted: "sequence \(wanted)", oldest: oldest, refused: [])
        }
    }

    /// The meaning of a point in sequences and times.
    package func limit(of point: LogPoint) throws(HistoryError) -> FoldLimit {
        switch point {
        case .end: return FoldLimit(sequence: readable)
        case .time(let time): return FoldLimit(sequence: readable, time: time)
        case .sequence(let sequence):
            guard sequence <= readable else {
                throw .notReached(wanted: "\(point)", end: readable)
            }
            return FoldLimit(sequence: sequence)
        case .mark(let name):
            guard let mark = try marks().last(where: { $0.name == name }) else {
                throw .unknownMark(name)
            }
            return FoldLimit(sequence: mark.sequence)
        }
    }
}

extension HistoryError {
    /// Whether an older snapshot, or the whole log, may succeed.
    var isOfSnapshot: Bool {
        switch self {
        case .snapshot, .otherHistory, .gone: true
        default: false
        }
    }
}
