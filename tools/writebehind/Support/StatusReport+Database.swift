import EventLog
import Rainbow
import WriteBehind
import WriteBehindInspection

// What `status` says of the store's databases.

extension StatusReport {
    static func database(_ look: StatusLook, _ clock: Clock) -> String {
        let summary = look.summary
        if let fault = look.database?.fault {
            let text = at(summary) + WriteBehindText.message(fault)
            // If the log is damaged, the database cannot be judged by it.
            let canStay = look.database?.reasonToReplace == nil || summary.store.damage != nil
            return canStay ? text.yellow : "cannot serve: \(text)".red
        }
        switch summary.store.database.state {
        case .missing, .empty: return "none yet"
        case .elsewhere(let place): return elsewhere(place, summary, clock)
        case .foreign: return "belongs to another store".red
        case .unreadable(let error):
            return (at(summary) + "cannot be read: \(WriteBehindText.message(error.message))").red
        case .readable(let contents):
            let size = WriteBehindText.bytes(summary.databaseBytes)
            return at(summary) + "#\(contents.watermark.sequence), \(size), " + behind(summary)
        }
    }

    /// The address of a database that is no file.
    private static func at(_ summary: StoreSummary) -> String {
        place(summary.store).map { "\(escapingControls($0)): " } ?? ""
    }

    private static func behind(_ summary: StoreSummary) -> String {
        guard let lag = summary.lag, lag.records > 0 else { return "up to date" }
        var behind =
            WriteBehindText.counted(Int(lag.records), "record") + " behind, "
            + WriteBehindText.bytes(lag.bytes)
        if let since = lag.since { behind += ", oldest \(age(since)) old" }
        return behind.yellow
    }

    /// A database that nobody has looked at, as its writer says.
    private static func elsewhere(
        _ place: String, _ summary: StoreSummary, _ clock: Clock
    ) -> String {
        let start = "\(escapingControls(place)): "
        guard let sequence = summary.materialized else {
            return start + "its writer has not said yet how far it is"
        }
        let time = summary.secondaries?.time ?? 0
        return start + "#\(sequence), \(behind(summary)); as its writer said at "
            + "\(clock.full(time).dropLast(4)); --postgresql asks it"
    }

    /// `reports: #1200, 340 records behind`, as the writer reports it, because the database may be on any machine.
    static func text(
        _ database: SecondariesReport.Database, _ summary: StoreSummary, _ clock: Clock
    ) -> String {
        let end = summary.store.end
        var parts: [String] = []
        if let sequence = database.materialized {
            let behind = end - min(end, sequence)
            parts.append(
                "#\(sequence), "
                    + (behind == 0
                        ? "up to date"
                        : (WriteBehindText.counted(Int(behind), "record") + " behind").yellow))
        } else {
            parts.append("not open yet".yellow)
        }
        if database.quarantined > 0 {
            parts.append(
                "\(WriteBehindText.counted(database.quarantined, "commit")) in its quarantine"
                    .yellow)
        }
        if let cause = database.cause {
            parts.append("it does not follow \(WriteBehindText.message(cause))".yellow)
        }
        if !summary.store.isLive, let time = summary.secondaries?.time {
            parts.append("as its writer said at \(clock.full(time).dropLast(4))")
        }
        return "\(plain(database.name)): " + parts.joined(separator: "; ")
    }

    /// The address of a database that is no file of the directory.
    static func place(_ store: StoreInspection) -> String? {
        if case .elsewhere(let place) = store.database.state { return place }
        return store.database.isFile ? nil : store.database.source?.name
    }
}
