package import EventLog
import Logging

/// A database beside the store's own, which is the *primary* one.
///
/// It is opened and brought up to date by a thread of its own, and has its own watermark and its own quarantine. Nothing
/// waits for it: if it cannot be opened, that is tried again and again. Only the primary serves reads, decides which rows
/// are clean, and is waited for. The log is kept for both.
package final class SecondaryDatabase: LogFollower {
    /// Its name, and where it is.
    package struct Place: Sendable {
        package var name: String
        package var opener: any SinkOpener

        package init(_ name: String, _ opener: any SinkOpener) {
            self.name = name
            self.opener = opener
        }
    }

    private struct State {
        /// nil until the database is opened for the first time. From then on, the materializer replaces it if needed.
        var materializer: Materializer?
        var sink: (any Sink)?
        var backoff: Backoff
        var retryAt: UInt64 = 0
        /// The sequence through which the log was released at the last checkpoint.
        var released: UInt64 = 0
        /// The last sequence that it holds.
        var reached: UInt64?
    }

    package let name: String
    /// Raised when there is something to do.
    package let work = Signal()
    let metrics: SecondaryMetrics
    private let log: Log
    private let opening: Opening
    private let limits: Materializer.Limits
    private let status: Status
    private let logger: Logger
    private let alongside: Alongside
    private let state: Lock<State>

    init(
        _ place: Place, of log: Log, _ configuration: StoreConfiguration, _ status: Status,
        alongside: @escaping Alongside
    ) {
        name = place.name
        metrics = SecondaryMetrics(place.name)
        self.log = log
        self.status = status
        self.alongside = alongside
        logger = configuration.logger
        limits = Materializer.Limits(configuration)
        opening = Opening(place: place, log: log, logger: configuration.logger)
        state = Lock(State(backoff: Backoff(limit: limits.retryLimit)))
    }

    package var sink: (any Sink)? { state.withLock { $0.sink } }

    /// The last sequence that it holds or has refused; nil if it could not be opened yet.
    package var reached: UInt64? { state.withLock { $0.reached } }

    private var materializer: Materializer? { state.withLock { $0.materializer } }

    /// Does one piece of work. Only one caller at a time.
    package func step() -> Next {
        if let materializer { return materializer.step() }
        let now = log.environment.time.monotonicNanoseconds()
        let retryAt = state.withLock { $0.retryAt }
        if now < retryAt { return .wait(nanoseconds: retryAt - now) }
        do {
            // Another store may have a database of this name by now.
            try log.checkFence()
        } catch {
            return .wait(nanoseconds: nil)
        }
        do throws(StoreError) {
            let (sink, watermark) = try opening.open()
            begin(sink, watermark)
            return .stepAgain
        } catch {
            return .wait(nanoseconds: didFail(error, now))
        }
    }

    private func begin(_ sink: any Sink, _ watermark: Watermark) {
        let materializer = Materializer(
            log: log, sink: sink, watermark: watermark, limits: limits, observer: Monitor(self),
            replacement: { [unowned self] _ in
                try? self.sink?.close()
                let (sink, watermark) = try opening.open()
                state.withLock { state in
                    state.sink = sink
                    // It may be an older copy, which needs more of the log.
                    state.released = min(state.released, watermark.sequence)
                }
                return (sink, watermark)
            },
            alongside: alongside, work: work)
        state.withLock {
            $0.sink = sink
            $0.materializer = materializer
        }
        didReach(watermark)
    }

    private func didFail(_ error: StoreError, _ now: UInt64) -> UInt64 {
        let random = log.environment.random
        let (pause, attempts) = state.withLock { state in
            let pause = state.backoff.next { random() }
            state.retryAt = now + pause
            return (pause, state.backoff.attempts)
        }
        note(
            "\(error)", attempts, "a secondary database could not be opened and will be tried again"
        )
        return pause
    }

    /// Requests that `sequence` is applied as soon as possible.
    package func request(_ sequence: UInt64) {
        materializer?.request(sequence)
        work.raise()
    }

    /// Tries the commits again that it has refused. Blocks its thread.
    package func retryQuarantine() throws(StoreError) -> (applied: Int, left: Int) {
        guard let materializer, let sink else {
            throw .database("the secondary database \(name) is not open")
        }
        let retry = QuarantineRetry(
            log, materializer, sink,
            check: { [self] () throws(StoreError) in
                try QuarantineRetry.check(log)
                guard self.sink === sink else {
                    throw .database(
                        "the secondary database \(name) was replaced meanwhile; try again")
                }
            })
        return try materializer.whileNoOtherRetries {
            () throws(StoreError) -> (applied: Int, left: Int) in try retry.run()
        }
    }

    /// Makes everything that it holds survive the end of its server; false if that failed.
    package func keep(within nanoseconds: UInt64) -> Bool {
        guard let materializer, let sink else { return false }
        guard let error = materializer.keep(sink, within: nanoseconds) else { return true }
        if error.kind != .busy {
            note("\(error)", 1, "a secondary database may forget what it was given last")
        }
        return false
    }

    package func close() {
        // The rest of the log is applied after the next opening.
        try? sink?.close()
    }

    // MARK: the log's follower

    /// As long as the database cannot be reached, the last answer is returned again, so the log is kept from there on, and
    /// retention goes on.
    package func released(checkpoint: Bool) -> UInt64 {
        guard
            let (materializer, sink) = state.withLock({ state in
                state.materializer.flatMap { materializer in state.sink.map { (materializer, $0) } }
            })
        else { return 0 }
        let follower = SinkFollower(materializer) { self.sink ?? sink }
        guard let released = try? follower.released(checkpoint: checkpoint) else {
            return state.withLock { $0.released }
        }
        // Only an answer that is still right after power loss may be returned again later.
        if checkpoint { state.withLock { $0.released = released } }
        return released
    }

    package func logDidGrow() { work.raise() }

    // MARK: reports

    private func didReach(_ watermark: Watermark) {
        state.withLock { $0.reached = watermark.sequence }
        status.update { [name] in $0.secondaryTroubles[name] = nil }
    }

    private func note(_ cause: String, _ attempts: Int, _ message: Logger.Message) {
        let now = log.environment.time.monotonicNanoseconds()
        status.update { [name] in
            let since = $0.secondaryTroubles[name]?.since ?? now
            $0.secondaryTroubles[name] = Status.Trouble(
                cause: cause, since: since, attempts: attempts)
        }
        guard attempts.nonzeroBitCount == 1 else { return }
        logger.warning(
            message,
            metadata: ["database": "\(name)", "cause": "\(cause)", "attempts": "\(attempts)"])
    }

    /// Gets its materializer's reports. Nothing in the store depends on them.
    private struct Monitor: Materializer.Observer {
        private unowned let database: SecondaryDatabase

        init(_ database: SecondaryDatabase) { self.database = database }

        func didChangeQuarantine(_ changes: QuarantineIndex.Changes) {
            for commit in changes.added {
                database.logger.error(
                    "a secondary database refused a commit; it is in its quarantine",
                    metadata: [
                        "database": "\(database.name)", "sequence": "\(commit.firstSequence)",
                        "cause": "\(commit.error)",
                    ])
            }
        }

        func didApply(_ applied: Materializer.Applied) { database.didReach(applied.watermark) }
        func didReplaceSink(_ watermark: Watermark) { database.didReach(watermark) }
        func catchUp(_ watermark: Watermark) {}

        func didFail(_ error: any Error, attempts: Int) {
            database.note(
                "\(error)", attempts,
                "a secondary database could not be updated and will be tried again")
        }
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
                if let reason = try objection(to: sink.watermark(), sink.quarantine) {
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
        private func objection(
            to watermark: Watermark, _ quarantine: QuarantineIndex
        ) -> String? {
            do throws(LogError) {
                guard try log.chain(at: watermark.sequence) != watermark.chain else {
                    // The commits that it has refused are only in the log.
                    if !quarantine.isEmpty { _ = try log.commit(at: quarantine.lowest) }
                    return nil
                }
                return "it belongs to another history than the log; give an empty database instead"
            } catch {
                if case .deleted = error, watermark.sequence == 0 { return nil }
                return
                    "the log does not hold what it needs from sequence "
                    + "\(quarantine.isEmpty ? watermark.sequence : quarantine.lowest) on: \(error); give "
                    + "an empty database instead, which is filled from a snapshot"
            }
        }

        private func fill(_ sink: any Sink) throws(SinkError) {
            let history = StoreHistory(log.environment, readable: log.readable)
            do throws(StoreError) {
                try DatabaseRebuild(history, logger).fill(sink)
            } catch {
                throw SinkError(.io, "\(error)")
            }
        }
    }
}
