import Foundation
import WriteBehind
import WriteBehindInspection

/// The parts of the demo, in the order in which they are shown.
struct Demo {
    let directory: String
    /// The arguments that name the load.
    let load: [String]
    let timetable: Timetable
    let screen: Screen
    /// Has the rows in the place of SQLite; nil without `--postgresql`.
    let server: ServerDatabase?
    var checks: Checks

    init(
        directory: String, load: [String], timetable: Timetable, screen: Screen,
        server: ServerDatabase?
    ) {
        self.server = server
        self.directory = directory
        self.load = load
        self.timetable = timetable
        self.screen = screen
        checks = Checks(screen)
    }

    /// The directory for files that are not kept. It is beside the store, so that it is on the same disk.
    private var scratch: String { directory + ".scratch" }

    mutating func run() async throws {
        screen.line(
            "Flight board: \(Text.count(timetable.flights.count)) real flights out of New York, "
                + timetable.period)
        screen.line("played as the \(Text.count(timetable.events.count)) events that they were.")
        if let server {
            try await play(server)
            return showWhatIsLeft(server)
        }
        try await play()
        try FileManager.default.createDirectory(
            atPath: scratch, withIntermediateDirectories: false)
        defer {
            screen.progress("", nil)
            try? FileManager.default.removeItem(atPath: scratch)
        }
        try await kill()
        try await compare()
        showWhatIsLeft()
    }

    // MARK: the board

    private mutating func play() async throws {
        screen.title("1  The board: one task writes, four look flights up")
        let store = try await Store(at: directory)
        let board = try Board(store)
        let result = try await Play(board: board, timetable: timetable, screen: screen).run()
        var database: CarrierDelays?
        database = try await CarrierDelays(try store.database)
        try await store.close()
        show(result)
        try showSizes()
        screen.line()
        check(result)
        compareDelays(database, "SQL")
    }

    /// The same with the rows in a server.
    private mutating func play(_ server: ServerDatabase) async throws {
        screen.title("The board: one task writes, four look flights up; the rows go to PostgreSQL")
        let store = try await server.open(at: directory)
        let board = try Board(store)
        let result = try await Play(board: board, timetable: timetable, screen: screen).run()
        try await store.close()
        show(result)
        screen.line()
        check(result)
        let verification = try server.verify(directory)
        checks.check(
            verification.fault == nil && verification.differenceCount == 0,
            "all \(Text.count(Int(verification.rowCount))) rows of the server agree with the log")
        compareDelays(try server.carrierDelays(directory), "the server")
    }

    private mutating func check(_ result: Play.Result) {
        checks.check(
            result.lookups.stale == 0,
            "\(Text.count(result.lookups.latencies.count)) lookups, none older than the last write")
        checks.check(
            result.lagAtEnd == 0,
            "the database has every write, \(Text.time(result.catchUp)) after the last")
    }

    private func show(_ result: Play.Result) {
        let count = timetable.events.count
        let commits = Int(Double(count) / result.elapsed)
        let rows = Int(Double(result.rows) / result.elapsed)
        screen.line(
            "  \(Text.count(count)) events in \(Text.time(result.elapsed)): "
                + "\(Text.count(commits)) commits a second, \(Text.count(rows)) rows a second")
        screen.line()
        screen.faint(Text.row("latency", ["p50", "p99", "p99.9", "max"]))
        screen.line(Text.row("put: a new flight", result.puts.percentiles()))
        screen.line(Text.row("update: a delay", result.updates.percentiles()))
        screen.line(
            Text.row("transaction: flight + counters", result.transactions.percentiles()))
        screen.line(Text.row("get: a lookup meanwhile", result.lookups.latencies.percentiles()))
        screen.line()
        screen.line(
            "  database behind    at most \(Text.count(result.peakRecords)) records, "
                + "\(Text.time(result.peakSeconds)); at the end \(result.lagAtEnd)")
    }

    private func showSizes() throws {
        let size = try StoreSize(directory: directory)
        let share = Int((Double(size.log) / Double(max(size.raw, 1)) * 100).rounded())
        screen.line(
            "  log on disk        \(Text.bytes(size.log)) for \(Text.bytes(size.raw)) of writes "
                + "(\(share) %)")
        screen.line("  database           \(Text.bytes(size.database))")
    }

    private mutating func compareDelays(_ database: CarrierDelays?, _ source: String) {
        let file = CarrierDelays(timetable.flights)
        checks.check(
            database == file,
            "\(source) and the CSV agree on the mean departure delay of each carrier:")
        for line in file.lines { screen.line(line) }
    }

    // MARK: kill -9

    private mutating func kill() async throws {
        screen.title("2  kill -9 in the middle of the load, twice")
        let load = KilledLoad(
            directory: scratch + "/killed", load: self.load, timetable: timetable, screen: screen)
        let total = timetable.events.count
        var first = 0
        for limit in [total / 3, total * 2 / 3, nil] {
            let round = try load.round(from: first, until: limit)
            let survival = try await load.inspect(round)
            first = survival.shown
            let isWhole = survival.wrong == 0 && survival.hasLastSequence
            let acknowledged = Text.right(Text.count(round.acknowledged), 9)
            if limit != nil {
                checks.check(
                    round.wasKilled && isWhole,
                    "killed after \(acknowledged) acknowledged: opened in "
                        + "\(Text.time(survival.reopening)), \(verdict(survival, isWhole))")
            } else {
                checks.check(
                    !round.wasKilled && round.acknowledged == total && isWhole,
                    "ended after  \(acknowledged) acknowledged: opened in "
                        + "\(Text.time(survival.reopening)), \(verdict(survival, isWhole))")
            }
        }
    }

    private func verdict(_ survival: KilledLoad.Survival, _ isWhole: Bool) -> String {
        isWhole ? "all there" : "\(Text.count(survival.wrong)) rows wrong"
    }

    // MARK: the classic comparison

    private mutating func compare() async throws {
        screen.title("3  The classic patterns: the same events, the same SQLite settings")
        screen.line("  One caller shows events, and looks each flight up again. How long it waits:")
        screen.line()
        let comparison = Comparison(directory: scratch, timetable: timetable, screen: screen)
        let fast = try await comparison.run(delay: 0)
        screen.faint(Text.row("SQLite as it is", ["events/s", "write p50", "p99", "lookup p50"]))
        for result in fast { screen.line(result.line) }
        let slow = try await comparison.run(delay: Comparison.delay)
        screen.faint("  SQLite slowed to 50 ms a write")
        for result in slow { screen.line(result.line) }
        screen.line()
        screen.line(
            "  Write-behind's rows were in SQLite \(Text.time(fast[0].finishing)) after its last answer,"
        )
        screen.line("  in the slow one \(Text.time(slow[0].finishing)) after.")
    }

    // MARK: the end

    /// The path of the tool that was built with this program.
    private var tool: String {
        let here = FileManager.default.currentDirectoryPath + "/"
        let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let tool = program.appendingPathComponent("writebehind").path
        return tool.hasPrefix(here) ? String(tool.dropFirst(here.count)) : tool
    }

    private func showWhatIsLeft(_ server: ServerDatabase) {
        screen.title("Yours to look at")
        screen.line("  url='\(server.name)'")
        screen.line("  psql $url -c '\\d flight'")
        screen.line("  psql $url -c '\(CarrierDelays.sql)'")
        screen.line("  \(tool) verify \(directory) --postgresql $url")
        screen.line("  \(tool) status \(directory) --postgresql $url")
        screen.line()
        showVerdict()
    }

    private func showWhatIsLeft() {
        screen.title("Yours to look at")
        screen.line("  sqlite3 \(directory)/database.sqlite \\")
        screen.line("    '\(CarrierDelays.sql)'")
        screen.line("  \(tool) log \(directory)")
        screen.line("  \(tool) status \(directory)")
        screen.line("  zstd -t \(directory)/log/*.zst")
        screen.line()
        showVerdict()
    }

    private func showVerdict() {
        if checks.failures.isEmpty {
            screen.line("\(screen.mark(true)) all \(checks.count) checks passed")
        } else {
            screen.line(
                "\(screen.mark(false)) \(checks.failures.count) of \(checks.count) checks failed:")
            for failure in checks.failures { screen.line("  \(failure)") }
        }
    }
}
