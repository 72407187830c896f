import Foundation
import TestSupport
import Testing
import WriteBehind

/// The tool's answer to a wrong call: one line that names the fault, and the exit code for it.
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

    /// What, where, and what to do.
    @Test func whatIsNoStoreIsCalledByWhatItIs() async throws {
        let fixture = try await Fixture.closed()
        let (link, file) = (fixture.path + "-link", fixture.path + "-file.zst")
        defer { for path in [link, file] { try? FileManager.default.removeItem(atPath: path) } }
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: "/nowhere/store")
        try expect(
            1,
            "error: \(link) is not a store: it is a symbolic link to /nowhere/store, which does not "
                + "exist\n", "status", link)
        try FileManager.default.createSymbolicLink(
            atPath: file, withDestinationPath: fixture.segments[0])
        for command in ["log", "inspect", "verify"] {
            let result = try Tool.run(command, file)
            #expect(result.status == 1)
            #expect(
                result.errors.contains(
                    "is a symbolic link; give the file itself, \(fixture.segments[0])"), "\(result)"
            )
        }
        try expect(
            1,
            "error: \(fixture.segments[0]) is not a store: it is a file; a store is a directory\n",
            "status", fixture.segments[0])
        try FileManager.default.moveItem(atPath: fixture.segments[0], toPath: file + ".moved")
        defer { try? FileManager.default.removeItem(atPath: file + ".moved") }
        try FileManager.default.createSymbolicLink(
            atPath: fixture.path + "/log/00000000000000000001.zst",
            withDestinationPath: file + ".moved")
        let result = try Tool.run("status", fixture.path)
        #expect(
            result.status == 1
                && result.errors.contains("not followed; put the file itself in its place"))
    }

    @Test func whatMayNotBeReadSaysWhoMay() async throws {
        let fixture = try await Fixture.closed()
        for path in ["", "/log"] {
            #expect(chmod(fixture.path, 0o755) == 0 && chmod(fixture.path + path, 0o700) == 0)
            for command in ["status", "log", "verify", "recover", "stats"] {
                let result = try Tool.runAsNobody([command, fixture.path])
                #expect(result.status == 1)
                #expect(
                    result.errors.contains(
                        "Permission denied; run it as the user who owns the store, or as root"),
                    "\(command): \(result.errors)")
            }
        }
    }

    @Test func whatDoesNotExistIsToldWithWhatDoes() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + ".csv"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "number,nothing\n1,AA\n".write(toFile: path, atomically: true, encoding: .utf8)
        try expect(
            1,
            "error: \"\(path)\", line 1: flight has no column "
                + "\"nothing\"; it has number, carrier, delay, note\n",
            "import", fixture.path, "flight", path)
        try expect(
            2,
            "Error: --since: \"25:00\" is no time; give 10:15, '2026-01-31 10:15', or how long ago: "
                + "90s, 5m, 2h, 1d.\n", "log", fixture.path, "--since", "25:00")
        try expect(
            6,
            "error: the log holds no mark \"x\"; `writebehind log --operation mark` lists those it "
                + "holds\n", "diff", fixture.path, "mark:x", "end")
        try expect(
            1,
            "error: no commit 5 is in quarantine; `writebehind quarantine list` shows those that are\n",
            "quarantine", "show", fixture.path, "5")
    }

    @Test func anErrorIsNotWrittenBehindAProgressBar() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + ".csv"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "number,carrier\nx,AA\n".write(toFile: path, atomically: true, encoding: .utf8)
        let result = try Tool.run("import", fixture.path, "flight", path, "--progress", "bar")
        #expect(result.errors.contains("\r\u{1B}[Kerror: "), "\(result.errors)")
        let empty = try Tool.run("quarantine", "retry", fixture.path)
        #expect(empty.status == 0 && empty.output == "nothing is in quarantine\n")
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
            2, "error: --row: ", "quarantine", "correct", fixture.path, "4", "--table", "flight",
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
            #expect(text.contains("is out of reach: log and snapshots hold 2"), "\(text)")
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
