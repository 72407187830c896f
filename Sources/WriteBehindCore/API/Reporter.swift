import EventLog
import Foundation

/// Keeps ``WriterReport`` current while the store is not well, and carries out the tool's requests.
///
/// It has a thread of its own, because its calls may hang with the disk, and the watchdog must report just that.
final class Reporter: Sendable {
    private struct State {
        var since: UInt64?
        /// Whether there may be a report of an earlier process.
        var mayBeThere = true
        /// The last report of the databases, without the causes, whose texts change by themselves; nil before the first
        /// report.
        var databases: [SecondariesReport.Database]?
        /// The last report of the projections, without what changes by itself; nil before the first one.
        var projections: [ProjectionsReport.Projection]?
    }

    private let engine: Engine
    private let layout: StoreLayout
    private let health: @Sendable () -> Health
    private let secondaries: [SecondaryQuarantine]
    private let place: String?
    private let retry: @Sendable () -> RetryRequest.Answer
    private let state = Lock(State())

    /// The pause between two reports, nanoseconds.
    static let interval: UInt64 = 1_000_000_000

    init(
        _ store: OpenStore, health: @escaping @Sendable () -> Health,
        retry: @escaping @Sendable () -> RetryRequest.Answer
    ) {
        engine = store.engine
        layout = store.layout
        place = store.place
        self.health = health
        secondaries = store.secondaries.map {
            SecondaryQuarantine(database: $0, engine: store.engine)
        }
        self.retry = retry
    }

    func step() -> Next {
        // An error here (the disk is full, the directory is gone) is not reported: health and the logger say the
        // same as the report, and readers see how old it is.
        try? report()
        try? reportSecondaries()
        try? reportProjections()
        try? answer()
        return .wait(nanoseconds: Self.interval)
    }

    private func report() throws {
        let health = health()
        let now = engine.time.wallMilliseconds()
        let disk = engine.log.environment.disk
        guard health.verdict != .healthy else {
            guard state.withLock({ $0.since != nil || $0.mayBeThere }) else { return }
            try WriterReport.remove(layout, on: disk)
            state.withLock { ($0.since, $0.mayBeThere) = (nil, false) }
            return
        }
        let since = state.withLock { state in
            state.since = state.since ?? now
            return state.since ?? now
        }
        try WriterReport(
            process: ProcessInfo.processInfo.processIdentifier, time: now, since: since,
            verdict: health.verdict.rawValue, causes: health.causes
        ).write(layout, on: disk)
    }

    /// Only what has changed: a store at rest writes nothing.
    private func reportSecondaries() throws {
        let report = SecondariesReport(
            health(), secondaries, place: place, engine, time: engine.time.wallMilliseconds())
        var seen = report.databases + (report.primary.map { [$0] } ?? [])
        // The text of a cause says how long it has lasted, so it differs each time.
        for index in seen.indices { seen[index].cause = seen[index].cause.map { _ in "" } }
        guard state.withLock({ $0.databases != seen }) else { return }
        try replace(report, isEmpty: seen.isEmpty)
        state.withLock { [seen] in $0.databases = seen }
    }

    private func reportProjections() throws {
        let report = ProjectionsReport(
            engine.projectionHealth, time: engine.time.wallMilliseconds())
        var seen = report.projections
        for index in seen.indices { seen[index].since = nil }
        guard state.withLock({ $0.projections != seen }) else { return }
        try replace(report, isEmpty: seen.isEmpty)
        state.withLock { [seen] in $0.projections = seen }
    }

    /// An empty report has no file.
    private func replace<Report: ReportFile>(_ report: Report, isEmpty: Bool) throws {
        let disk = engine.log.environment.disk
        if isEmpty {
            try Report.remove(layout, on: disk)
        } else {
            try report.write(layout, on: disk)
        }
    }

    private func answer() throws {
        try RetryRequest.serve(layout, on: engine.log.environment.disk, retry)
    }

    /// Removes the reports when the store is closed. The report of the secondary databases stays. The state of projections is
    /// in the database.
    func end() {
        try? reportSecondaries()
        try? WriterReport.remove(layout, on: engine.log.environment.disk)
        try? ProjectionsReport.remove(layout, on: engine.log.environment.disk)
    }
}
