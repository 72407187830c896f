import ArgumentParser
import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// `writebehind status`: the state of a store on one screen.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a store's state: what is durable, how far the database is behind, and why.",
        usage: "writebehind status [<options>] <store>",
        discussion: """
            Says why the database is behind, as far as another process can see it: which
            process has it locked, a full disk, a stopped or dead writer, and what the
            writer itself reports. Checksums are not checked; `verify` does that.

            Ends with 0 if everything is well; 3 if you must do something (commits in
            quarantine, a database that cannot be read, or one that is behind while no
            process has the store open); 4 if the log is torn; 5 if log or database are
            damaged; 9 if the store is stalled: a writer has it open, and records wait
            longer than --stalled-after while nothing is applied, or the writer says so.

            A database on a server is shown as the writer last said. With --postgresql it
            is asked itself.

            --watch redraws until interrupted. If the output is not a terminal, it
            prints a line for each look. It goes on while the store is opened, closed,
            killed or rebuilt.

            Examples:
              writebehind status airport
              writebehind status airport --rates --tables
              writebehind status airport --watch
              writebehind status airport --postgresql postgresql://db.example/airport
              writebehind status airport --json | jq .lag.seconds
            """)

    @OptionGroup var store: StoreArgument
    @OptionGroup var postgresql: PostgreSQLOption
    @OptionGroup var json: JSONOption
    @Flag(help: "Look twice, a second apart, and show rates and the time to catch up.")
    var rates = false
    @Flag(help: "Show the size of each table in the database; this reads all of its pages.")
    var tables = false
    @Flag(help: "Show it again and again, until interrupted.")
    var watch = false
    @Option(help: ArgumentHelp("Seconds between two looks.", valueName: "seconds"))
    var interval = 1.0
    @Option(
        help: ArgumentHelp(
            "Call it stalled if nothing was applied for this long.", valueName: "seconds"))
    var stalledAfter = 30.0
    @Flag(help: "Times in UTC.")
    var utc = false

    func validate() throws {
        guard interval >= 0.05, interval <= 86_400 else {
            throw ValidationError("--interval must be between 0.05 and 86400 seconds.")
        }
        guard stalledAfter >= 1, stalledAfter <= 86_400 else {
            throw ValidationError("--stalled-after must be between 1 and 86400 seconds.")
        }
    }

    func run() throws {
        if watch {
            var watch = StatusWatch(self)
            return try watch.run()
        }
        var look = try look()
        if rates {
            Thread.sleep(forTimeInterval: interval)
            let before = look.summary
            look = try self.look()
            look.rates = StoreRates(from: before, to: look.summary)
        }
        var output = Output()
        if json.json {
            output.line(StatusReport.json(look).text)
        } else {
            for line in StatusReport.lines(look, Clock(isUTC: utc), width: output.width) {
                output.line(line)
            }
        }
        output.flush()
        try Self.exitStatus(look).check()
    }

    /// The store as it is now.
    func look() throws -> StatusLook {
        let summary = try StoreSummary(try postgresql.inspect(store.store))
        return try StatusLook(
            summary, try Self.judge(summary.store),
            StoreDiagnosis(summary, stalledAfter: UInt64(stalledAfter * 1000)),
            tables ? try summary.store.sizes() : nil)
    }

    /// nil if the database cannot be read now, which proves nothing about it.
    private static func judge(_ store: StoreInspection) throws -> DatabaseJudgement? {
        do {
            return try DatabaseJudgement(withoutRowsOf: store)
        } catch is SinkError {
            return nil
        }
    }

    static func exitStatus(_ look: StatusLook) -> ExitStatus {
        let store = look.summary.store
        let status = ExitStatus(store)
        guard status == .done else { return status }
        if look.database?.severity == .corrupt { return .corrupt }
        if look.diagnosis.isStalled { return .stalled }
        let isUnattended = look.diagnosis.causes.contains { $0.kind == .unattended }
        let secondaries = look.summary.secondaries?.databases ?? []
        let holdsRefused =
            look.summary.quarantined ?? 0 > 0
            || secondaries.contains { $0.quarantined > 0 || $0.cause != nil }
            || look.summary.changeStreams.fault != nil
            || look.summary.changeStreams.streams.contains { $0.fault != nil }
            || look.summary.projections.projections.contains { $0.cause != nil }
        return look.database?.severity == nil && look.database != nil && !isUnattended
            && !holdsRefused ? .done : .warnings
    }
}

/// One look at a store.
struct StatusLook {
    var summary: StoreSummary
    /// nil if it cannot be read.
    var database: DatabaseJudgement?
    var diagnosis: StoreDiagnosis
    var tables: DatabaseSizes?
    /// Since the look before.
    var rates: StoreRates?

    /// The records that cannot be read, as far as headers show: the contents of a segment are read only if its headers,
    /// or the log's judgement, show damage in it.
    let lost: [Loss]
    let tableNames: TableNames

    init(
        _ summary: StoreSummary, _ database: DatabaseJudgement?, _ diagnosis: StoreDiagnosis,
        _ tables: DatabaseSizes?
    ) throws {
        (self.summary, self.database) = (summary, database)
        (self.diagnosis, self.tables) = (diagnosis, tables)
        lost =
            summary.store.damage == nil
            ? [] : try LogVerification(summary.store, .headers).findings.compactMap(\.loss)
        tableNames = lost.isEmpty ? TableNames() : try TableNames(summary.store)
    }
}
