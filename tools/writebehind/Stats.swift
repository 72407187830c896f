import ArgumentParser
import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// `writebehind stats`: the composition of the log.
struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Show records and bytes by table, the hottest rows, and the write rate over time.",
        usage: "writebehind stats [<options>] <store>",
        discussion: """
            Bytes of the log are those of records, unpacked; bytes of the database are
            whole pages, with indices. Reads the log and all pages of the database.

            A database on a server is looked at only if --postgresql gives its address. It
            tells the sizes of the store's tables by itself, and reads no pages. Nothing
            else of the server is counted: no other tables, and no room that is free.

            Examples:
              writebehind stats airport
              writebehind stats airport --since 1h --hottest 20
              writebehind stats airport --postgresql postgresql://db.example/airport
              writebehind stats airport --html stats.html
            """)

    @OptionGroup var store: StoreArgument
    @OptionGroup var postgresql: PostgreSQLOption
    @OptionGroup var range: RangeOptions
    @Option(help: ArgumentHelp("How many of the hottest rows to show.", valueName: "count"))
    var hottest = 10
    @Option(
        help: ArgumentHelp(
            "Write one self-contained page with plots, to a file that is not there yet.",
            valueName: "file"))
    var html: String?
    @OptionGroup var json: JSONOption
    @Flag(help: "Times in UTC.")
    var utc = false
    @OptionGroup var progress: ProgressOption

    func validate() throws {
        guard hottest >= 0 else { throw ValidationError("--hottest must not be negative.") }
        _ = try range.moments(Clock(isUTC: utc))
    }

    func run() throws {
        if let html { try NewFile.refuseExisting(html) }
        let inspection = try postgresql.inspect(store.store)
        try Self.check(inspection.database)
        let statistics = try gather(inspection)
        let report = StatsReport(
            statistics, store: inspection, clock: Clock(isUTC: utc), hottest: hottest,
            sizes: try inspection.sizes())
        var output = Output()
        if let html {
            try NewFile.write(report.html, to: html)
            note("written: \(html)")
        } else if json.json {
            output.line(report.json.text)
        } else {
            for line in report.lines(width: output.width) { output.line(line) }
        }
        output.flush()
        try ExitStatus(inspection).check()
    }

    /// Refuses a server that cannot answer, before all of the log is read for it. A file that cannot be read is only left out.
    private static func check(_ database: DatabaseInspection) throws {
        switch database.state {
        case .elsewhere(let place):
            note("note: the store's database is \(place); --postgresql gives the sizes there")
        case .missing, .readable: break
        case _ where database.isFile: break
        case .empty: note("note: the database has nothing of the store yet")
        case .foreign: throw SinkError(.foreignDatabase, "it belongs to another store")
        case .unreadable(let error): throw error
        }
    }

    private func gather(_ inspection: StoreInspection) throws -> LogStatistics {
        let moments = try range.moments(Clock(isUTC: utc))
        var filter = RecordFilter()
        filter.from = range.from
        filter.through = range.to
        filter.since = moments.since
        filter.until = moments.until
        let first = try inspection.first
        let start = max(range.from ?? first, first)
        var statistics = LogStatistics()
        let bar = progress.bar(
            "log", total: Int(inspection.end + 1 - min(start, inspection.end + 1)), unit: .records)
        defer { bar.finish() }
        func take(_ record: LoggedRecord, _ catalog: Catalog) -> Bool {
            if filter.isPast(record) { return false }
            if filter.admits(record) { statistics.note(record, catalog) }
            return true
        }
        let walk = try LogWalk(inspection.environment, from: start)
        while try walk.next(through: inspection.readable) {
            let catalog = walk.catalog
            guard try walk.records({ take($0, catalog) }) else { return statistics }
            bar.advance(by: Int(walk.block?.count ?? 0))
        }
        try inspection.forEachStagedRecord(walk.catalog) { take($0, $1) }
        return statistics
    }
}
