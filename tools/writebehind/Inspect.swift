import ArgumentParser
import EventLog
import Foundation
import Rainbow
import WriteBehind
import WriteBehindInspection

/// `writebehind inspect`: segments and blocks, as they are on disk.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the log's segments and blocks, and what shows that they are durable.",
        usage: "writebehind inspect [<options>] <store or file>",
        discussion: """
            Checksums of headers are checked; `verify` also checks contents. With
            --blocks, `durable` is the last sequence that survived power loss when the
            block was built. By this evidence recovery distinguishes damage from a torn
            end.

            For one file, all blocks are listed, or the commits of staging, and damage
            at its place; contents are checked as well.

            Examples:
              writebehind inspect airport
              writebehind inspect airport/staging
              writebehind inspect airport --blocks --from 48000 --to 49000
              writebehind inspect airport --json | jq '.segments[] | select(.sealed | not)'
            """)

    @OptionGroup var store: StoreOrFileArgument
    @Flag(help: "List the blocks of each segment.")
    var blocks = false
    @Option(
        help: ArgumentHelp(
            "Only segments and blocks that end at this sequence or later.", valueName: "sequence"))
    var from: UInt64?
    @Option(
        help: ArgumentHelp(
            "Only segments and blocks that start at this sequence or before.",
            valueName: "sequence"))
    var to: UInt64?
    @OptionGroup var json: JSONOption
    @Flag(help: "Times in UTC.")
    var utc = false

    private var first: UInt64 { from ?? 0 }
    private var last: UInt64 { to ?? .max }

    func validate() throws {
        guard first <= last else { throw ValidationError("--from is greater than --to.") }
    }

    func run() throws {
        if let file = try store.file() { return try inspect(file) }
        let inspection = try store.inspect()
        let report = try SegmentReport(
            inspection, range: first...last, clock: Clock(isUTC: utc))
        var output = Output()
        if json.json {
            output.line(report.json(blocks: blocks).text)
        } else {
            for line in report.lines(blocks: blocks) { output.line(line) }
        }
        output.flush()
        if let damage = inspection.damage { note("error: \(damage)") }
        try ExitStatus(inspection).check()
        if report.hasGap { throw ExitStatus.corrupt }
    }

    private func inspect(_ file: StoredFile) throws {
        let report = try FileReport(file, Clock(isUTC: utc))
        var output = Output()
        if json.json {
            output.line(report.json(in: first...last).text)
        } else {
            for line in report.lines(in: first...last) { output.line(line) }
        }
        output.flush()
        try report.status.check()
    }
}
