import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// What a writer says of its secondary databases is in `status`: they may be anywhere, so nobody else can see them.
@Suite struct SecondaryStatusTests {
    private func status(_ fixture: Fixture, _ databases: String) throws -> (
        Tool.Result, Tool.Result
    ) {
        let text = #"{"databases":[\#(databases)],"process":1,"time":1700000000000}"#
        try Data(text.utf8).write(to: URL(fileURLWithPath: fixture.path + "/secondaries.json"))
        return (
            try Tool.run("status", fixture.path, "--utc"),
            try Tool.run("status", fixture.path, "--json")
        )
    }

    @Test func oneThatFollowsIsNamedWithItsPlace() async throws {
        let fixture = try await Fixture.closed()
        let (text, json) = try status(
            fixture, #"{"materialized":13,"name":"reports","quarantined":0,"refused":[]}"#)
        #expect(text.status == 0, "\(text)")
        #expect(
            text.words.contains(
                "secondary reports: #13, up to date; as its writer said at 2023-11-14 22:13:20"),
            "\(text)")
        #expect(
            json.output.contains(
                #""secondaries":[{"name":"reports","materialized":13,"quarantined":0,"cause":null}]"#
            ),
            "\(json)")
    }

    @Test func oneThatDoesNotFollowIsAWarningWithItsCause() async throws {
        let fixture = try await Fixture.closed()
        let (text, _) = try status(
            fixture,
            #"{"cause":"since 5 s (3 tries): down","materialized":3,"name":"a","quarantined":2,"refused":[]},"#
                + #"{"cause":"since 9 s (4 tries): refused","name":"b","quarantined":0,"refused":[]}"#
        )
        #expect(text.status == 3)
        #expect(
            text.words.contains(
                "a: #3, 10 records behind; 2 commits in its quarantine; "
                    + "it does not follow since 5 s (3 tries): down"), "\(text)")
        #expect(
            text.words.contains("b: not open yet; it does not follow since 9 s (4 tries): refused")
        )
    }

    @Test func itsQuarantineIsListedAndTriedAgainByTheWriter() async throws {
        let fixture = Fixture()
        let path = fixture.path + "-reports.sqlite"
        defer {
            for end in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: path + end)
            }
        }
        let store = try fixture.open(secondary: path)
        try await Fixture.fill(store)
        let secondary = try #require(store.secondaries.first)
        while secondary.reached != store.health.lag.staged {
            try await Task.sleep(for: .milliseconds(10))
        }
        let queue = try DatabaseQueue(path: path)
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_note ON flight (note)")
        }
        let flights = try store.table(Flight.self)
        for number in 30..<32 { try flights.put(Flight(number, "AA", note: "same")) }
        while store.quarantine(of: "reports")?.list().isEmpty != false {
            try await Task.sleep(for: .milliseconds(10))
        }
        let refused = try Tool.run("quarantine", "retry", fixture.path)
        #expect(refused.status == 3, "\(refused)")
        #expect(
            refused.output
                == "nothing is in quarantine\nreports: 0 left quarantine, 1 stay in quarantine\n")
        var list = Tool.Result(status: 0, output: "", errors: "")
        // The writer reports once a second.
        for _ in 0..<300 where list.status == 0 {
            try await Task.sleep(for: .milliseconds(100))
            list = try Tool.run("quarantine", "list", fixture.path, "--database", "reports")
        }
        #expect(list.status == 3 && list.lines.count == 1, "\(list)")
        #expect(list.output.contains("flight[31]: UNIQUE constraint failed: flight.note"))
        #expect(try Tool.run("quarantine", "list", fixture.path).status == 0)
        #expect(store.quarantine(of: "other") == nil)
        #expect(store.quarantine(of: "reports")?.list().map(\.rows) == [["flight[31]"]])
        try await queue.write { try $0.execute(sql: "DROP INDEX one_note") }
        try queue.close()
        let taken = try Tool.run("quarantine", "retry", fixture.path)
        #expect(taken.status == 0, "\(taken)")
        #expect(taken.output.contains("reports: 1 left quarantine, 0 stay in quarantine"))
        try await fixture.close()
        let unknown = try Tool.run("quarantine", "list", fixture.path, "--database", "other")
        #expect(unknown.status == 2 && unknown.errors.contains("it has reports"), "\(unknown)")
    }

    @Test func whatIsNoReportSaysNothing() async throws {
        let fixture = try await Fixture.closed()
        let (text, json) = try status(fixture, "nonsense")
        #expect(text.status == 0 && !text.output.contains("secondary"))
        #expect(json.output.contains(#""secondaries":[]"#))
    }
}
