import Foundation
import TestSupport
import Testing
import WriteBehind

@Suite struct HistoryTests {
    @Test func everyVersionSaysWhatChanged() async throws {
        let fixture = try await Fixture.closed()
        let result = try Tool.run("history", fixture.path, "flight", "3")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.count == 2)
        #expect(result.lines[1].hasSuffix("patch delay=100 (was 3)"))
        let json = try Tool.run("history", fixture.path, "flight", "4", "--json")
        #expect(json.lines.count == 2)
        #expect(json.lines[1].contains(#""operation":"delete""#))
        #expect(try Tool.run("history", fixture.path, "flight", "x").status == 2)
        #expect(try Tool.run("history", fixture.path, "plane", "1").status == 2)
    }

    @Test func rowsThatDifferAreListed() async throws {
        let fixture = try await Fixture.closed()
        let result = try Tool.run("diff", fixture.path, "11", "end")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines[0] == "~ flight[3] delay=3→100")
        #expect(result.lines[1].hasPrefix("- flight[4] carrier=\"UA\""))
        #expect(result.errors.contains("0 added, 1 removed, 1 changed"))
        #expect(try Tool.run("diff", fixture.path, "before-deploy", "end").status == 6)
        #expect(try Tool.run("diff", fixture.path, "1", "99").status == 6)
    }

    @Test func marksNameMoments() async throws {
        let fixture = Fixture()
        let store = try fixture.open()
        try await Fixture.fill(store)
        try store.mark("before deploy")
        try store.table(Flight.self).put(Flight(99, "AA"))
        try await fixture.close()
        let result = try Tool.run("diff", fixture.path, "before deploy", "end")
        #expect(result.lines.count == 1)
        #expect(result.output.hasPrefix("+ flight[99]"))
        #expect(
            try Tool.run("log", fixture.path, "--operation", "mark").output
                .contains("mark \"before deploy\""))
    }

    @Test func statisticsAreCounted() async throws {
        let fixture = try await Fixture.closed()
        let result = try Tool.run("stats", fixture.path)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("13 records in 13 commits"))
        let json = try Tool.run("stats", fixture.path, "--json")
        let object =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        #expect(object?["records"] as? Int == 13)
        let page = fixture.path + ".html"
        defer { try? FileManager.default.removeItem(atPath: page) }
        #expect(try Tool.run("stats", fixture.path, "--html", page).status == 0)
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.hasPrefix("<!doctype html>"))
        #expect(!html.contains("http"), "nothing is loaded from anywhere")
        #expect(try Tool.run("stats", fixture.path, "--html", page).status == 2)
    }
}
