import CoreMetrics
import EventLog
import Logging

/// Gets the flusher's reports: wakes the callers that wait for it and the log's followers, counts, and logs when writes are
/// refused.
///
/// The reports come on the thread that steps the flusher. That is also one that reads the past: ``Log/makeReadable(through:)``.
final class LogMonitor: LogObserver {
    private let durable: WaitList
    private let readable: WaitList
    private let logDidGrow: @Sendable () -> Void
    private let backlog: BacklogMeter
    private let status: Status
    private let metrics: StoreMetrics
    private let logger: Logger

    init(
        durable: WaitList, readable: WaitList, followers: Followers, backlog: BacklogMeter,
        status: Status, metrics: StoreMetrics, logger: Logger
    ) {
        self.durable = durable
        self.readable = readable
        // Weak, because the followers have the log, and the log has this monitor.
        logDidGrow = { [weak followers] in followers?.logDidGrow() }
        self.backlog = backlog
        self.status = status
        self.metrics = metrics
        self.logger = logger
    }

    func didWrite(_ block: BlockHeader, nanoseconds: UInt64) {
        backlog.didWrite(block)
        metrics.writes.increment(by: Int64(block.count))
        metrics.blocks.increment()
        metrics.rawBytes.increment(by: Int64(block.rawLength))
        metrics.packedBytes.increment(by: Int64(block.packedLength))
        metrics.flushTime.recordNanoseconds(Int64(clamping: nanoseconds))
    }

    func didSync(through sequence: UInt64, isReadable: Bool, nanoseconds: UInt64) {
        metrics.syncTime.recordNanoseconds(Int64(clamping: nanoseconds))
        durable.advance(to: sequence)
        guard isReadable else { return }
        readable.advance(to: sequence)
        logDidGrow()
    }

    func didChangeRefusal(_ error: LogError?) {
        status.update { $0.refusal = error }
        guard let error else {
            return logger.notice("the log takes writes again")
        }
        logger.error("the log refuses writes", metadata: ["cause": "\(error)"])
        switch error {
        case .poisoned:
            fail(.logFailed("\(error); whether the write survives power loss is unknown"))
        case .fenced, .bufferChanged: fail(StoreError(error))
        default: break
        }
    }

    /// Ends all waiting for good.
    private func fail(_ failure: StoreError) {
        durable.fail(failure)
        readable.fail(failure)
    }
}

/// Gets the materializer's reports: marks rows clean, wakes the callers that wait for `materialized`, pins quarantined rows.
final class SinkMonitor: Materializer.Observer {
    private let engine: Engine
    private let pins: Pins
    private let status: Status
    private let metrics: StoreMetrics
    private let logger: Logger
    private let replacement: SinkReplacement

    init(
        engine: Engine, pins: Pins, status: Status, metrics: StoreMetrics,
        replacement: SinkReplacement
    ) {
        self.engine = engine
        self.replacement = replacement
        self.pins = pins
        self.status = status
        self.metrics = metrics
        logger = engine.configuration.logger
    }

    func didChangeQuarantine(_ changes: QuarantineIndex.Changes) {
        report(changes.added)
        // A rebuilding database has not yet refused what the old one had. Keep those rows pinned.
        guard !engine.sinkIsBehind, !changes.keys.isEmpty else { return }
        pins.follow(changes.keys, in: engine.sink.quarantine)
    }

    private func report(_ commits: [QuarantinedCommit]) {
        for commit in commits {
            logger.error(
                "the database refused a commit; it is in quarantine",
                metadata: [
                    "sequence": "\(commit.firstSequence)", "cause": "\(commit.error)",
                ])
        }
    }

    func didApply(_ applied: Materializer.Applied) {
        didReach(applied.watermark)
        metrics.batchRecords.record(applied.records)
        metrics.batchTime.recordNanoseconds(Int64(clamping: applied.nanoseconds))
        if applied.addsWithoutRow > 0 {
            metrics.addsWithoutRow.increment(by: applied.addsWithoutRow)
        }
        if applied.changes > 0 {
            metrics.coalescing.record(Double(applied.records) / Double(applied.changes))
        }
    }

    /// A database that was filled from a snapshot may already hold everything. Then no batch follows.
    func didReplaceSink(_ watermark: Watermark) { didReach(watermark) }

    private func didReach(_ watermark: Watermark) {
        // Done before waiting tasks are resumed, so that they find the users' tables too. If it fails, it is tried again
        // at the end of the step, which then reports the error.
        try? letReadsRest(on: watermark)
        try? replacement.carryOver(at: watermark)
        engine.view.advance(to: watermark.sequence)
        engine.backlog.advance(to: watermark.sequence)
        // Also before waiting tasks are resumed, because they must find the store healthy.
        noteProgress()
        engine.materialized.advance(to: watermark.sequence)
    }

    func catchUp(_ watermark: Watermark) throws {
        try letReadsRest(on: watermark)
        try replacement.carryOver(at: watermark)
    }

    /// Once a new database holds everything that the one before it did, reads may use it, and the rows that it has refused
    /// are brought into memory.
    private func letReadsRest(on watermark: Watermark) throws {
        guard engine.sinkIsBehind, engine.hasCaughtUp(at: watermark.sequence) else { return }
        try pins.restore(engine.sink.quarantine, of: engine)
        engine.sinkDidCatchUp()
    }

    private func noteProgress() {
        let now = engine.time.monotonicNanoseconds()
        status.update {
            $0.sinkError = nil
            $0.sinkFailsSince = nil
            $0.logError = nil
            $0.sinkAttempts = 0
            $0.lastProgress = now
        }
    }

    func didFail(_ error: any Error, attempts: Int) {
        metrics.retries.increment()
        if let error = error as? LogError { return didFailToRead(error, attempts) }
        var cause = "\(error)"
        if (error as? SinkError)?.kind == .busy, let holder = engine.sink.lockHolder() {
            cause += "; \(holder)"
        }
        let now = engine.time.monotonicNanoseconds()
        status.update { [cause] in
            $0.sinkError = cause
            $0.sinkAttempts = attempts
            $0.sinkFailsSince = $0.sinkFailsSince ?? now
        }
        // Logs the first failure in a row, then the second, the fourth, the eighth and so on.
        guard attempts.nonzeroBitCount == 1 else { return }
        logger.warning(
            "the database could not be updated and will be tried again",
            metadata: ["cause": "\(cause)", "attempts": "\(attempts)"])
    }

    /// The log cannot be read. That may pass (no descriptor is free). But callers that wait for the database
    /// get the error if the log has failed or is damaged, or after a few tries.
    private func didFailToRead(_ error: LogError, _ attempts: Int) {
        let hasFailed =
            switch (error, engine.log.refusal) {
            case (.corrupt, _), (.deleted, _), (_, .poisoned?), (_, .bufferChanged?): true
            default: attempts >= Self.patience
            }
        status.update {
            $0.logError = "\(error)"
            $0.sinkAttempts = attempts
        }
        if hasFailed {
            engine.materialized.interrupt(
                .logFailed("what is not in the database yet cannot be read from it: \(error)"))
        }
        guard attempts.nonzeroBitCount == 1 else { return }
        logger.error(
            "the log cannot be read for the database and will be tried again",
            metadata: ["cause": "\(error)", "attempts": "\(attempts)"])
    }

    /// After how many failed reads of the log callers that wait get the error.
    private static let patience = 3
}
