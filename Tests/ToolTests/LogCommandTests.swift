import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

@Suite struct LogCommandTests {
    @Test func aLineReadsLikeASentence() async throws {
        let fixture = try await Fixture.closed()
        let before = try fixture.contents()
        let result = try Tool.run("log", fixture.path)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.count == 13)
        #expect(result.lines[0].contains(" flight define (number integer key, carrier text"))
        #expect(result.lines[0].hasPrefix("#1  20"), "the first line has the date")
        #expect(result.lines[11].hasSuffix(" flight[3] patch delay=100"))
        #expect(result.lines[12].hasSuffix(" flight[4] delete"))
        #expect(try fixture.contents() == before, "reading changes nothing")
    }

    @Test func conditionsAreAllHeld() async throws {
        let fixture = try await Fixture.closed()
        func sequences(_ arguments: String...) throws -> [String] {
            let (process, output, _) = Tool.process(["log", fixture.path] + arguments)
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return String(decoding: data, as: UTF8.self).split(separator: "\n")
                .map { String($0.prefix { $0 != " " }) }
        }
        #expect(try sequences("--from", "12") == ["#12", "#13"])
        #expect(try sequences("--from", "3", "--to", "4") == ["#3", "#4"])
        #expect(try sequences("--key", "3") == ["#5", "#12"])
        #expect(try sequences("--operation", "delete") == ["#13"])
        #expect(try sequences("--where", "carrier=UA", "--limit", "2") == ["#2", "#4"])
        #expect(try sequences("--table", "FLIGHT", "--reverse", "--limit", "2") == ["#13", "#12"])
        #expect(try sequences("--since", "1h").count == 13)
        #expect(try sequences("--until", "1h") == [])
        #expect(try sequences("--from", "100") == [])
    }

    @Test func jsonAndCSVAreForPrograms() async throws {
        let fixture = try await Fixture.closed()
        let json = try Tool.run(
            "log", fixture.path, "--json", "--key", "3", "--operation", "patch")
        let object =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        #expect(object?["v"] as? Int == 1)
        #expect(object?["sequence"] as? Int == 12)
        #expect((object?["key"] as? [String: Int]) == ["number": 3])
        #expect((object?["values"] as? [String: Int]) == ["delay": 100])
        #expect(object?["durable"] as? Bool == true)
        let csv = try Tool.run("log", fixture.path, "--format", "csv", "--from", "13")
        #expect(csv.lines.count == 2)
        #expect(csv.lines[1].hasSuffix(#",13,delete,flight,"{""number"":4}",,true"#))
    }

    @Test func controlCharactersNeverReachTheTerminal() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        try store.table(Flight.self).put(Flight(1, "\u{1B}[2J\u{7}", note: "\u{202E}evil"))
        try await store.close()
        let result = try Tool.run("log", fixture.path)
        #expect(result.output.contains(#"carrier="\u{1b}[2J\u{7}""#))
        #expect(!result.output.utf8.contains(0x1B))
        #expect(!result.output.unicodeScalars.contains("\u{202E}"))
    }

    @Test func ofALiveStoreWhatIsDurableIsPrinted() async throws {
        let fixture = try await Fixture.live()
        let result = try Tool.run("log", fixture.path)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.count == 13)
        try await fixture.close()
    }

    @Test func followShowsWhatIsWrittenMeanwhile() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        try await store.waitForAll(.durable)
        let (process, output, _) = Tool.process(["log", fixture.path, "--follow", "--limit", "31"])
        try process.run()
        for number in 0..<30 {
            try flights.put(Flight(number, "UA"))
            try await Task.sleep(for: .milliseconds(10))
        }
        try await store.close()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(text.split(separator: "\n").count == 31)
    }

    @Test func followGoesOnAcrossSegments() async throws {
        let fixture = Fixture()
        let store = try fixture.open { $0.segmentSize = 64 << 10 }
        let flights = try store.table(Flight.self)
        try await store.waitForAll(.durable)
        let (process, output, _) = Tool.process([
            "log", fixture.path, "--follow", "--limit", "301", "--json",
        ])
        try process.run()
        var random = SystemRandomNumberGenerator()
        for number in 0..<300 {
            let noise = (0..<400).map { _ in String(random.next(), radix: 36) }.joined()
            try flights.put(Flight(number, "UA", note: noise))
            if number % 10 == 0 { try await store.waitForAll(.durable) }
        }
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(text.split(separator: "\n").count == 301)
        #expect(fixture.segments.count > 2)
        try await fixture.close()
    }

    @Test func whatADeadWriterLeftIsShown() async throws {
        let fixture = try await Fixture.killed()
        let result = try Tool.run("log", fixture.path)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.count == 13)
    }

    @Test func aTornLogIsPrintedAndNamed() async throws {
        let fixture = try await Fixture.torn()
        let before = try fixture.contents()
        let result = try Tool.run("log", fixture.path)
        #expect(result.status == 4)
        #expect(result.lines.count == 13)
        #expect(result.errors.contains("torn after #13"))
        #expect(try fixture.contents() == before)
    }

    /// Damage that opening finds, in the first segment; and damage that it does not, in a segment that was sealed long
    /// before, in a block's content or in its header.
    @Test(arguments: ["first", "content", "header"])
    func reverseGoesOnBehindDamageAndShowsItWhereItLies(_ place: String) async throws {
        let fixture = Fixture()
        for round in 0..<3 {
            let store = try fixture.open()
            let flights = try store.table(Flight.self)
            for number in 0..<3 {
                try await store.waitForAll(.materialized)
                try flights.put(Flight(10 * round + number, "UA"))
            }
            try await fixture.close()
        }
        let forward = try Tool.run("log", fixture.path, "--utc").lines
        try #require(forward.count == 10)
        let path = fixture.segments[place == "first" ? 0 : 1]
        guard case .opened(let file) = try SegmentReader.open(path, on: PosixDisk()) else { return }
        let block = try file.headers()[place == "first" ? 2 : 1]
        let lost = block.header.firstSequence
        try fixture.flip(
            byte: block.offset + (place == "header" ? 20 : BlockHeader.byteCount + 8), of: path)
        let result = try Tool.run("log", fixture.path, "--utc", "--reverse")
        #expect(result.status == 5)
        var expected = Array(forward.reversed())
        let index = expected.count - Int(lost)
        #expect(result.lines.indices.contains(index))
        #expect(
            result.lines[index].hasPrefix("-- \(path) at offset \(block.offset): ")
                && result.lines[index].contains("#\(lost) is lost"), "\(result)")
        expected[index] = result.lines[index]
        #expect(result.lines == expected)
        let last = try Tool.run("log", fixture.path, "--utc", "--reverse", "--limit", "1")
        #expect(last.lines == [expected[0]] && last.status == 0)
        let filtered = try Tool.run(
            "log", fixture.path, "--reverse", "--from", "\(lost)", "--to", "\(lost + 1)")
        #expect(filtered.lines.count == 2, "\(filtered)")
    }

    @Test func damageIsShownWhereItLiesAndWhatFollowsIsPrinted() async throws {
        let fixture = try await Fixture.corrupt()
        let result = try Tool.run("log", fixture.path)
        #expect(result.status == 5)
        try #require(result.lines.count == 2, "\(result)")
        #expect(result.lines[0].hasPrefix("-- \(fixture.segments[0]) at offset 128: "))
        #expect(result.lines[0].contains("; #1 to #13 are lost, 13 records"))
        #expect(result.lines[1].contains("#14 ") && result.lines[1].contains("flight[50] put"))
        #expect(result.errors.contains("sequence 1 is lost"))
        let json = try Tool.run("log", fixture.path, "--json", "--table", "flight")
        #expect(json.lines[0].contains(#""damage":{"severity":"corrupt""#), "\(json.output)")
        #expect(try Tool.run("log", fixture.path, "--from", "14").lines.count == 1)
        let csv = try Tool.run("log", fixture.path, "--format", "csv")
        #expect(csv.lines.count == 2 && csv.errors.contains("#1 to #13 are lost"))
    }

    @Test(arguments: [
        ["log"], ["log", "STORE", "--since", "yesterday"], ["log", "STORE", "--operation", "fly"],
        ["log", "STORE", "--table", "plane"], ["log", "STORE", "--follow", "--reverse"], ["fly"],
    ])
    func wrongUsageEndsWithTwo(arguments: [String]) async throws {
        let fixture = try await Fixture.closed()
        let (process, output, errors) = Tool.process(
            arguments.map { $0 == "STORE" ? fixture.path : $0 })
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 2)
        #expect(output.fileHandleForReading.readDataToEndOfFile().isEmpty)
        #expect(!errors.fileHandleForReading.readDataToEndOfFile().isEmpty)
    }

    @Test func whatIsNoStoreIsAnError() throws {
        let result = try Tool.run("log", "/nonexistent/airport")
        #expect(result.status == 1)
        #expect(result.errors.contains("there is no such directory"))
    }
}
