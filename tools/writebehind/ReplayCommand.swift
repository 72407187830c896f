import ArgumentParser
import EventLog
import Foundation
import WriteBehind
import WriteBehindInspection

/// `writebehind replay`: snapshot and log into something new.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Write the store as of a point into a new database, a new store, or SQL.",
        discussion: """
            Starts from the newest good snapshot before the point and folds the log
            after it. The store and its database are not touched. Without a point,
            everything that is durable is written.

            --into also takes the address of an empty PostgreSQL database, as a
            postgresql:// URL. Everything is one transaction then: if it is interrupted
            or killed, nothing of it is left, and it can be run again.

            --sql prints the log itself, as SQL for the sqlite3 program: each commit
            is a transaction. It begins with the commit that holds the sequence --from,
            the first at that time or later, or the first after that mark.

            A database cannot hold a sum that exceeds 64 bits. --into leaves the row out,
            names it and ends with 3; in --sql, such an add changes nothing.

            A point is a sequence (1042), a time (10:15, 2013-01-01T10:15, or 5m for
            5 minutes ago), the name of a mark, or end.

            Examples:
              writebehind replay airport --into before.sqlite --to-time 2013-01-15T12:00
              writebehind replay airport --into-store copy --to-mark before-deploy \\
                --exclusive
              writebehind replay airport --into postgresql://db.example/copy
              writebehind replay airport --into second.sqlite --follow
              writebehind replay airport --into x.sqlite --dry-run
              writebehind replay airport --sql | sqlite3 -bail new.sqlite
              writebehind replay airport --sql --from before-deploy --to 10:15
            """)

    @OptionGroup var store: StoreArgument
    @Option(
        help: ArgumentHelp(
            "A database file that does not exist yet, or an empty database's address.",
            valueName: "file or url"),
        completion: .file())
    var into: String?
    @Option(
        name: .customLong("schema"),
        help: ArgumentHelp("With an address: the schema of the tables.", valueName: "name"))
    var namespace: String?
    @Option(
        help: ArgumentHelp("A directory that does not exist yet.", valueName: "directory"),
        completion: .directory)
    var intoStore: String?
    @Flag(help: "Print the commits as SQL with their values.")
    var sql = false
    @Option(help: ArgumentHelp("With --sql: the first commit; see above.", valueName: "point"))
    var from: String?
    @Option(help: ArgumentHelp("Up to this point, of any kind.", valueName: "point"))
    var to: String?
    @Option(
        help: ArgumentHelp(
            "Up to the last commit that ends at or before this sequence.", valueName: "sequence"))
    var toSequence: UInt64?
    @Option(
        help: ArgumentHelp("Up to the last commit of this time or before.", valueName: "time"))
    var toTime: String?
    @Option(help: ArgumentHelp("Up to the last mark of this name.", valueName: "name"))
    var toMark: String?
    @Flag(help: "Stop right before the point.")
    var exclusive = false
    @Option(help: "Only these tables, separated by commas.")
    var tables: String?
    @Flag(help: "Say what would be done and how long it may take.")
    var dryRun = false
    @Flag(help: "Print the statements that would be used, without values.")
    var explain = false
    @Flag(name: [.short, .long], help: "Then keep the new database current, until interrupted.")
    var follow = false
    @OptionGroup var json: JSONOption
    @Flag(help: "Read and show times as UTC.")
    var utc = false
    @OptionGroup var progress: ProgressOption

    private var clock: Clock { Clock(isUTC: utc) }

    func validate() throws {
        let points: [Any?] = [to, toSequence, toTime, toMark]
        guard points.compactMap(\.self).count <= 1 else {
            throw ValidationError("Give one of --to, --to-sequence, --to-time, --to-mark.")
        }
        if sql { return try validateSQL() }
        if from != nil { throw ValidationError("--from goes with --sql.") }
        guard into == nil || intoStore == nil else {
            throw ValidationError("Give one of --into and --into-store.")
        }
        guard into != nil || intoStore != nil || dryRun || explain else {
            throw ValidationError(
                "Say where to: --into FILE.sqlite, --into-store DIRECTORY, or --sql.")
        }
        try validateAddress()
        if follow, into == nil || tables != nil || point != .end || exclusive {
            throw ValidationError("--follow goes with --into alone: all tables, up to the end.")
        }
        try validateTime()
    }

    /// The address of a server's database.
    private var address: String? { into.flatMap { PostgreSQLTool.isURL($0) ? $0 : nil } }

    private func validateAddress() throws {
        guard address != nil else {
            guard namespace == nil else {
                throw ValidationError("--schema goes with --into and a postgresql:// URL.")
            }
            return
        }
        try PostgreSQLTool.check()
        if follow {
            throw ValidationError(
                "--follow goes with a file. A store keeps a PostgreSQL database current itself: "
                    + "give it one as its second database.")
        }
        if explain { throw ValidationError("--explain shows statements of SQLite.") }
    }

    private func validateSQL() throws {
        guard into == nil, intoStore == nil, namespace == nil, !dryRun, !explain, !follow,
            !exclusive, !json.json
        else {
            throw ValidationError("--sql goes with --from, a point to end at, --tables and --utc.")
        }
        try validateTime()
    }

    private func validateTime() throws {
        if let toTime, clock.parse(toTime) == nil {
            throw ValidationError(
                "--to-time: \(WriteBehindText.quoted(toTime)) is no time; \(Clock.forms).")
        }
    }

    private var point: LogPoint {
        if let to { return PointText.parse(to, clock) }
        if let toSequence { return .sequence(toSequence) }
        if let time = toTime.flatMap({ clock.parse($0) }) { return .time(time) }
        return toMark.map { .mark($0) } ?? .end
    }

    func run() async throws {
        for target in [address == nil ? into : nil, intoStore].compactMap(\.self) {
            try NewFile.refuseExisting(target)
        }
        let inspection = try store.inspect()
        var wanted: Set<UInt32>?
        if let tables {
            let names = tables.split(separator: ",").map(String.init)
            wanted = Set(try names.map { try inspection.definition(named: $0).id })
        }
        if sql { return try printSQL(inspection, wanted) }
        if dryRun || explain {
            return try tellPlan(inspection, wanted)
        }
        let replay = try fold(inspection, wanted)
        let bar = progress.bar("rows", total: 0, unit: .rows)
        let rows: Int
        if let address {
            rows = try write(replay, inspection, address, bar)
        } else if let into {
            rows = try write(replay, into, bar)
        } else {
            rows = try await StoreReplay(replay).write(intoStore ?? "", bar)
        }
        bar.finish()
        tell(replay, rows)
        try tellLeftOut(replay)
        if follow, let into { return try followStore(inspection, into) }
        try ExitStatus(inspection).check()
    }

    private func printSQL(_ inspection: StoreInspection, _ wanted: Set<UInt32>?) throws {
        let script = try SQLScript(
            inspection, from: from.map { PointText.parse($0, clock) }, to: point, tables: wanted)
        var output = Output()
        defer { output.flush() }
        let count = try script.write { output.line($0) }
        output.flush()
        if count == 0 { note("note: no commit lies between these points") }
        if inspection.end > inspection.readable {
            note(
                "note: commits after #\(inspection.readable) are in the write buffer only; see `log`"
            )
        }
        try ExitStatus(inspection).check()
    }

    private func fold(_ inspection: StoreInspection, _ wanted: Set<UInt32>?) throws -> Replay {
        let plan = try ReplayPlan(
            inspection, to: point, exclusive: exclusive, needsStatements: false, tables: wanted)
        let bar = progress.bar("log", total: Int(clamping: plan.records), unit: .records)
        defer { bar.finish() }
        return try Replay(inspection, to: point, exclusive: exclusive, tables: wanted) {
            bar.advance(to: Int(clamping: $0))
        }
    }

    private func write(_ replay: Replay, _ path: String, _ bar: ProgressBar) throws -> Int {
        let interrupts = Interrupts()
        let written = try replay.write(
            database: path, progress: { bar.advance(to: $0) },
            goesOn: { !interrupts.wasInterrupted })
        guard let written else {
            bar.finish()
            throw Interrupted()
        }
        return written
    }

    private func write(
        _ replay: Replay, _ inspection: StoreInspection, _ address: String, _ bar: ProgressBar
    ) throws -> Int {
        let interrupts = Interrupts()
        let written = try PostgreSQLTool.write(
            replay, of: inspection.identity.storeID, to: address, schema: namespace,
            progress: { bar.advance(to: $0) }, goesOn: { !interrupts.wasInterrupted })
        guard let written else {
            bar.finish()
            throw Interrupted()
        }
        return written
    }

    /// What is written, without what must stay secret.
    private var target: String? { address.map(PostgreSQLTool.shown) ?? into ?? intoStore }

    private func tell(_ replay: Replay, _ rows: Int) {
        var output = Output()
        let target = target ?? ""
        if json.json {
            output.line(
                JSON.object([
                    ("v", .number(1)), ("into", .string(target)),
                    ("sequence", .number(replay.position.sequence)),
                    ("time", .time(replay.position.time)), ("rows", .number(rows)),
                    ("snapshot", .number(replay.snapshot)),
                    ("leftOut", .array(replay.leftOut.map(JSON.string))),
                ]).text)
        } else {
            let from = replay.snapshot == 0 ? "the log" : "snapshot #\(replay.snapshot) and the log"
            let position = replay.position
            output.line(
                "\(RowName.path(target)): "
                    + (position.sequence == 0
                        ? "empty, as the store was before its first commit"
                        : "\(WriteBehindText.counted(rows, "row")) of "
                            + WriteBehindText.counted(replay.tables.count, "table")
                            + " as of #\(position.sequence), "
                            + "\(clock.full(position.time)), from \(from)"))
        }
        output.flush()
    }

    /// Names the rows that the database cannot hold. It cannot follow then, because later changes of these rows would make
    /// others of them.
    private func tellLeftOut(_ replay: Replay) throws {
        guard !replay.leftOut.isEmpty else { return }
        let rows = WriteBehindText.counted(replay.leftOut.count, "row")
        note("note: \(rows) left out, with sums that do not fit into 64 bits:")
        for name in replay.leftOut.prefix(20) { note("  \(name)") }
        if replay.leftOut.count > 20 { note("  and \(replay.leftOut.count - 20) more") }
        if follow { note("error: without them the database cannot follow") }
        throw ExitStatus.warnings
    }

    private func followStore(_ inspection: StoreInspection, _ path: String) throws {
        let follower = try DatabaseFollower(inspection, database: path)
        let interrupts = Interrupts()
        while !interrupts.wasInterrupted {
            if try follower.step(), isatty(STDERR_FILENO) == 1 {
                FileHandle.standardError.write(Data("\r\u{1B}[K#\(follower.watermark)".utf8))
            }
            Thread.sleep(forTimeInterval: 0.1)
        }
        try follower.close()
    }

    // MARK: the plan

    private func tellPlan(_ inspection: StoreInspection, _ wanted: Set<UInt32>?) throws {
        var output = Output()
        let plan = try ReplayPlan(
            inspection, to: point, exclusive: exclusive, needsStatements: explain, tables: wanted)
        if explain {
            for statement in plan.statements { output.line(statement) }
        } else if json.json {
            output.line(
                JSON.object([
                    ("v", .number(1)), ("from", .number(plan.snapshot)),
                    ("through", .number(plan.through)), ("records", .number(plan.records)),
                    ("logBytes", .number(plan.logBytes)), ("seconds", .number(plan.seconds)),
                ]).text)
        } else {
            let start =
                plan.snapshot == 0
                ? "from the log's beginning" : "from snapshot #\(plan.snapshot)"
            output.line(
                "would fold \(WriteBehindText.count(plan.records)) records "
                    + "(\(WriteBehindText.bytes(plan.logBytes)) of log) "
                    + "\(start) to #\(plan.through)"
            )
            output.line(
                "and write the rows into \(RowName.path(target ?? "(nothing named)"))")
            output.line("takes about \(WriteBehindText.duration(seconds: plan.seconds))")
        }
        output.flush()
        try ExitStatus(inspection).check()
    }
}
