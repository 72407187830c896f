import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// The output of `status`, in words and as JSON.
enum StatusReport {
    static func lines(_ look: StatusLook, _ clock: Clock, width: Int) -> [String] {
        let summary = look.summary
        let store = summary.store
        var rows: [(String, String)] = [
            (
                "store",
                "\(RowName.path(store.layout.root))  "
                    + (store.isUnmade
                        ? "no identity yet; the next open makes it"
                        : store.identity.uuid.uuidString.lowercased())
            ),
            ("state", state(look)), ("log", log(summary)),
        ]
        if let time = summary.lastTime {
            rows.append(("last write", "\(clock.full(time)), \(age(time)) ago" + lately(summary)))
        }
        rows.append(("durable", "#\(store.durable)" + staged(summary)))
        rows.append(("database", database(look, clock)))
        for cause in look.diagnosis.causes { rows.append(("because", text(cause, clock))) }
        for database in summary.secondaries?.databases ?? [] {
            rows.append(("secondary", text(database, summary, clock)))
        }
        for stream in summary.changeStreams.streams { rows.append(("changes", text(stream))) }
        if let fault = summary.changeStreams.fault {
            rows.append(("changes", "change-streams cannot be used: \(fault)".red))
        }
        for projection in summary.projections.projections {
            rows.append(("projection", text(projection)))
        }
        if let rates = look.rates { rows.append(("rates", text(rates, summary))) }
        rows.append(("snapshots", snapshots(summary)))
        rows.append(("quarantine", quarantine(summary)))
        if let room = summary.room { rows.append(("room", text(room))) }
        for loss in look.lost {
            rows.append(("lost", LossText.item(loss, look.tableNames).red))
        }
        if let all = LossText.sum(look.lost, look.tableNames) { rows.append(("", all.red)) }
        if let error = lastError(summary) {
            let store = summary.store
            let title = store.damage != nil ? "damage" : store.isTorn ? "torn end" : "last error"
            rows.append((title, escapingControls(error).red))
        }
        rows.append(("unchecked", "checksums; `writebehind verify` checks them"))
        return rows.flatMap { laidOut($0, $1, width: width) }
            + (look.tables.map { [""] + table($0).lines } ?? [])
    }

    /// A title, and a text in lines that fit the terminal.
    static func laidOut(_ title: String, _ text: String, width: Int) -> [String] {
        broken(text, room: width - 11).enumerated().map {
            padded($0.offset == 0 ? title : "", 11).lightBlack + $0.element
        }
    }

    /// A text in lines of at most `room` characters, broken between words.
    static func broken(_ text: String, room: Int) -> [String] {
        let room = max(20, room)
        var (lines, length) = ([""], 0)
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if length > 0, length + 1 + visibleLength(word) > room {
                lines.append("")
                length = 0
            }
            if length > 0 { lines[lines.count - 1] += " " }
            lines[lines.count - 1] += word
            length += visibleLength(word) + (length > 0 ? 1 : 0)
        }
        return lines
    }

    /// Without the colours.
    private static func visibleLength(_ text: Substring) -> Int {
        text.replacing(/\u{1B}\[[0-9;]*m/, with: "").count
    }

    /// Everything in one line, for files and pipes.
    static func line(_ look: StatusLook, _ clock: Clock) -> String {
        let summary = look.summary
        var parts = [
            clock.full(summary.time),
            look.diagnosis.isStalled ? "stalled" : stateWord(summary.store),
            "durable #\(summary.store.durable)",
        ]
        if let materialized = summary.materialized {
            parts.append("database #\(materialized)")
        }
        if let lag = summary.lag {
            parts.append("behind \(WriteBehindText.count(lag.records))")
            if let since = lag.since, lag.records > 0 { parts.append("oldest \(age(since))") }
        }
        if let rates = look.rates { parts.append(text(rates, summary)) }
        parts += look.diagnosis.causes.map { "because \(text($0, clock))" }
        return parts.joined(separator: "; ")
    }

    private static func text(_ cause: StoreDiagnosis.Cause, _ clock: Clock) -> String {
        let since = cause.since.map { "; since \(clock.full($0).dropLast(4)), \(age($0))" } ?? ""
        return WriteBehindText.message(cause.text + since).yellow
    }

    private static func text(_ rates: StoreRates, _ summary: StoreSummary) -> String {
        func rate(_ value: Double) -> String { WriteBehindText.count(Int(value.rounded())) + "/s" }
        let both = "written \(rate(rates.written)), applied \(rate(rates.applied))"
        guard let lag = summary.lag, lag.records > 0 else { return both }
        guard let seconds = rates.secondsToCatchUp else {
            return both + "; " + "it does not catch up at this rate".yellow
        }
        return both + "; caught up in \(WriteBehindText.duration(seconds: seconds))"
    }

    /// The writes of the last seconds.
    private static func lately(_ summary: StoreSummary) -> String {
        guard summary.store.isLive, summary.recentRecords > 0 else { return "" }
        let seconds = StoreSummary.recently / 1000
        return "; \(WriteBehindText.count(summary.recentRecords / seconds)) a second in the last "
            + "\(seconds) s"
    }

    private static func text(_ room: DiskRoom) -> String {
        let text =
            "\(WriteBehindText.bytes(Int(clamping: room.free))) free of "
            + WriteBehindText.bytes(Int(clamping: room.total))
        return room.isFull ? text.red : text
    }

    private static func table(_ sizes: DatabaseSizes) -> TextTable {
        var table = TextTable([
            .init(title: "in the database"),
            .init(title: "table, with its indices", isNumber: false),
        ])
        for size in sizes.tables {
            table.append([WriteBehindText.bytes(size.bytes), plain(size.table)])
        }
        if let free = sizes.free { table.append([WriteBehindText.bytes(free), "(free pages)"]) }
        table.append([WriteBehindText.bytes(sizes.total), "all"])
        return table
    }

    private static func state(_ look: StatusLook) -> String {
        let store = look.summary.store
        switch store.state {
        case _ where store.damage != nil:
            return "corrupt: ".red.bold + "it opens for reading only; see `writebehind recover`"
        case _ where store.isTorn:
            return "torn: ".yellow.bold + "its writer ended badly; the next open recovers it"
        case .live:
            let word = look.diagnosis.isStalled ? "stalled".red.bold : "live".green.bold
            return word + (store.writerName.map { ", written by process \($0)" } ?? "")
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
            + (summary.store.damage == nil ? "" : "; these are before the damage".yellow)
    }

    private static func staged(_ summary: StoreSummary) -> String {
        guard let log = summary.store.log, !log.staged.isEmpty else { return "" }
        return
            ", then " + WriteBehindText.counted(log.staged.count, "commit")
            + " through #\(log.plan.end) "
            + "in the write buffer only"
    }

    private static func snapshots(_ summary: StoreSummary) -> String {
        guard let newest = summary.snapshots.last else { return "none" }
        let bytes = summary.snapshots.reduce(0) { $0 + $1.bytes }
        return "\(summary.snapshots.count), newest at #\(newest.sequence), "
            + WriteBehindText.bytes(bytes)
    }

    private static func quarantine(_ summary: StoreSummary) -> String {
        let quarantine = summary.store.database.contents?.quarantine
        let commits = summary.quarantined ?? 0
        let rows = quarantine.map { WriteBehindText.counted($0.held.count, "row") }
        var parts = [
            commits == 0
                ? "no commits"
                : (WriteBehindText.counted(commits, "commit")
                    + (rows.map { " that hold \($0)" } ?? "")).yellow
        ]
        if summary.keptFiles.count > 0 {
            parts.append(
                WriteBehindText.counted(summary.keptFiles.count, "file") + " put aside, "
                    + WriteBehindText.bytes(summary.keptFiles.bytes))
        }
        return parts.joined(separator: "; ")
    }

    /// The last error that another process can see. Errors that only the writer has are in its health.
    private static func lastError(_ summary: StoreSummary) -> String? {
        if let damage = summary.store.damage { return "\(damage)" }
        if summary.store.isTorn,
            let torn = summary.store.log?.judgement.findings.first(where: { $0.severity == .torn })
        {
            return VerifyReport.text(torn, TableNames())
        }
        guard
            let refused = summary.store.database.contents?.quarantined
                .max(by: { $0.refusedAt < $1.refusedAt })
        else { return nil }
        let reason = WriteBehindText.message(refused.error.message)
        return "commit #\(refused.firstSequence) refused: \(reason)"
    }

    static func age(_ milliseconds: UInt64) -> String {
        let now = WriteBehindText.now
        return WriteBehindText.duration(seconds: Double(now - min(now, milliseconds)) / 1000)
    }

    // MARK: JSON

    static func json(_ look: StatusLook) -> JSON {
        let summary = look.summary
        let store = summary.store
        let contents = store.database.contents
        return .object(
            [
                ("v", .number(1)), ("store", .string(store.layout.root)),
                ("uuid", .string(store.identity.uuid.uuidString.lowercased())),
                ("state", .string(stateWord(store))), ("process", process(store)),
                ("first", .number(summary.first)), ("end", .number(store.end)),
                ("written", .number(store.readable)), ("durable", .number(store.durable)),
                ("database", .optional(place(summary.store)) { .string($0) }),
                ("materialized", .optional(summary.materialized) { .number($0) }),
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
                ("quarantined", .optional(summary.quarantined) { .number($0) }),
                ("quarantinedRows", .optional(contents?.quarantine.held.count) { .number($0) }),
                ("lastError", .optional(lastError(summary)) { .string($0) }),
                ("time", .time(summary.time)),
                ("appliedAt", .optional(summary.appliedAt) { .time($0) }),
                ("stalled", .bool(look.diagnosis.isStalled)),
                ("causes", .array(look.diagnosis.causes.map(cause))),
                ("recentRecords", .number(summary.recentRecords)),
                ("secondaries", .array((summary.secondaries?.databases ?? []).map(secondary))),
                ("secondariesSaidAt", .optional(summary.secondaries?.time) { .time($0) }),
                ("changeStreams", .array(summary.changeStreams.streams.map(json))),
                ("projections", .array(summary.projections.projections.map(json))),
                ("rates", .optional(look.rates, rates)),
                (
                    "room",
                    .optional(summary.room) {
                        .object([("free", .number($0.free)), ("total", .number($0.total))])
                    }
                ),
            ] + LossText.fields(look.lost, look.tableNames) + [
                ("databaseFault", .optional(look.database?.fault) { .string($0) }),
                ("tables", .optional(look.tables, tables)), ("checksumsChecked", .bool(false)),
            ])
    }

    private static func cause(_ cause: StoreDiagnosis.Cause) -> JSON {
        .object([
            ("cause", .string(cause.kind.rawValue)),
            ("text", .string(WriteBehindText.message(cause.text))),
            ("since", .optional(cause.since) { .time($0) }),
            ("process", .optional(cause.process) { .number($0) }),
        ])
    }

    private static func secondary(_ database: SecondariesReport.Database) -> JSON {
        .object([
            ("name", .string(database.name)),
            ("materialized", .optional(database.materialized) { .number($0) }),
            ("quarantined", .number(database.quarantined)),
            ("cause", .optional(database.cause) { .string(WriteBehindText.message($0)) }),
        ])
    }

    private static func rates(_ rates: StoreRates) -> JSON {
        .object([
            ("written", .number(rates.written)), ("applied", .number(rates.applied)),
            ("secondsToCatchUp", .optional(rates.secondsToCatchUp) { .number($0) }),
        ])
    }

    private static func tables(_ sizes: DatabaseSizes) -> JSON {
        .object([
            (
                "sizes",
                .array(
                    sizes.tables.map {
                        .object([("table", .string($0.table)), ("bytes", .number($0.bytes))])
                    })
            ),
            ("free", .optional(sizes.free) { .number($0) }), ("total", .number(sizes.total)),
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
