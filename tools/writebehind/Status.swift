import ArgumentParser
import Foundation
import Rainbow
import WriteBehind

/// `writebehind status`: how a store is, on one screen.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how a store is: what is durable, how far the database is behind, and why.",
        usage: "writebehind status [<options>] <store>",
        discussion: """
            Ends with 0 when all is well, 3 when something waits for you (quarantine, an
            unreadable database), 4 when the log is torn, 5 when it is damaged.

            Examples:
              writebehind status airport
              writebehind status airport --watch
              writebehind status airport --json | jq .lag.seconds
            """)

    @OptionGroup var store: StoreArgument
    @OptionGroup var json: JSONOption
    @Flag(help: "Show it again and again, until interrupted.")
    var watch = false
    @Option(help: ArgumentHelp("Seconds between two looks with --watch.", valueName: "seconds"))
    var interval = 1.0
    @Flag(help: "Times in UTC.")
    var utc = false

    func validate() throws {
        guard interval >= 0.05, interval <= 86_400 else {
            throw ValidationError("--interval must be between 0.05 and 86400 seconds.")
        }
    }

    func run() throws {
        var output = Output()
        while true {
            let summary = try StoreSummary(try store.inspect())
            show(summary, on: &output)
            guard watch else { return try Self.exitStatus(summary).check() }
            Thread.sleep(forTimeInterval: interval)
        }
    }

    private func show(_ summary: StoreSummary, on output: inout Output) {
        if json.json {
            output.line(StatusReport.json(summary).text)
        } else {
            // Home, then erase what is below: no flicker, and nothing left of a longer screen.
            if watch && output.isTerminal { output.raw("\u{1B}[H\u{1B}[J") }
            for line in StatusReport.lines(summary, Clock(isUTC: utc)) { output.line(line) }
            if watch && !output.isTerminal { output.line("") }
        }
        output.flush()
    }

    static func exitStatus(_ summary: StoreSummary) -> ExitStatus {
        let status = ExitStatus(summary.store)
        guard status == .done else { return status }
        switch summary.store.database.state {
        case .unreadable, .foreign: return .warnings
        case .missing: return .done
        case .readable(let contents): return contents.quarantined.isEmpty ? .done : .warnings
        }
    }
}
