import EventLog
import Foundation
import Rainbow
import WriteBehind

/// What `status` says, in words and as JSON.
enum StatusReport {
    static func lines(_ summary: StoreSummary, _ clock: Clock) -> [String] {
        let store = summary.store
        var rows: [(String, String)] = [
            (
                "store",
                "\(RowName.path(store.layout.root))  "
                    + (store.isUnmade
                        ? "no identity yet; the next open makes it"
                        : store.identity.uuid.uuidString.lowercased())
            ),
            ("state", state(summary)), ("log", log(summary)),
        ]
        if let time = summary.lastTime {
            rows.append(("last write", "\(clock.full(time)), \(age(time)) ago"))
        }
        rows.append(("durable", "#\(store.durable)" + staged(summary)))
        rows.append(("database", database(summary)))
        rows.append(("snapshots", snapshots(summary)))
        rows.append(("quarantine", quarantine(summary)))
        if let error = lastError(summary) {
            rows.append(("last error", escapingControls(error).red))
        }
        return rows.map { padded($0, 11).lightBlack + $1 }
    }

    private static func state(_ summary: StoreSummary) -> String {
        let store = summary.store
        switch store.state {
        case _ where store.damage != nil:
            return "corrupt: ".red.bold + "it opens for reading only; see `writebehind recover`"
        case _ where store.isTorn:
            return "torn: ".yellow.bold + "its writer ended badly; the next open recovers it"
        case .live(let process):
            return "live".green.bold + (process.map { ", written by process \($0)" } ?? "")
        case .closed: return "closed cleanly"
        case .ended:
            return "not closed: ".yellow.bold + "its writer died; the next open recovers it"
        }
    }

    private static func log(_ summary: StoreSummary) -> String {
        let readable = summary.store.readable
        let count = readable + 1 - min(summary.first, readable + 1)
        guard count > 0 else { return "empty" }
        let files = summary.segments
        return "#\(summary.first) to #\(readable), \(WriteBehindText.count(count)) records in "
            + WriteBehindText.counted(files.count, "segment") + ", "
            + WriteBehindText.bytes(files.bytes)
    }

    private static func staged(_ summary: StoreSummary) -> String {
        guard let log = summary.store.log, !log.staged.isEmpty else { return "" }
        return
            ", then " + WriteBehindText.counted(log.staged.count, "commit")
            + " through #\(log.plan.end) "
            + "in the write buffer only"
    }

    private static func database(_ summary: StoreSummary) -> String {
        switch summary.store.database.state {
        case .missing: return "none yet"
        case .foreign: return "belongs to another store".red
        case .unreadable(let error):
            return "unreadable: \(WriteBehindText.message(error.message))".red
        case .readable(let contents):
            let size = WriteBehindText.bytes(summary.databaseBytes)
            let start = "#\(contents.watermark.sequence), \(size), "
            guard let lag = summary.lag, lag.records > 0 else { return start + "up to date" }
            var behind =
                WriteBehindText.counted(Int(lag.records), "record") + " behind, "
                + WriteBehindText.bytes(lag.bytes)
            if let since = lag.since { behind += ", oldest \(age(since)) old" }
            return start + behind.yellow
        }
    }

    private static func snapshots(_ summary: StoreSummary) -> String {
        guard let newest = summary.snapshots.last else { return "none" }
        let bytes = summary.snapshots.reduce(0) { $0 + $1.bytes }
        return "\(summary.snapshots.count), newest at #\(newest.sequence), "
            + WriteBehindText.bytes(bytes)
    }

    private static func quarantine(_ summary: StoreSummary) -> String {
        let commits = summary.store.database.contents?.quarantine.commitCount ?? 0
        var parts = [
            commits == 0 ? "no commits" : WriteBehindText.counted(commits, "commit").yellow
        ]
        if summary.keptFiles.count > 0 {
            parts.append(
                WriteBehindText.counted(summary.keptFiles.count, "file") + " kept by recovery, "
                    + WriteBehindText.bytes(summary.keptFiles.bytes))
        }
        return parts.joined(separator: "; ")
    }

    /// The last that is known from outside; what a writer keeps to itself is in its health.
    private static func lastError(_ summary: StoreSummary) -> String? {
        if let damage = summary.store.damage { return "\(damage)" }
        if summary.store.isTorn, let reason = summary.store.log?.plan.tornReason { return reason }
        guard
            let refused = summary.store.database.contents?.quarantined
                .max(by: { $0.refusedAt < $1.refusedAt })
        else { return nil }
        let reason = WriteBehindText.message(refused.error.message)
        return "commit #\(refused.firstSequence) refused: \(reason)"
    }

    private static func age(_ milliseconds: UInt64) -> String {
        let now = WriteBehindText.now
        return WriteBehindText.duration(seconds: Double(now - min(now, milliseconds)) / 1000)
    }

    // MARK: JSON

    static func json(_ summary: StoreSummary) -> JSON {
        let store = summary.store
        let contents = store.database.contents
        return .object([
            ("v", .number(1)), ("store", .string(store.layout.root)),
            ("uuid", .string(store.identity.uuid.uuidString.lowercased())),
            ("state", .string(stateWord(store))), ("process", process(store)),
            ("first", .number(summary.first)), ("end", .number(store.end)),
            ("written", .number(store.readable)), ("durable", .number(store.durable)),
            ("materialized", .optional(contents?.watermark.sequence) { .number($0) }),
            ("lastWrite", .optional(summary.lastTime) { .time($0) }),
            ("lag", .optional(summary.lag, lag)),
            (
                "bytes",
                .object([
                    ("log", .number(summary.segments.bytes)),
                    ("database", .number(summary.databaseBytes)),
                    ("snapshots", .number(summary.snapshots.reduce(0) { $0 + $1.bytes })),
                    ("staging", .number(summary.stagingBytes)),
                    ("kept", .number(summary.keptFiles.bytes)),
                ])
            ),
            ("segments", .number(summary.segments.count)),
            ("snapshots", .array(summary.snapshots.map { .number($0.sequence) })),
            ("quarantined", .optional(contents?.quarantine.commitCount) { .number($0) }),
            ("lastError", .optional(lastError(summary)) { .string($0) }),
        ])
    }

    private static func process(_ store: StoreInspection) -> JSON {
        guard case .live(let process?) = store.state else { return .null }
        return .number(process)
    }

    private static func lag(_ lag: StoreSummary.Lag) -> JSON {
        let now = WriteBehindText.now
        let seconds = lag.since.map { Double(now - min(now, $0)) / 1000 } ?? 0
        return .object([
            ("records", .number(lag.records)), ("bytes", .number(lag.bytes)),
            ("seconds", .number(seconds)),
        ])
    }

    static func stateWord(_ store: StoreInspection) -> String {
        if store.damage != nil { return "corrupt" }
        if store.isTorn { return "torn" }
        switch store.state {
        case .live: return "live"
        case .closed: return "closed"
        case .ended: return "ended"
        }
    }
}
