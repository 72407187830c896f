import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// `status` says why a database is behind, and its exit code reports a stalled store.
@Suite struct StatusCauseTests {
    private func json(_ result: Tool.Result) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return object as? [String: Any] ?? [:]
    }

    private func causes(_ status: [String: Any]) -> [String] {
        (status["causes"] as? [[String: Any]] ?? []).compactMap { $0["cause"] as? String }
    }

    @Test func aStoreWhoseDatabaseIsLockedIsStalledAndSaysByWhom() async throws {
        let fixture = try await Fixture.live()
        try fixture.whileLocked {
            try fixture.store?.table(Flight.self).put(Flight(70, "AA"))
            #expect(fixture.hasReport(), "the writer says nothing")
            // A second must have passed before the tool calls the store stalled, or its database locked.
            Thread.sleep(forTimeInterval: 1.5)
            let patient = try Tool.run("status", fixture.path, "--stalled-after", "86400", "--json")
            #expect(patient.status == 0, "\(patient.output)")
            let result = try Tool.run("status", fixture.path, "--stalled-after", "1", "--json")
            #expect(result.status == 9, "\(result.output)\(result.errors)")
            let status = try json(result)
            #expect(status["stalled"] as? Bool == true)
            #expect(causes(status).contains("locked"), "\(result.output)")
            #expect(causes(status).contains("reported"), "the writer's own words")
            let text = try Tool.run("status", fixture.path, "--stalled-after", "1")
            #expect(text.output.contains("stalled, written by process"), "\(text.output)")
            #expect(text.output.contains("holds\n") || text.output.contains("holds the"))
            #expect(text.lines.allSatisfy { $0.count <= 80 }, "\(text.output)")
        }
        try await fixture.store?.waitForAll(.materialized, timeout: .seconds(300))
        let hasNoReport = await eventually {
            !FileManager.default.fileExists(atPath: fixture.path + "/health.json")
        }
        #expect(hasNoReport, "the writer is well and takes its report back")
        let result = try Tool.run("status", fixture.path, "--stalled-after", "1", "--json")
        #expect(result.status == 0, "\(result.output)")
        #expect(causes(try json(result)).isEmpty, "\(result.output)")
        try await fixture.close()
    }

    @Test func aDeadWritersLastReportIsShown() async throws {
        let live = try await Fixture.live()
        let fixture = Fixture()
        try live.whileLocked {
            try live.store?.table(Flight.self).put(Flight(70, "AA"))
            #expect(live.hasReport())
            try live.copyWhileReporting(to: fixture)
        }
        try await live.close()
        let result = try Tool.run("status", fixture.path)
        #expect(result.status == 3, "\(result.output)\(result.errors)")
        let words = result.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(words.contains("no process has the store open"), "\(words)")
        #expect(words.contains("the writer said before it ended"), "\(words)")
        #expect(words.contains("database is locked"), "\(words)")
        let store = try fixture.open()
        try await store.waitForAll(.materialized, timeout: .seconds(300))
        try await fixture.close()
        #expect(!FileManager.default.fileExists(atPath: fixture.path + "/health.json"))
        #expect(try Tool.run("status", fixture.path).status == 0)
    }

    @Test func ratesAreShownBetweenTwoLooks() async throws {
        let fixture = try await Fixture.live()
        let result = try Tool.run(
            "status", fixture.path, "--rates", "--interval", "0.1", "--tables", "--json")
        let status = try json(result)
        let rates = try #require(status["rates"] as? [String: Any])
        #expect(rates["written"] as? Double == 0 && rates["secondsToCatchUp"] as? Double == 0)
        let tables = try #require(status["tables"] as? [String: Any])
        let sizes = tables["sizes"] as? [[String: Any]] ?? []
        #expect(sizes.contains { $0["table"] as? String == "flight" }, "\(result.output)")
        let sum = sizes.compactMap { $0["bytes"] as? Int }.reduce(0, +)
        #expect(sum + (tables["free"] as? Int ?? 0) == tables["total"] as? Int)
        try await fixture.close()
    }

    @Test func everyStateFits80Columns() async throws {
        for fixture in [
            try await Fixture.closed(), try await Fixture.live(), try await Fixture.killed(),
            try await Fixture.torn(), try await Fixture.corrupt(),
        ] {
            let result = try Tool.run("status", fixture.path, "--rates", "--interval", "0.1")
            for line in result.lines {
                // A path is not broken: it is copied.
                #expect(line.count <= 80 || line.contains(fixture.path), "\(line)")
            }
            #expect(result.output.contains("checksums"), "what was not checked is said")
            try await fixture.close()
        }
    }

    /// The tool watches while the store is closed, removed and made again.
    @Test func watchingGoesOnWhileTheStoreIsClosedRemovedAndMadeAgain() async throws {
        let fixture = try await Fixture.live()
        let watch = try RunningTool("status", fixture.path, "--watch", "--interval", "0.1")
        #expect(watch.prints("; live; "))
        try await fixture.close()
        #expect(watch.prints("; closed; "))
        try FileManager.default.removeItem(atPath: fixture.path)
        #expect(watch.prints("there is no such directory"))
        try await Fixture.fill(try fixture.open())
        #expect(watch.prints("; live; "))
        #expect(watch.interrupt() == 0)
        #expect(!watch.text.contains("\u{1B}"), "no terminal, no control sequences")
        try await fixture.close()
    }
}
