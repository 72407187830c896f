import ArgumentParser
import EventLog
import Foundation
import WriteBehind

/// `writebehind log`: prints the records of the log.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Print the records of the log.",
        discussion: """
            Conditions of different kinds must all hold; of --table and --operation, one
            of those given. Of a store that is being written, what survives power loss
            is printed; of one whose writer died, also what only its write buffer holds,
            marked as not yet durable.

            Examples:
              writebehind log airport --limit 20 --reverse
              writebehind log airport --table flight --key 123
              writebehind log airport --since 5m --where carrier=UA --follow
              writebehind log airport --operation delete --json | jq .key
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, csv }

    @OptionGroup var store: StoreArgument
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
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
        if json.json, format == .csv {
            throw ValidationError("--json and --format csv exclude each other.")
        }
        _ = try range.moments(Clock(isUTC: utc))
        _ = try filter.filter()
    }

    func run() throws {
        let inspection = try store.inspect()
        var printer = try LogPrinter(
            inspection, filter: try wanted(),
            form: json.json ? .json : RecordText.Form(format), clock: Clock(isUTC: utc),
            limit: limit)
        defer { printer.finish() }
        try filter.check(inspection)
        var status = ExitStatus.done
        if reverse {
            try printer.printBackward()
        } else {
            let start = try startSequence(inspection, &status)
            try printer.printForward(from: start, follow: follow)
        }
        printer.finish()
        try status.check()
        if !printer.isFull { try tellEnd(inspection) }
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

    /// Where to begin: as late as the conditions allow.
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

    /// Says how the log ends, where that is worth to know.
    private func tellEnd(_ inspection: StoreInspection) throws {
        if let damage = inspection.damage { note("error: \(damage)") }
        if inspection.isTorn, let plan = inspection.log?.plan {
            note(
                "note: the log ends torn after #\(plan.end): "
                    + "\(plan.tornReason ?? "bytes are left"); "
                    + "the next open cuts \(WriteBehindText.bytes(plan.tornBytes)) off "
                    + "and keeps them"
            )
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

/// Which stretch of the log.
struct RangeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The first sequence number.", valueName: "sequence"))
    var from: UInt64?
    @Option(help: ArgumentHelp("The last sequence number.", valueName: "sequence"))
    var to: UInt64?
    @Option(
        help: ArgumentHelp(
            "Not before: 2013-01-01T10:15, 10:15 (today), or 90s, 5m, 2h, 1d (ago).",
            valueName: "time"))
    var since: String?
    @Option(help: ArgumentHelp("Not after; as --since.", valueName: "time"))
    var until: String?

    func validate() throws {
        if let from, let to, from > to { throw ValidationError("--from is greater than --to.") }
    }

    func moments(_ clock: Clock) throws -> (since: UInt64?, until: UInt64?) {
        (try moment(since, "--since", clock), try moment(until, "--until", clock))
    }

    private func moment(_ text: String?, _ option: String, _ clock: Clock) throws -> UInt64? {
        guard let text else { return nil }
        guard let moment = clock.parse(text) else {
            throw ValidationError("\(option): \(WriteBehindText.quoted(text)) is no time.")
        }
        return moment
    }
}

/// Which records.
struct FilterOptions: ParsableArguments {
    @Option(help: "Only this table; may be given several times.")
    var table: [String] = []
    @Option(help: "Only this row: its key; several key columns as a,b,c or as a JSON array.")
    var key: String?
    @Option(help: "put, update, delete, clear, define, mark or settle; may be given several times.")
    var operation: [String] = []
    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "Only records that hold this; may be given several times.", valueName: "column=value"))
    var conditions: [String] = []

    func filter() throws -> RecordFilter {
        var filter = RecordFilter()
        filter.tables = table
        filter.key = try key.map(KeyText.components)
        for word in operation {
            guard let found = EventLog.Operation.allCases.first(where: { $0.word == word }) else {
                let words = EventLog.Operation.allCases.map(\.word).joined(separator: ", ")
                throw ValidationError(
                    "--operation: \(WriteBehindText.quoted(word)) is none of \(words).")
            }
            filter.operations.insert(found.rawValue)
        }
        for condition in conditions {
            guard let equals = condition.firstIndex(of: "="), equals > condition.startIndex else {
                throw ValidationError("--where: write column=value.")
            }
            filter.conditions.append(
                RecordFilter.Condition(
                    column: String(condition[..<equals]),
                    text: String(condition[condition.index(after: equals)...])))
        }
        return filter
    }

    /// A name that the store does not know is a slip of the fingers, not an empty answer.
    func check(_ store: StoreInspection) throws {
        for name in table { _ = try store.definition(named: name) }
    }
}
