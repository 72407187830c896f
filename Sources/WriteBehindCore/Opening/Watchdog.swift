import CoreMetrics
package import EventLog
import Logging

/// Watches the workers: restarts the ones that died, notices the ones that hang, publishes metrics, and judges the store's
/// health.
package final class Watchdog: Sendable {
    private struct State {
        var statistics = CacheStatistics()
        var restarts: [String: Backoff] = [:]
        var restartAt: [String: UInt64] = [:]
        /// Each worker's last step, and when it was first seen in it.
        var steps: [String: (beat: UInt64, since: UInt64)] = [:]
        var changeStreams: [String: ChangeStreamMetrics] = [:]
        var projections = ProjectionWatch()
        var rates = RateMeter()
        /// Since when the store has not been healthy, monotonic nanoseconds.
        var unwellSince: UInt64?
    }

    private let engine: Engine
    private let indexBuilder: IndexBuilder
    private let materializer: Materializer
    private let status: Status
    private let metrics: StoreMetrics
    private let workers: [Worker]
    private let secondaries: [SecondaryDatabase]
    private let changeStreams: ChangeStreams
    private let state = Lock(State())

    /// The pause between two rounds, nanoseconds.
    static let interval: UInt64 = 250_000_000

    package init(_ store: OpenStore, workers: [Worker]) {
        engine = store.engine
        indexBuilder = store.indexBuilder
        materializer = store.materializer
        status = store.status
        metrics = store.metrics
        secondaries = store.secondaries
        changeStreams = store.changeStreams
        self.workers = workers
    }

    package func step() -> Next {
        let now = engine.time.monotonicNanoseconds()
        checkFence()
        noteProgress(now)
        noteSteps(now)
        if let failure = engine.sinkFailure.withLock({ $0.take() }) {
            materializer.replace(failure.sink, after: failure.error)
        }
        restartTheDead(now)
        let isWell = health.verdict == .healthy
        state.withLock { state in
            state.rates.note(
                staged: engine.log.lastSequence, materialized: engine.inDatabase, at: now)
            state.unwellSince = isWell ? nil : state.unwellSince ?? now
            let statistics = engine.view.statistics()
            metrics.publish(statistics, since: state.statistics)
            state.statistics = statistics
        }
        metrics.publish(lag)
        metrics.publish(indexBuilder.health)
        metrics.quarantined.record(engine.sink.quarantine.commitCount)
        for secondary in secondaries { secondary.metrics.publish(health(of: secondary, nil)) }
        publishChangeStreams()
        let projections = engine.projectionHealth
        state.withLock { $0.projections.publish(projections, to: engine.configuration.logger) }
        return .wait(nanoseconds: Self.interval)
    }

    /// Checks the fence even if no caller writes. Health gets the cause from the log's refusal.
    private func checkFence() {
        do throws(LogError) {
            try engine.log.checkFence()
        } catch {
            if case .fenced = error { engine.materialized.fail(StoreError(error)) }
        }
    }

    private func noteProgress(_ now: UInt64) {
        // A database with nothing to do is not stuck.
        guard engine.inDatabase >= engine.log.readable else { return }
        status.update { $0.lastProgress = now }
    }

    private func noteSteps(_ now: UInt64) {
        state.withLock { state in
            for worker in workers {
                let (beat, isStepping) = worker.heartbeat
                guard isStepping else {
                    state.steps[worker.name] = nil
                    continue
                }
                guard state.steps[worker.name]?.beat != beat else { continue }
                state.steps[worker.name] = (beat, now)
            }
        }
    }

    private func restartTheDead(_ now: UInt64) {
        for worker in workers {
            guard let death = worker.death else {
                // It was restarted, and is still alive a whole interval later.
                status.update { $0.deaths[worker.name] = nil }
                continue
            }
            let due = state.withLock { state -> Bool in
                if let at = state.restartAt[worker.name] {
                    guard now >= at else { return false }
                    state.restartAt[worker.name] = nil
                    return true
                }
                var backoff = state.restarts[worker.name] ?? Backoff(limit: 30_000_000_000)
                let random = engine.log.environment.random
                state.restartAt[worker.name] = now + backoff.next { random() }
                state.restarts[worker.name] = backoff
                return false
            }
            status.update { $0.deaths[worker.name] = death }
            guard due else { continue }
            engine.configuration.logger.error(
                "a worker died and is started again",
                metadata: ["worker": "\(worker.name)", "cause": "\(death)"])
            worker.start()
        }
    }

    var lag: Health.Lag {
        let now = engine.time.wallMilliseconds()
        let backlog = engine.backlog.lag
        return Health.Lag(
            staged: engine.log.lastSequence, durable: engine.log.durable,
            materialized: engine.inDatabase, bytes: backlog.byteCount,
            seconds: backlog.oldestTime.map { Double(now - min(now, $0)) / 1000 } ?? 0)
    }

    package var health: Health {
        let state = status.current
        let lag = self.lag
        var health = Health(
            verdict: .healthy, causes: [], survivesKill: engine.log.survivesProcessDeath, lag: lag,
            quarantined: engine.sink.quarantine.commitCount)
        func raise(_ verdict: Health.Verdict, _ cause: String) {
            health.verdict = max(health.verdict, verdict)
            health.causes.append(cause)
        }
        if let damage = state.damage { raise(.failed, damage) }
        switch state.refusal {
        case .poisoned(let error)?: raise(.failed, "syncing the log failed: \(error)")
        case let refusal? where refusal.isFinal: raise(.failed, "\(StoreError(refusal))")
        case let refusal?: raise(.degraded, "the log refuses writes: \(refusal)")
        case nil: break
        }
        if let error = state.sinkError {
            let now = engine.time.monotonicNanoseconds()
            let age = (now - min(now, state.sinkFailsSince ?? now)) / 1_000_000_000
            raise(
                .degraded,
                "the database refuses since \(age) s (\(state.sinkAttempts) tries): \(error)")
        }
        judgeSecondaries(state, &health)
        judgeChangeStreams(&health)
        health.judge(engine.projectionHealth)
        judgeIndices(&health)
        if let error = state.logError {
            raise(.degraded, "the log cannot be read (\(state.sinkAttempts) tries): \(error)")
        }
        if let concern = engine.sink.concern() { raise(.degraded, concern) }
        if engine.sinkIsBehind {
            raise(
                .degraded,
                "the database was lost and is being rebuilt; rows that are not in memory "
                    + "cannot be read meanwhile")
        }
        if health.quarantined > 0 {
            health.quarantinedBytes = engine.view.statistics().pinnedBytes
            raise(
                .degraded,
                "\(health.quarantined) commits are in quarantine; until they are resolved, their rows keep "
                    + "\(health.quarantinedBytes) of the \(engine.view.dirtyLimit) bytes that rows may take "
                    + "which the database does not hold (dirtyLimit)")
        }
        if let failure = state.carryFailures.first {
            let count = state.carryFailures.count
            raise(
                .degraded,
                "\(count) things that users made of the database could not be made again when it "
                    + "was rebuilt, among them \(failure.statement): \(failure.reason); "
                    + "database.sqlite.carry-over lists them: make them, or remove it, and reopen")
        }
        if let error = state.snapshotError { raise(.degraded, "snapshots fail: \(error)") }
        for (name, death) in state.deaths { raise(.degraded, "worker \(name) died: \(death)") }
        if !health.survivesKill, state.damage == nil {
            raise(.degraded, "writes do not survive a kill on this file system until flushed")
        }
        judgeClock(raise)
        judgeProgress(state, lag, raise)
        judgeSteps(raise)
        noteRates(in: &health)
        return health
    }

    private func noteRates(in health: inout Health) {
        let (rates, since) = state.withLock { ($0.rates.rates, $0.unwellSince) }
        health.rates = rates
        guard health.verdict != .healthy else { return }
        let now = engine.time.monotonicNanoseconds()
        health.secondsUnwell = since.map { Double(now - min(now, $0)) / 1e9 } ?? 0
    }

    private func judgeSecondaries(_ state: Status.State, _ health: inout Health) {
        let now = engine.time.monotonicNanoseconds()
        health.secondaries = secondaries.map { secondary in
            let name = secondary.name
            let cause = state.secondaryTroubles[name].map { trouble in
                let age = (now - min(now, trouble.since)) / 1_000_000_000
                return "since \(age) s (\(trouble.attempts) tries): \(trouble.cause)"
            }
            return self.health(of: secondary, cause)
        }
        for secondary in health.secondaries {
            var causes: [String] = []
            if let cause = secondary.cause {
                causes.append("the secondary database \(secondary.name) does not follow \(cause)")
            }
            if secondary.quarantined > 0 {
                causes.append(
                    "the secondary database \(secondary.name) refused \(secondary.quarantined) commits; "
                        + "they are in its own quarantine")
            }
            health.causes += causes
            if !causes.isEmpty { health.verdict = max(health.verdict, .degraded) }
        }
    }

    private func publishChangeStreams() {
        let streams = changeStreams.list(engine.tables)
        guard !streams.isEmpty else { return }
        state.withLock { state in
            for stream in streams {
                let metrics = state.changeStreams[stream.name] ?? ChangeStreamMetrics(stream.name)
                metrics.publish(stream)
                state.changeStreams[stream.name] = metrics
            }
        }
    }

    private func judgeChangeStreams(_ health: inout Health) {
        health.changeStreams = changeStreams.list(engine.tables)
        var causes = health.changeStreams.compactMap { stream in
            stream.cause.map { "the change stream \(StoredValue.text(stream.name)): \($0)" }
        }
        if let fault = changeStreams.fault { causes.append(fault) }
        health.causes += causes
        if !causes.isEmpty { health.verdict = max(health.verdict, .degraded) }
    }

    private func health(of secondary: SecondaryDatabase, _ cause: String?) -> Health.Secondary {
        Health.Secondary(
            name: secondary.name, materialized: secondary.reached,
            staged: engine.log.lastSequence,
            quarantined: secondary.sink?.quarantine.commitCount ?? 0, cause: cause)
    }

    private func judgeProgress(
        _ state: Status.State, _ lag: Health.Lag, _ raise: (Health.Verdict, String) -> Void
    ) {
        guard lag.durable > lag.materialized else { return }
        let now = engine.time.monotonicNanoseconds()
        let idle = Double(now - min(now, state.lastProgress)) / 1e9
        let limit = engine.configuration.stallAfter.seconds
        guard idle > limit else { return }
        raise(
            idle > limit * 10 ? .stalled : .degraded,
            "the database has not advanced past sequence \(lag.materialized) "
                + "for \(Int(idle)) s; \(lag.records) records are waiting")
    }
}

extension Watchdog {
    private func judgeIndices(_ health: inout Health) {
        health.indices = indexBuilder.health
        for index in health.indices {
            guard let cause = index.cause else { continue }
            health.verdict = max(health.verdict, .degraded)
            let name =
                "index \(StoredValue.text(index.name)) of table \(StoredValue.text(index.table))"
            health.causes.append(
                index.state == .stopped
                    ? "\(name) has stopped: \(cause)" : "\(name) cannot be built yet: \(cause)")
        }
    }

    /// If the log's last time is ahead of the clock by less than this, it is not reported. Milliseconds.
    private static let clockTolerance: UInt64 = 60_000

    /// Times in the log never decrease: if the clock was once ahead, all commits get the same time until it has reached that
    /// time again.
    private func judgeClock(_ raise: (Health.Verdict, String) -> Void) {
        let (now, last) = (engine.time.wallMilliseconds(), engine.log.lastTime)
        guard last > now, last - now > Self.clockTolerance else { return }
        raise(
            .degraded,
            "the log's last commit has a time \((last - now) / 1000) s ahead of the clock: one of both is or "
                + "was wrong; commits keep that time until the clock has reached it")
    }

    /// A worker that has been in one step for long hangs in a call that does not return, such as one to a dead disk.
    private func judgeSteps(_ raise: (Health.Verdict, String) -> Void) {
        let now = engine.time.monotonicNanoseconds()
        let limit = engine.configuration.stallAfter.seconds
        for (name, step) in state.withLock(\.steps).sorted(by: { $0.key < $1.key }) {
            let age = Double(now - min(now, step.since)) / 1e9
            guard age > limit else { continue }
            raise(
                age > limit * 10 ? .stalled : .degraded,
                "worker \(name) has been in one step for \(Int(age)) s")
        }
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }

    /// At least zero, at most 95 years: an endless duration must not overflow when a time is added to it.
    var bounded: Duration { max(.zero, min(self, .seconds(3_000_000_000))) }

    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = bounded.components
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
