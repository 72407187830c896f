import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// The commands that open a store for writing.
@Suite struct WritingTests {
    private func file(_ text: String, _ suffix: String) throws -> String {
        let path =
            FileManager.default.temporaryDirectory.path + "/wbtool-\(UUID().uuidString).\(suffix)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func csvIsImportedThroughTheLog() async throws {
        let fixture = try await Fixture.closed()
        let csv = try file("number,carrier,note\n20,\"A,A\",\r\n21,UA,\"two\nlines\"\n", "csv")
        let result = try Tool.run("import", fixture.path, "flight", csv)
        #expect(result.status == 0, "\(result.errors)")
        let log = try Tool.run("log", fixture.path, "--from", "14")
        #expect(log.lines[0].hasSuffix(#"flight[20] put carrier="A,A" delay=NULL note=NULL"#))
        #expect(log.lines[1].hasSuffix(#"note="two\nlines""#))
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func aBadRowMeansThatNothingIsWritten() async throws {
        let fixture = try await Fixture.closed()
        let json = try file(
            "{\"number\":20,\"carrier\":\"AA\"}\n{\"number\":\"x\",\"carrier\":\"AA\"}\n", "ndjson")
        let result = try Tool.run("import", fixture.path, "flight", json)
        #expect(result.status == 1)
        #expect(result.errors.contains("line 2"))
        #expect(try Tool.run("log", fixture.path, "--from", "14").output.isEmpty)
    }

    @Test func aNewTableIsMadeFromASchema() async throws {
        let fixture = Fixture()
        let json = try file("{\"code\":\"UA\",\"name\":null}\n", "ndjson")
        let missing = try Tool.run("import", fixture.path, "airline", json)
        #expect(missing.status == 2)
        let result = try Tool.run(
            "import", fixture.path, "airline", json, "--create", "--schema",
            "code text key, name text null")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try Tool.run("log", fixture.path).output.contains(#"airline["UA"] put name=NULL"#))
    }

    @Test func nobodyWritesToALiveStore() async throws {
        let fixture = try await Fixture.live()
        let csv = try file("number,carrier\n20,AA\n", "csv")
        #expect(try Tool.run("import", fixture.path, "flight", csv).status == 7)
        #expect(try Tool.run("snapshot", "take", fixture.path).status == 7)
        try await fixture.close()
    }

    @Test func snapshotsAreTakenListedAndVerified() async throws {
        let fixture = try await Fixture.closed()
        #expect(try Tool.run("snapshot", "list", fixture.path).output.contains("no snapshots"))
        #expect(try Tool.run("snapshot", "take", fixture.path).status == 0)
        #expect(try Tool.run("snapshot", "verify", fixture.path).status == 0)
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: fixture.path + "/snapshots").first)
        try fixture.flip(byte: 400, of: fixture.path + "/snapshots/" + name)
        #expect(try Tool.run("snapshot", "verify", fixture.path).status == 5)
        #expect(try Tool.run("verify", fixture.path).status == 5)
    }

    @Test func quarantineIsListedSkippedAndPatched() async throws {
        let fixture = try await Fixture.closed()
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_note ON flight (note)")
        }
        try queue.close()
        let store = try fixture.open()
        let flights = try store.table(Flight.self)
        for number in 30..<33 { try flights.put(Flight(number, "AA", note: "same")) }
        // Throws, since the last of them is refused.
        try? await store.waitForAll(.materialized, timeout: .seconds(300))
        try await fixture.close()
        let list = try Tool.run("quarantine", fixture.path)
        #expect(list.status == 3, "\(list.output)\(list.errors)")
        #expect(list.lines.count == 2)
        let cause = "flight[31]: UNIQUE constraint failed: flight.note (INSERT"
        #expect(list.output.contains(cause), "what is wrong comes first, then the long statement")
        #expect(try Tool.run("status", fixture.path).status == 3)
        let show = try Tool.run("quarantine", "show", fixture.path, "15")
        #expect(show.output.contains("flight[31] put"), "\(show.output)\(show.errors)")
        let skip = try Tool.run("quarantine", "skip", fixture.path, "15", "--reason", "double")
        #expect(skip.status == 0, "\(skip.errors)")
        let patch = try Tool.run(
            "quarantine", "correct", fixture.path, "16", "--table", "flight", "--row",
            #"{"number":32,"carrier":"AA","note":"other"}"#, "--reason", "typing error")
        #expect(patch.status == 0, "\(patch.errors)")
        #expect(try Tool.run("quarantine", "list", fixture.path).status == 0)
        let retry = try Tool.run("quarantine", "retry", fixture.path)
        #expect(retry.status == 0, "\(retry.errors)")
        let verify = try Tool.run("verify", fixture.path, "--database")
        #expect(verify.status == 0, "\(verify.output)")
        #expect(try Tool.run("log", fixture.path, "--operation", "settle").lines.count == 2)
    }

    @Test func aRunningWriterTriesItsQuarantineAgainWhenTheToolAsks() async throws {
        let fixture = try await Fixture.live()
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_note ON flight (note)")
        }
        let flights = try #require(try fixture.store?.table(Flight.self))
        for number in 30..<32 { try flights.put(Flight(number, "AA", note: "same")) }
        try? await fixture.store?.waitForAll(.materialized, timeout: .seconds(300))
        let refused = try Tool.run("quarantine", "retry", fixture.path)
        #expect(refused.status == 3, "\(refused.output)\(refused.errors)")
        #expect(refused.output == "0 left quarantine, 1 stay in quarantine\n")
        try await queue.write { try $0.execute(sql: "DROP INDEX one_note") }
        try queue.close()
        let taken = try Tool.run("quarantine", "retry", fixture.path)
        #expect(taken.status == 0, "\(taken.output)\(taken.errors)")
        #expect(taken.output == "1 left quarantine, 0 stay in quarantine\n")
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
        try await fixture.close()
    }

    @Test func aWriterThatDoesNotAnswerIsNamedInTheError() async throws {
        let fixture = try await Fixture.live()
        var result = Tool.Result(status: 0, output: "", errors: "")
        // The writer looks once a second: sometimes just between the request and its end.
        for _ in 0..<20 where !result.errors.contains("did not answer") {
            result = try Tool.run("quarantine", "retry", fixture.path, "--timeout", "0")
            #expect(result.status == 7)
        }
        #expect(result.errors.contains("store.quarantine.retry()"), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: fixture.path + "/quarantine.retry"))
        try await fixture.close()
    }
}
