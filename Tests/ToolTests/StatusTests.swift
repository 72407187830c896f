import Foundation
import TestSupport
import Testing

@Suite struct StatusTests {
    private func status(_ fixture: Fixture) throws -> (Tool.Result, [String: Any]) {
        let result = try Tool.run("status", fixture.path, "--json")
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return (result, object as? [String: Any] ?? [:])
    }

    @Test func aClosedStoreIsUpToDate() async throws {
        let fixture = try await Fixture.closed()
        let before = try fixture.contents()
        let (result, status) = try status(fixture)
        #expect(result.status == 0, "\(result.errors)")
        #expect(status["state"] as? String == "closed")
        #expect(status["durable"] as? Int == 13)
        #expect(status["materialized"] as? Int == 13)
        #expect((status["lag"] as? [String: Any])?["records"] as? Int == 0)
        let text = try Tool.run("status", fixture.path)
        #expect(text.output.contains("#1 to #13, 13 records in 1 segment"))
        #expect(text.lines.allSatisfy { $0.count <= 120 })
        #expect(try fixture.contents() == before)
    }

    @Test func aLiveStoreNamesItsWriter() async throws {
        let fixture = try await Fixture.live()
        let (result, status) = try status(fixture)
        #expect(result.status == 0)
        #expect(status["state"] as? String == "live")
        #expect(status["process"] as? Int == Int(ProcessInfo.processInfo.processIdentifier))
        try await fixture.close()
    }

    @Test func whatEndedBadlyHasItsOwnExitCode() async throws {
        let killed = try await Fixture.killed()
        #expect(try status(killed).1["state"] as? String == "ended")
        #expect(try status(killed).0.status == 0)
        let torn = try await Fixture.torn()
        #expect(try status(torn).1["state"] as? String == "torn")
        #expect(try status(torn).0.status == 4)
        let corrupt = try await Fixture.corrupt()
        try corrupt.flip(byte: 20, of: corrupt.segments[0])
        #expect(try status(corrupt).1["state"] as? String == "corrupt")
        #expect(try status(corrupt).0.status == 5)
    }

    /// A kill between store.json and what comes after it.
    @Test func aStoreThatWasKilledWhileItWasMadeIsAnEmptyOne() async throws {
        let fixture = try await Fixture.closed()
        for name in try FileManager.default.contentsOfDirectory(atPath: fixture.path)
        where name != "store.json" && name != "LOCK" {
            try FileManager.default.removeItem(atPath: fixture.path + "/" + name)
        }
        for command in ["status", "verify", "stats", "log", "recover"] {
            let result = try Tool.run(command, fixture.path)
            #expect(result.status == 0, "\(command): \(result.output)\(result.errors)")
        }
        #expect(try Tool.run("recover", fixture.path, "--apply").status == 0)
        #expect(try Tool.run("verify", fixture.path, "--database").status == 0)
    }

    @Test func aLostLogIsMissedByTheDatabase() async throws {
        let fixture = try await Fixture.closed()
        try FileManager.default.removeItem(atPath: fixture.path + "/log")
        let result = try Tool.run("verify", fixture.path)
        #expect(result.status == 5 && result.output.contains("E3"), "\(result.output)")
    }
}
