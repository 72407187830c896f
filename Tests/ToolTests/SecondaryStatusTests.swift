import Foundation
import Testing

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

    private func words(_ result: Tool.Result) -> String {
        result.output.split { $0.isWhitespace }.joined(separator: " ")
    }

    @Test func oneThatFollowsIsNamedWithItsPlace() async throws {
        let fixture = try await Fixture.closed()
        let (text, json) = try status(
            fixture, #"{"materialized":13,"name":"reports","quarantined":0}"#)
        #expect(text.status == 0, "\(text)")
        #expect(
            words(text).contains(
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
            #"{"cause":"since 5 s (3 tries): down","materialized":3,"name":"a","quarantined":2},"#
                + #"{"cause":"since 9 s (4 tries): refused","name":"b","quarantined":0}"#)
        #expect(text.status == 3)
        #expect(
            words(text).contains(
                "a: #3, 10 records behind; 2 commits in its quarantine; "
                    + "it does not follow since 5 s (3 tries): down"), "\(text)")
        #expect(
            words(text).contains("b: not open yet; it does not follow since 9 s (4 tries): refused")
        )
    }

    @Test func whatIsNoReportSaysNothing() async throws {
        let fixture = try await Fixture.closed()
        let (text, json) = try status(fixture, "nonsense")
        #expect(text.status == 0 && !text.output.contains("secondary"))
        #expect(json.output.contains(#""secondaries":[]"#))
    }
}
