import EventLog
import Logging

/// A database beside the store's own, which is the *primary* one.
///
/// It is brought up to date by a thread of its own, has its own watermark and its own quarantine, and holds up nobody.
/// The primary alone serves reads, decides which rows are clean, and is waited for. The log is kept for both.
package final class SecondaryDatabase: Sendable {
    /// Where it is. The store opens it before retention begins, so that nothing it needs is deleted.
    package struct Place: Sendable {
        package var name: String
        package var opener: any SinkOpener

        package init(_ name: String, _ opener: any SinkOpener) {
            self.name = name
            self.opener = opener
        }
    }

    package let name: String
    package let materializer: Materializer
    let follower: any LogFollower
    private let current: Current

    package var sink: any Sink { current.sink.withLock { $0 } }

    init(
        _ place: Place, of log: Log, _ configuration: StoreConfiguration, _ status: Status,
        alongside: @escaping Alongside
    ) throws(StoreError) {
        let opening = Opening(place: place, log: log, logger: configuration.logger)
        let (sink, watermark) = try opening.open()
        name = place.name
        let current = Current(sink)
        self.current = current
        materializer = Materializer(
            log: log, sink: sink, watermark: watermark,
            limits: Materializer.Limits(configuration),
            observer: Monitor(place.name, status, configuration.logger),
            replacement: { _ in
                try? current.sink.withLock { $0 }.close()
                let (sink, watermark) = try opening.open()
                current.sink.withLock { $0 = sink }
                return (sink, watermark)
            },
            alongside: alongside)
        follower = Follower(SinkFollower(materializer) { current.sink.withLock { $0 } })
    }

    func close() {
        // What it lacks, it gets after the next opening.
        try? sink.close()
    }

    /// The sink there is; another one may be put in its place.
    private final class Current: Sendable {
        let sink: Lock<any Sink>

        init(_ sink: any Sink) { self.sink = Lock(sink) }
    }

    /// While the database cannot be asked, the log is kept from where it was asked last, and retention goes on.
    private final class Follower: LogFollower {
        private let follower: SinkFollower
        private let last = Lock<UInt64>(0)

        init(_ follower: SinkFollower) { self.follower = follower }

        func released(checkpoint: Bool) -> UInt64 {
            guard let released = try? follower.released(checkpoint: checkpoint) else {
                return last.withLock { $0 }
            }
            // Only what survives power loss may be answered later.
            if checkpoint { last.withLock { $0 = released } }
            return released
        }

        func logDidGrow() { follower.logDidGrow() }
    }

    private struct Opening: Sendable {
        let place: Place
        let log: Log
        let logger: Logger

        func open() throws(StoreError) -> (sink: any Sink, watermark: Watermark) {
            let environment = log.environment
            let owner = SinkOwner(environment.layout, environment.storeID, disk: environment.disk)
            do throws(SinkError) {
                let sink = try place.opener.open(for: owner)
                if let reason = try objection(to: sink.watermark()) {
                    try sink.close()
                    throw SinkError(.foreignDatabase, reason)
                }
                if try sink.watermark().sequence == 0 { try fill(sink) }
                return (sink, try sink.watermark())
            } catch {
                guard error.kind == .foreignDatabase else { throw StoreError(error) }
                throw .foreignDatabase(path: place.name, reason: error.message)
            }
        }

        /// Why the log cannot go on where the database is.
        private func objection(to watermark: Watermark) -> String? {
            do throws(LogError) {
                guard try log.chain(at: watermark.sequence) != watermark.chain else { return nil }
                return "it belongs to another history than the log; give an empty database instead"
            } catch {
                if case .deleted = error, watermark.sequence == 0 { return nil }
                return
                    "the log does not go on at its sequence \(watermark.sequence): \(error); give "
                    + "an empty database instead, which is filled from a snapshot"
            }
        }

        private func fill(_ sink: any Sink) throws(SinkError) {
            let history = StoreHistory(log.environment, durable: log.durable)
            do throws(StoreError) {
                try DatabaseRebuild(history, logger).fill(sink)
            } catch {
                throw SinkError(.io, "\(error)")
            }
        }
    }

    /// Hears from its materializer; nothing of the store depends on it.
    private final class Monitor: Materializer.Observer {
        private let name: String
        private let status: Status
        private let logger: Logger

        init(_ name: String, _ status: Status, _ logger: Logger) {
            (self.name, self.status, self.logger) = (name, status, logger)
        }

        func didChangeQuarantine(_ changes: QuarantineIndex.Changes) {
            for commit in changes.added {
                logger.error(
                    "a secondary database refused a commit; it is in its quarantine",
                    metadata: [
                        "database": "\(name)", "sequence": "\(commit.firstSequence)",
                        "cause": "\(commit.error)",
                    ])
            }
        }

        func didApply(_ applied: Materializer.Applied) { isWell() }
        func didReplaceSink(_ watermark: Watermark) { isWell() }
        func catchUp(_ watermark: Watermark) {}

        private func isWell() {
            status.update { [name] in $0.secondaryErrors[name] = nil }
        }

        func didFail(_ error: any Error, attempts: Int) {
            status.update { [name] in $0.secondaryErrors[name] = "\(error)" }
            guard attempts.nonzeroBitCount == 1 else { return }
            logger.warning(
                "a secondary database could not be updated and will be tried again",
                metadata: [
                    "database": "\(name)", "cause": "\(error)", "attempts": "\(attempts)",
                ])
        }
    }
}
