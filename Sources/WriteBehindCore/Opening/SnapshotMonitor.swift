import EventLog
import Logging
import Metrics

/// Gets the snapshotter's reports: counts, and logs every deletion.
final class SnapshotMonitor: Snapshotter.Observer {
    private let status: Status
    private let metrics: StoreMetrics
    private let logger: Logger

    init(status: Status, metrics: StoreMetrics, logger: Logger) {
        self.status = status
        self.metrics = metrics
        self.logger = logger
    }

    func didTake(_ head: SnapshotHead, rows: UInt64, byteCount: Int, nanoseconds: UInt64) {
        didRecover()
        metrics.snapshots.increment()
        metrics.snapshotBytes.record(byteCount)
        metrics.snapshotTime.recordNanoseconds(Int64(clamping: nanoseconds))
        logger.info(
            "took a snapshot",
            metadata: [
                "sequence": "\(head.sequence)", "rows": "\(rows)", "bytes": "\(byteCount)",
                "milliseconds": "\(nanoseconds / 1_000_000)",
            ])
    }

    func didDelete(_ path: String, byteCount: Int, reason: String) {
        metrics.deletedFiles.increment()
        metrics.deletedBytes.increment(by: Int64(byteCount))
        logger.notice(
            "deleted a file that is no longer needed",
            metadata: ["path": "\(path)", "bytes": "\(byteCount)", "reason": "\(reason)"])
    }

    func didMerge(_ paths: [String]) {
        metrics.mergedSegments.increment(by: Int64(paths.count))
        logger.info(
            "merged small segments",
            metadata: ["into": "\(paths.first ?? "")", "segments": "\(paths.count)"])
    }

    func didRecover() {
        status.update { $0.snapshotError = nil }
    }

    func didFail(_ error: any Error, attempts: Int) {
        status.update { $0.snapshotError = "\(error)" }
        guard attempts.nonzeroBitCount == 1 else { return }
        logger.error(
            "a snapshot could not be taken, or old files not be tidied up",
            metadata: ["cause": "\(error)", "attempts": "\(attempts)"])
    }
}

extension Snapshotter {
    convenience init(
        engine: Engine, followers: Followers, status: Status, metrics: StoreMetrics
    ) {
        let configuration = engine.configuration
        var limits = Limits(
            automaticBytes: configuration.snapshotAfter,
            rule: RetentionRule(
                snapshots: configuration.snapshotsKept,
                age: configuration.logKept.nanoseconds / 1_000_000,
                bytes: configuration.logBytesKept))
        limits.memory = max(1 << 20, configuration.snapshotMemory)
        limits.retryLimit = configuration.retryLimit.nanoseconds
        self.init(
            log: engine.log, limits: limits,
            observer: SnapshotMonitor(
                status: status, metrics: metrics, logger: configuration.logger),
            needed: { [followers] in try followers.released(checkpoint: $0) })
    }
}
