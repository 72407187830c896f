import EventLog
import Logging

/// Replaces a database that was lost while the store is open: by the one that has its
/// name now, or by one that is rebuilt. Opening chooses in the same way.
final class SinkReplacement: Sendable {
    private struct State {
        /// The sequence from which on the new database holds the rows that the users' objects of the old one need.
        var carriesOverAt: UInt64?
        var hasReplacedDamaged = false
        /// Whether a damaged one was put aside, and the new one is not ready yet.
        var isReplacingDamaged = false
    }

    private let owner: SinkOwner
    private let opener: any SinkOpener
    private let engine: Engine
    private let status: Status
    private let state = Lock(State())
    private var logger: Logger { engine.configuration.logger }
    private var replaceable: (any ReplaceableSink)? { engine.sink as? any ReplaceableSink }

    init(
        _ owner: SinkOwner, _ opener: any SinkOpener, _ engine: Engine, _ status: Status
    ) {
        self.status = status
        self.owner = owner
        self.opener = opener
        self.engine = engine
    }

    /// - Throws: the reason why no database can be opened or made. The call may be made again.
    func replace(after error: SinkError) throws -> (sink: any Sink, watermark: Watermark) {
        // Reads must end before there is another file with its name.
        engine.sinkWasLost()
        try? engine.sink.close()
        let goal = engine.current.withLock { $0.goal } ?? 0
        let log = engine.log
        var database = StoreOpening.Database(owner, opener)
        if error.kind == .corrupt, !state.withLock(\.isReplacingDamaged) {
            // Only once: a disk that damages one database after another must not be filled with them.
            guard !state.withLock(\.hasReplacedDamaged) else { throw error }
            try database.replaceDamaged()
            state.withLock {
                $0.hasReplacedDamaged = true
                $0.isReplacingDamaged = true
            }
        } else {
            try database.open()
        }
        let rebuild = DatabaseRebuild(StoreHistory(log.environment, readable: log.readable), logger)
        try database.rebuildIfForeign(to: log, rebuild)
        if try database.watermark().sequence == 0 { try rebuild.fill(try database.get()) }
        let watermark = try database.watermark()
        state.withLock { $0.isReplacingDamaged = false }
        let sink = try database.get()
        engine.replaceSink(with: sink)
        noteBacklog(behind: watermark.sequence, towards: goal)
        logger.warning(
            "the database was lost and another is in its place",
            metadata: [
                "cause": "\(error)", "from": "\(watermark.sequence)",
                "kept": "\(((try? replaceable?.aside()) ?? nil)?.path ?? "nothing")",
            ])
        noteAside(through: goal)
        return (sink, watermark)
    }

    /// Measures how much the new database lacks, for health. If the log cannot be read for that, the materializer reports it.
    private func noteBacklog(behind watermark: UInt64, towards goal: UInt64) {
        guard watermark < goal, let reader = try? engine.log.reader(from: watermark + 1),
            (try? reader.next(through: goal)) == true, let block = reader.block
        else { return }
        let byteCount = try? SegmentList.byteCount(after: watermark, engine.log.environment)
        let counted = engine.backlog.lag.byteCount
        engine.backlog.startOver(
            at: watermark, towards: goal, byteCount: max(0, (byteCount ?? 0) - counted),
            since: block.time / 1000)
    }

    /// Schedules the users' objects of a database that was put aside: they are made when the new one has come to `sequence`.
    func noteAside(through sequence: UInt64) {
        do throws(SinkError) {
            guard let aside = try replaceable?.aside() else { return }
            logger.warning(
                "what users had made of a database that was put aside is made again",
                metadata: [
                    "kept": "\(aside.path)", "statements": "\(aside.statements.count)",
                    "tables": "\(aside.tables.joined(separator: ", "))",
                ])
            if let problem = aside.problem {
                logger.error(
                    "not all could be read that users had made of it",
                    metadata: ["kept": "\(aside.path)", "cause": "\(problem)"])
            }
            state.withLock { $0.carriesOverAt = max($0.carriesOverAt ?? 0, sequence) }
        } catch {
            logger.error("what users had made cannot be read", metadata: ["cause": "\(error)"])
        }
    }

    /// Makes the rest of the users' objects, if the database has come so far. Throws if the database cannot be changed at
    /// all; then it must be called again.
    func carryOver(at watermark: Watermark) throws(SinkError) {
        let isDue = state.withLock { $0.carriesOverAt.map { watermark.sequence >= $0 } ?? false }
        guard isDue else { return }
        var failures: [CarryFailure] = []
        if let sink = replaceable, let aside = try sink.aside() {
            failures = try sink.carryOver()
            if let problem = aside.problem {
                failures.append(CarryFailure(statement: "all of \(aside.path)", reason: problem))
            }
        }
        for failure in failures {
            logger.error(
                "could not be carried over to the rebuilt database",
                metadata: ["sql": "\(failure.statement)", "cause": "\(failure.reason)"])
        }
        status.update { [failures] in $0.carryFailures = failures }
        state.withLock { $0.carriesOverAt = nil }
    }
}
