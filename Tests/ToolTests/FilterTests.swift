import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// Which records `log`, `history` and `diff` choose.
@Suite struct FilterTests {
    private static func sequences(_ result: Tool.Result) -> String {
        result.lines.map { String($0.prefix { $0 != " " }) }.joined(separator: " ")
    }

    @Test(arguments: [
        (["delay>=8"], "#10 #11 #12"), (["delay>99"], "#12"), (["delay<2"], "#2 #3"),
        (["delay<=1", "carrier!=UA"], "#3"), (["delay!=100", "delay>=8"], "#10 #11"),
        (["number=3"], "#5 #12"), (["number>=9"], "#11"), (["NUMBER=9"], "#11"),
        (["note=null", "delay=5"], "#7"), (["note!=null"], ""), (["note!=x"], ""),
        (["carrier='UA'", "delay<3"], "#2 #4"), (["\"delay\"=100"], "#12"),
    ])
    func conditionsCompareAsTheirColumns(conditions: [String], expected: String) async throws {
        let fixture = try await Fixture.closed()
        let options = conditions.flatMap { ["--where", $0] }
        let result = try Tool.run(["log", fixture.path] + options)
        #expect(result.status == 0, "\(result.errors)")
        #expect(Self.sequences(result) == expected)
        let reverse = try Tool.run(["log", fixture.path, "--reverse"] + options)
        #expect(
            Set(reverse.lines.map { $0.prefix { $0 != " " } })
                == Set(result.lines.map { $0.prefix { $0 != " " } }))
    }

    @Test(arguments: [
        (["--where", "fly=1"], "there are: flight has number, carrier, delay, note"),
        (["--where", "delay=soon"], "delay is integer"),
        (["--where", "delay<null"], "write = or !="),
        (["--where", "delay"], "a column, then one of"),
        (["--changed", "fly"], "flight has number"),
        (["--changed", "number"], "part of the key"), (["--key", "x"], "flight[number integer]"),
        (["--key", "1,2"], "flight[number integer]"), (["--table", "plane"], "there are: flight"),
        (["--changed", "delay", "--reverse"], "leave --reverse out"),
    ])
    func whatNoTableCanHaveIsAUsageErrorThatNamesWhatThereIs(
        options: [String], words: String
    ) async throws {
        let fixture = try await Fixture.closed()
        let result = try Tool.run(["log", fixture.path] + options)
        #expect(result.status == 2)
        #expect(result.output.isEmpty)
        #expect(result.errors.replacing("\n", with: " ").contains(words), "\(result.errors)")
    }

    @Test func anEmptyAnswerSaysHowMuchWasLookedThrough() async throws {
        let fixture = try await Fixture.closed()
        for options in [["--where", "delay=77"], ["--key", "77", "--reverse"], ["--from", "90"]] {
            let result = try Tool.run(["log", fixture.path] + options)
            #expect(result.status == 0 && result.output.isEmpty)
            let said = "note: 0 of 13 records match; the log spans #1 to #13, 20"
            #expect(result.errors.hasPrefix(said), "\(result.errors)")
        }
        let empty = Fixture()
        _ = try empty.open()
        try await empty.close()
        #expect(try Tool.run("log", empty.path).errors.contains("0 of 0 records"))
    }

    @Test func changesOfAColumnHaveItsOldValue() async throws {
        let fixture = try await Fixture.closed()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        try flights.put(Flight(5, "UA", delay: 5))  // as it is
        try flights.put(Flight(5, "UA", delay: 6))
        try await flights.update(6) { $0.carrier = "AA" }
        try store.transaction { try $0.clear(flights) }
        try flights.put(Flight(5, "UA", delay: 7))
        try await fixture.close()
        let text = try Tool.run("log", fixture.path, "--changed", "delay", "--from", "11")
        #expect(Self.sequences(text) == "#11 #12 #13 #15 #17 #18", "\(text.output)")
        #expect(text.lines[0].hasSuffix(#"put carrier="B6" delay=9 (new) note=NULL"#))
        #expect(text.lines[1].hasSuffix("flight[3] patch delay=100 (was 3)"))
        #expect(text.lines[2].hasSuffix("flight[4] delete delay (was 4)"))
        #expect(text.lines[5].contains("delay=7 (new)"))
        let json = try Tool.run(
            "log", fixture.path, "--changed", "delay", "--key", "5", "--where", "delay>5", "--json")
        #expect(json.lines.count == 2)
        #expect(
            json.lines[0].contains(
                #""values":{"carrier":"UA","delay":6,"note":null},"before":{"delay":5}"#))
        #expect(json.lines[1].contains(#""before":null"#))
        let csv = try Tool.run(
            "log", fixture.path, "--changed", "delay", "--key", "3", "--format", "csv")
        #expect(csv.lines[0].hasSuffix(",durable,before"))
        #expect(csv.lines[2].hasSuffix(#",true,"{""delay"":3}""#))
        let history = try Tool.run(
            "history", fixture.path, "flight", "5", "--changed", "delay", "--json")
        #expect(history.lines.count == 4, "\(history.output)")
        #expect(history.lines[1].contains(#""changed":{"delay":6},"before":{"delay":5}"#))
        let none = try Tool.run("history", fixture.path, "flight", "5", "--where", "delay>99")
        #expect(
            none.output.isEmpty && none.errors.contains("0 of 5 versions match"), "\(none.errors)")
    }

    /// A snapshot has the old values, so that the log before it need not be read, or be there.
    @Test func oldValuesComeFromASnapshotToo() async throws {
        let fixture = try await Fixture.closed()
        var store = try fixture.open()
        try await store.snapshot()
        try await fixture.close()
        store = try fixture.open()
        try await store.table(Flight.self).update(5) { $0.delay = 50 }
        try await fixture.close()
        try fixture.deleteOldestSegment()
        let result = try Tool.run("log", fixture.path, "--changed", "delay")
        #expect(result.lines.last?.hasSuffix("patch delay=50 (was 5)") == true, "\(result)")
    }

    /// By key, and by what keys begin with, exactly the records are found that a reader of all would choose.
    @Test func aKeyOrItsBeginningFindsExactlyItsRecords() async throws {
        let fixture = Fixture()
        let store = try NewStore(at: fixture.path)
        let wide = try ValueTable(
            store,
            TableSchema(
                "wide",
                [.key("day", .text), .key("n", .integer), .key("x", .blob), .column("v", .text)]))
        let other = try ValueTable(
            store, TableSchema("other", [.key("day", .text), .column("v", .text, nullable: true)]))
        let days = ["", "a", "a\0", "ab", "2013-01-01"]
        for day in days {
            try other.commit { try $0.put([.text(day), .text(day)]) }
            for number: Int64 in [-1, 0, 256] {
                try wide.commit { commit in
                    try commit.put([
                        .text(day), .integer(number), .blob([0]), .text("\(day)\(number)"),
                    ])
                    try commit.put([.text(day), .integer(number), .blob([]), .text("y")])
                }
            }
        }
        try await store.close()
        let all = try Tool.run("log", fixture.path, "--table", "wide", "--json").lines
        func key(_ line: String) -> [String: Any] {
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return object?["key"] as? [String: Any] ?? [:]
        }
        for day in days where !day.contains("\0") {
            let begins = try Tool.run(
                "log", fixture.path, "--table", "wide", "--key", day, "--json")
            #expect(begins.lines == all.filter { key($0)["day"] as? String == day })
            let longer = try Tool.run(
                "log", fixture.path, "--key", "\(day),256", "--json", "--limit", "9")
            #expect(
                longer.lines
                    == all.filter {
                        key($0)["day"] as? String == day && key($0)["n"] as? Int == 256
                    })
            let one = try Tool.run("log", fixture.path, "--key", "\(day),-1,00", "--reverse")
            #expect(one.lines.count == 1, "\(one)")
            // Both tables have keys that begin so.
            #expect(try Tool.run("log", fixture.path, "--key", day).lines.count == 7)
        }
        let marks = try Tool.run("log", fixture.path, "--operation", "mark")
        #expect(marks.output.isEmpty && marks.errors.contains("0 of 37 records"), "\(marks.errors)")
        #expect(try Tool.run("log", fixture.path, "--operation", "define").lines.count == 2)
    }

    @Test func aDifferenceIsFilteredByKeyValueAndColumn() async throws {
        let fixture = try await Fixture.closed()
        func lines(_ options: String...) throws -> [String] {
            let result = try Tool.run(["diff", fixture.path, "11", "end"] + options)
            #expect(result.status == 0, "\(result.errors)")
            return result.lines
        }
        #expect(try lines().count == 2)
        #expect(try lines("--key", "3") == ["~ flight[3] delay=3→100"])
        #expect(try lines("--where", "delay>50") == ["~ flight[3] delay=3→100"])
        #expect(try lines("--where", "delay=4").first?.hasPrefix("- flight[4]") == true)
        #expect(try lines("--changed", "carrier").count == 1)
        #expect(try Tool.run(["diff", fixture.path, "1", "end", "--where", "fly=1"]).status == 2)
    }
}
