import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Why a store's database is behind its log, as far as another process than the writer can see it.
package struct StoreDiagnosis: Sendable, Equatable {
    package struct Cause: Sendable, Equatable {
        package enum Kind: String, Sendable, CaseIterable {
            /// A process holds a lock that the writer needs.
            case locked
            /// The file system has no room.
            case full
            /// A reader keeps the database's WAL from being reset.
            case reader
            /// The writer's process does not run: it is stopped, or hangs in a call.
            case process
            /// No process has the store open.
            case unattended
            /// The writer's own report.
            case reported
        }

        package var kind: Kind
        package var text: String
        /// Milliseconds since 1970; nil if that is not known.
        package var since: UInt64?
        /// The process that is in the way.
        package var process: Int?
    }

    package private(set) var causes: [Cause] = []
    /// Whether the store is being written and its database does not take any records.
    package private(set) var isStalled = false

    /// A checkpoint, which comes about every second, would have kept a WAL of this length smaller.
    private static let longWAL = 64 << 20
    /// How old a writer's report may be, milliseconds; it is written every second.
    private static let reportAge: UInt64 = 10_000

    /// - Parameter limit: the store counts as stalled if nothing was applied for this long, milliseconds.
    package init(_ summary: StoreSummary, stalledAfter limit: UInt64) {
        let store = summary.store
        switch store.state {
        case .live(let process):
            let writer = process.map { ProcessLook($0) }
            add(writer, summary)
            if store.database.isFile {
                add(DatabaseLocks(of: store.layout.database), writer: process, summary)
            }
            addRoom(summary)
            addReport(summary, writer: process)
            judge(summary, limit)
        case .ended, .closed:
            guard let lag = summary.lag, lag.records > 0 else { break }
            causes.append(
                Cause(
                    kind: .unattended,
                    text:
                        "no process has the store open; the next open brings the database up to date",
                    since: nil, process: nil))
            if store.state == .ended { addLastWords(summary) }
            addRoom(summary)
        }
    }

    private mutating func add(_ writer: ProcessLook?, _ summary: StoreSummary) {
        guard let writer else { return }
        let text: String? =
            switch writer.state {
            case "T", "t": "the writer, process \(writer.name), is stopped (SIGSTOP or a debugger)"
            case "D": "the writer, process \(writer.name), waits for a disk at this moment"
            case "Z": "the writer, process \(writer.name), has ended"
            default: nil
            }
        guard let text, writer.state != "D" || lateness(summary) > 1000 else { return }
        causes.append(Cause(kind: .process, text: text, since: nil, process: writer.number))
        // A stopped writer cannot notice that it is late.
        if writer.state == "T" || writer.state == "t" { isStalled = true }
    }

    /// For how long records have waited while nothing was applied, milliseconds.
    private func lateness(_ summary: StoreSummary) -> UInt64 {
        // When another database last took something is not known.
        guard let lag = summary.lag, lag.records > 0, let oldest = lag.since,
            summary.store.database.contents != nil
        else { return 0 }
        let applied = summary.appliedAt ?? 0
        return summary.time - min(summary.time, max(oldest, applied))
    }

    private mutating func add(_ locks: DatabaseLocks, writer: Int?, _ summary: StoreSummary) {
        // Another process may hold the lock for a moment, as any writer of the database does.
        if lateness(summary) > 1000, let holder = locks.writer {
            let isOwn = holder == writer
            let text =
                isOwn
                ? "a transaction of the writer's own process, \(ProcessLook(holder).name), holds "
                    + "the database's write lock"
                : "the database is locked by process \(ProcessLook(holder).name), which holds "
                    + "its write lock"
            causes.append(
                Cause(kind: .locked, text: text, since: summary.appliedAt, process: holder))
        }
        guard summary.walBytes > Self.longWAL else { return }
        for reader in locks.readers where reader != writer {
            causes.append(
                Cause(
                    kind: .reader,
                    text: "process \(ProcessLook(reader).name) reads the database in a long "
                        + "transaction, so its WAL of \(summary.walBytes >> 20) MiB cannot be "
                        + "reset", since: nil, process: reader))
        }
    }

    private mutating func addRoom(_ summary: StoreSummary) {
        guard let room = summary.room, room.isFull else { return }
        causes.append(
            Cause(
                kind: .full, text: "the file system is full: \(room.free >> 10) KiB are free",
                since: nil, process: nil))
    }

    private mutating func addReport(_ summary: StoreSummary, writer: Int?) {
        guard let report = summary.report, writer == nil || writer == Int(report.process) else {
            return
        }
        let isFresh = report.time + Self.reportAge > summary.time
        for text in report.causes {
            causes.append(
                Cause(
                    kind: .reported, text: "the writer says: \(text)", since: report.since,
                    process: nil))
        }
        if isFresh,
            report.verdict == Health.Verdict.stalled.rawValue
                || report.verdict == Health.Verdict.failed.rawValue
        {
            isStalled = true
        }
    }

    private mutating func addLastWords(_ summary: StoreSummary) {
        guard let report = summary.report else { return }
        for text in report.causes {
            causes.append(
                Cause(
                    kind: .reported, text: "the writer said before it ended: \(text)",
                    since: report.since, process: nil))
        }
    }

    private mutating func judge(_ summary: StoreSummary, _ limit: UInt64) {
        if lateness(summary) > limit { isStalled = true }
    }
}

extension StoreInspection {
    /// The process that has the store open, as `815 (flightboard)`; nil if there is none, or it cannot be seen.
    package var writerName: String? {
        guard case .live(let process?) = state else { return nil }
        return ProcessLook(process).name
    }
}

extension StoreSummary {
    /// When the database last took something, milliseconds since 1970.
    package var appliedAt: UInt64? {
        store.database.contents.map { UInt64(max(0, $0.appliedAt)) / 1000 }
    }
}

/// How fast a store is written and its database follows, between two observations.
package struct StoreRates: Sendable, Equatable {
    /// Records a second.
    package let written: Double
    package let applied: Double
    /// nil if the database does not catch up.
    package let secondsToCatchUp: Double?

    /// nil if `after` is not later, belongs to another store, or has less of the log.
    package init?(from before: StoreSummary, to after: StoreSummary) {
        guard after.time > before.time, after.store.identity == before.store.identity,
            after.store.durable >= before.store.durable
        else { return nil }
        let seconds = Double(after.time - before.time) / 1000
        written = Double(after.store.durable - before.store.durable) / seconds
        let marks = [before, after].map { $0.materialized ?? 0 }
        // The watermark goes back if the database was rebuilt meanwhile.
        applied = marks[1] < marks[0] ? 0 : Double(marks[1] - marks[0]) / seconds
        let lag = Double(after.lag?.records ?? 0)
        if lag == 0 {
            secondsToCatchUp = 0
        } else {
            secondsToCatchUp = applied > written ? lag / (applied - written) : nil
        }
    }
}
