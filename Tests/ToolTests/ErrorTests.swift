import Foundation
import Testing
import WriteBehind

/// What the tool says when it is called wrongly: one line that names what is wrong, and the exit code for it.
@Suite struct ErrorTests {
    private func expect(
        _ status: Int32, _ message: String, _ arguments: String...,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let (process, output, errors) = Tool.process(arguments)
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let complained = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == status, sourceLocation: location)
        #expect(said.isEmpty, sourceLocation: location)
        let text = String(decoding: complained, as: UTF8.self)
        #expect(text.hasPrefix(message), "\(text)", sourceLocation: location)
    }

    @Test func aFileThatCannotBeReadIsNamedWithTheReason() async throws {
        let fixture = try await Fixture.closed()
        try expect(
            1, "error: \"/nowhere/a.csv\": No such file or directory\n",
            "import", fixture.path, "flight", "/nowhere/a.csv")
    }

    @Test func whatACommandFindsWrongIsOneLineWithoutTheUsageOfAnother() async throws {
        let fixture = try await Fixture.closed()
        try expect(
            2, "error: There is no table \"flihgt\"; there are: flight.\n",
            "log", fixture.path, "--table", "flihgt")
        try expect(
            2, "error: There is no directory \"/nowhere\".\n",
            "replay", fixture.path, "--into", "/nowhere/a.sqlite")
        try expect(
            2, "error: There is no directory \"/nowhere\".\n",
            "stats", fixture.path, "--html", "/nowhere/a.html")
    }

    @Test func optionsThatExcludeEachOtherAreRefused() async throws {
        let fixture = try await Fixture.closed()
        for command in ["log", "stats", "inspect"] {
            try expect(
                2, "Error: --from is greater than --to.\n",
                command, fixture.path, "--from", "5", "--to", "2")
        }
        try expect(
            2, "Error: --json and --format csv exclude each other.\n",
            "log", fixture.path, "--json", "--format", "csv")
    }

    @Test func columnsThatAnExistingTableHasNotAreNotIgnored() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + ".csv"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "number,carrier\n1,AA\n".write(toFile: path, atomically: true, encoding: .utf8)
        let same = "number integer key, carrier text, delay integer null, note text null"
        #expect(try Tool.run("import", fixture.path, "flight", path, "--schema", same).status == 0)
        try expect(
            2, "error: There is a table \"flight\" with other columns; leave --schema out",
            "import", fixture.path, "flight", path, "--schema", "number integer key, carrier text")
    }

    @Test func aRowThatIsNoRowIsAWrongArgument() async throws {
        let fixture = try await Fixture.closed()
        try expect(
            2, "error: --row: ", "quarantine", "patch", fixture.path, "4", "--table", "flight",
            "--row", "{", "--reason", "x")
    }

    @Test(arguments: [
        ["--to-time", "2h"], ["--to-time", "2999-01-01"], ["--to-time", "1970-01-02"],
    ])
    func aTimeOutsideTheLogsSpanIsNotReached(option: [String]) async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + ".sqlite"
        for extra in [[], ["--dry-run"], ["--exclusive"]] {
            let (process, output, errors) = Tool.process(
                ["replay", fixture.path, "--into", path] + option + extra)
            try process.run()
            _ = output.fileHandleForReading.readDataToEndOfFile()
            let said = errors.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 6)
            let text = String(decoding: said, as: UTF8.self)
            #expect(text.contains("is out of reach: log and snapshots tell of 2"), "\(text)")
            #expect(text.hasSuffix("Z, #13\n"), "\(text)")
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func aReplayOfAnEmptyStoreToATimeSaysThatThereIsNothing() async throws {
        let fixture = Fixture()
        _ = try fixture.open()
        try await fixture.close()
        try expect(
            6, "error: 1970-01-02T00:00:00.000Z is out of reach: nothing is durable yet\n",
            "replay", fixture.path, "--into", fixture.path + ".sqlite", "--to-time", "1970-01-02")
    }

    @Test func aReplayToBeforeTheFirstRecordSaysThatThereIsNothing() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + ".sqlite"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let result = try Tool.run(
            "replay", fixture.path, "--into", path, "--to-sequence", "1", "--exclusive")
        #expect(result.status == 0)
        #expect(result.output.contains("empty, as the store was before its first commit"))
    }
}
