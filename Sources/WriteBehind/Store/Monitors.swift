import CoreMetrics
import EventLog
import Logging

/// Hears from the flusher: wakes who waits for `durable`, counts, and says when writes are refused.
final class LogMonitor: LogObserver {
    private let durable: WaitList
    private let backlog: BacklogMeter
    private let status: Status
    private let metrics: StoreMetrics
    private let logger: Logger

    init(
        durable: WaitList, backlog: BacklogMeter, status: Status, metrics: StoreMetrics,
        logger: Logger
    ) {
        self.durable = durable
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

    func didSync(through sequence: UInt64, nanoseconds: UInt64) {
        metrics.syncTime.recordNanoseconds(Int64(clamping: nanoseconds))
        durable.advance(to: sequence)
    }

    func didChangeRefusal(_ error: LogError?) {
        status.update { $0.refusal = error }
        guard let error else {
            return logger.notice("the log takes writes again")
        }
        logger.error("the log refuses writes", metadata: ["cause": "\(error)"])
        if case .poisoned = error {
            durable.fail(.logFailed("\(error); whether the write survives power loss is unknown"))
        }
    }
}

/// Hears from the materializer: cleans rows, wakes who waits for `materialized`, pins quarantined rows.
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

    func didChangeQuarantine() {
        // One that is behind has not refused again yet what stays in memory for its predecessor.
        guard !engine.sinkIsBehind else { return }
        let before = pins.commitCount
        let commits = engine.sink.quarantined()
        pins.follow(commits)
        metrics.quarantined.record(commits.count)
        for commit in commits.suffix(max(0, commits.count - before)) {
            logger.error(
                "the database refused a commit; it is in quarantine",
                metadata: [
                    "sequence": "\(commit.firstSequence)", "cause": "\(commit.error)",
                ])
        }
    }

    func didApply(_ applied: Materializer.Applied) {
        let sequence = applied.watermark.sequence
        catchUp(sequence)
        engine.view.advance(to: sequence)
        engine.backlog.advance(to: sequence)
        engine.materialized.advance(to: sequence)
        metrics.batchRecords.record(applied.records)
        metrics.batchTime.recordNanoseconds(Int64(clamping: applied.nanoseconds))
        if applied.changes > 0 {
            metrics.coalescing.record(Double(applied.records) / Double(applied.changes))
        }
        noteProgress()
    }

    func didReplaceSink(_ watermark: Watermark) {
        noteProgress()
        catchUp(watermark.sequence)
    }

    /// Once a new database holds what the one before it did, reads may rest on it.
    private func catchUp(_ sequence: UInt64) {
        guard engine.sinkIsBehind, sequence >= engine.materialized.reached else { return }
        replacement.carryOver()
        engine.sinkDidCatchUp()
        didChangeQuarantine()
    }

    private func noteProgress() {
        let now = engine.time.monotonicNanoseconds()
        status.update {
            $0.sinkError = nil
            $0.sinkAttempts = 0
            $0.lastProgress = now
        }
    }

    func didFail(_ error: any Error, attempts: Int) {
        metrics.retries.increment()
        let cause = "\(error)"
        status.update {
            $0.sinkError = cause
            $0.sinkAttempts = attempts
        }
        // The first of a row of failures, then ever more rarely.
        guard attempts.nonzeroBitCount == 1 else { return }
        logger.warning(
            "the database could not be updated and will be tried again",
            metadata: ["cause": "\(cause)", "attempts": "\(attempts)"])
    }
}
