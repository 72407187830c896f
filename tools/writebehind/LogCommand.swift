import ArgumentParser
import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// `writebehind log`: prints the records of the log.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Print the records of the log, or of one file.",
        usage: "writebehind log [<options>] <store or file>",
        discussion: """
            A record must meet all conditions; if --table or --operation is given several
            times, one of the values. --key is fast: blocks without the key are not
            parsed. While a store is being written, only records that survive power loss
            are printed. If its writer has died, records that only its write buffer holds
            are printed as well, marked as not yet durable.

            likes+=1 is an add, which does not know the sum: history shows it. An add sets
            no value for --where; --changed shows the value before it.

            Damage is shown at its place, with the lost sequences, and the records behind
            it follow. One file may be a segment, a snapshot (its rows), staging, or a
            part of a segment that recovery cut off.

            Examples:
              writebehind log airport --limit 20 --reverse
              writebehind log airport --table flight --key 123
              writebehind log airport --table flight --key 2013-01-01,UA
              writebehind log airport --since 5m --where carrier=UA --follow
              writebehind log airport --where 'dep_time>=600' --where 'dest!=null'
              writebehind log airport --changed dep_time --json
              writebehind log airport --operation add --table post
              writebehind log airport --operation delete --json | jq .key
              writebehind log airport/aside/00000000000000048213.segment-tail
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, csv }

    @OptionGroup var store: StoreOrFileArgument
    @OptionGroup var range: RangeOptions
    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("Print at most this many records.", valueName: "count"))
    var limit: Int?
    @Flag(help: "Newest first.")
    var reverse = false
    @Flag(name: [.short, .long], help: "Wait for more until interrupted.")
    var follow = false
    @Option(help: "text, json (one object a line) or csv.")
    var format = Format.text
    @OptionGroup var json: JSONOption
    @Flag(help: "Times in UTC, each with its date.")
    var utc = false

    func validate() throws {
        if follow && reverse { throw ValidationError("--follow and --reverse exclude each other.") }
        if reverse, filter.conditions.changed != nil {
            throw ValidationError(
                "--changed reads forward, because it needs the old values: leave --reverse out.")
        }
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
        if json.json, format == .csv {
            throw ValidationError("--json and --format csv exclude each other.")
        }
        _ = try range.moments(Clock(isUTC: utc))
        _ = try filter.filter()
    }

    func run() throws {
        let filter = try wanted()
        if let file = try store.file() { return try printFile(file, filter) }
        let inspection = try store.inspect()
        try filter.check(inspection)
        var printer = printer(filter, last: inspection.end, durable: inspection.durable)
        defer { printer.finish() }
        var status = ExitStatus.done
        if reverse {
            try printer.printBackward(inspection)
        } else {
            let start = try startSequence(inspection, &status)
            try printer.printForward(inspection, from: start, follow: follow)
        }
        printer.finish()
        if printer.count == 0, limit != 0 { try tellSpan(inspection) }
        try status.check()
        if !printer.isFull { try tellEnd(inspection, printer.damage ?? inspection.damage) }
    }

    private func printer(_ filter: RecordFilter, last: UInt64, durable: UInt64) -> LogPrinter {
        LogPrinter(
            filter, form: json.json ? .json : RecordText.Form(format), clock: Clock(isUTC: utc),
            limit: limit, last: last, durable: durable)
    }

    private func printFile(_ file: StoredFile, _ filter: RecordFilter) throws {
        if follow || reverse || filter.changed != nil {
            throw ValidationError(
                "--follow, --reverse and --changed go with a store, not with one file.")
        }
        var printer = printer(filter, last: file.last, durable: file.readable)
        defer { printer.finish() }
        try printer.print(file)
        printer.finish()
        if printer.count == 0, limit != 0 {
            note(
                "note: 0 of \(WriteBehindText.count(file.recordCount)) records match; "
                    + "\(RowName.path(file.path)) is a \(file.kind.rawValue)")
        }
        if !printer.isFull, !file.findings.isEmpty { throw ExitStatus.corrupt }
    }

    private func wanted() throws -> RecordFilter {
        var wanted = try filter.filter()
        let moments = try range.moments(Clock(isUTC: utc))
        wanted.from = range.from
        wanted.through = range.to
        wanted.since = moments.since
        wanted.until = moments.until
        return wanted
    }

    /// The sequence to begin with, as late as the conditions allow.
    private func startSequence(
        _ inspection: StoreInspection, _ status: inout ExitStatus
    ) throws -> UInt64 {
        let first = try inspection.first
        var start = max(range.from ?? first, 1)
        if start < first {
            note("note: the log starts at #\(first); what was before it has been deleted")
            status = .warnings
            start = first
        }
        if let since = try range.moments(Clock(isUTC: utc)).since {
            let seek = LogSeek(inspection.environment)
            start = max(start, try seek.sequence(notBefore: since) ?? inspection.readable + 1)
        }
        return start
    }

    /// If nothing was found, says which part of the log was searched.
    private func tellSpan(_ inspection: StoreInspection) throws {
        let staged = inspection.log?.staged
        let times = try LogSeek(inspection.environment).times()
        guard let first = times?.first ?? staged?.first?.commit.time,
            let last = staged?.last?.commit.time ?? times?.last
        else { return note("note: 0 of 0 records match; the log is empty") }
        let (from, to) = (try inspection.first, max(inspection.end, inspection.readable))
        let clock = Clock(isUTC: utc)
        note(
            "note: 0 of \(WriteBehindText.count(to + 1 - min(from, to + 1))) records match; the log "
                + "spans #\(from) to #\(to), \(clock.full(first)) to \(clock.full(last))")
    }

    /// Prints a note if the log ends torn or damaged.
    private func tellEnd(_ inspection: StoreInspection, _ damage: Corruption?) throws {
        if let damage {
            note("error: \(damage)")
            throw ExitStatus.corrupt
        }
        if inspection.isTorn, let plan = inspection.log?.plan {
            let cut =
                plan.tornBytes > 0
                ? "; the next open cuts \(WriteBehindText.bytes(plan.tornBytes)) off and keeps them"
                : ""
            note(
                "note: the log ends torn after #\(plan.end): "
                    + "\(plan.tornReason ?? "bytes are left")\(cut)")
        }
        try ExitStatus(inspection).check()
    }
}

extension RecordText.Form {
    init(_ format: LogCommand.Format) {
        self =
            switch format {
            case .text: .text
            case .json: .json
            case .csv: .csv
            }
    }
}
