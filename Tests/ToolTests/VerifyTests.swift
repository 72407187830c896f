import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

@Suite struct VerifyTests {
    @Test func aGoodStoreIsOK() async throws {
        let fixture = try await Fixture.closed()
        let before = try fixture.contents()
        let result = try Tool.run("verify", fixture.path, "--database")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(result.lines.last == "OK")
        #expect(result.output.contains("9 rows of 1 table compared at #13: all agree"))
        #expect(try fixture.contents() == before)
    }

    @Test func aLiveStoreIsChecked() async throws {
        let fixture = try await Fixture.live()
        let result = try Tool.run("verify", fixture.path, "--database")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        try await fixture.close()
    }

    @Test func aTornEndIsNamed() async throws {
        let fixture = try await Fixture.torn()
        let result = try Tool.run("verify", fixture.path, "--database")
        #expect(result.status == 4, "\(result.output)")
        #expect(result.output.contains("torn"))
    }

    @Test func aFlippedByteInASegmentIsFoundWithItsSequences() async throws {
        let fixture = try await Fixture.corrupt()
        let result = try Tool.run("verify", fixture.path)
        #expect(result.status == 5)
        #expect(result.output.contains("(E1: "))
        #expect(result.output.contains("are lost"))
        #expect(result.output.contains(fixture.segments[0]))
    }

    @Test(arguments: [
        (
            "UPDATE flight SET delay = 7 WHERE number = 3",
            "flight[3]: delay is 7 in the database, 100"
        ),
        ("DELETE FROM flight WHERE number = 9", "flight[9]: missing in the database"),
        ("INSERT INTO flight VALUES (77, 'XX', 1, NULL)", "flight[77]: in the database, not in"),
    ])
    func aChangedDatabaseRowIsNamed(sql: String, finding: String) async throws {
        let fixture = try await Fixture.closed()
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write { try $0.execute(sql: sql) }
        try queue.close()
        let result = try Tool.run("verify", fixture.path, "--database")
        #expect(result.status == 5)
        #expect(result.output.contains(finding), "\(result.output)")
        let json = try Tool.run("verify", fixture.path, "--database", "--json")
        let object =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        #expect(object?["verdict"] as? String == "corrupt")
        #expect((object?["differences"] as? [Any])?.count == 1)
        #expect(try Tool.run("verify", fixture.path).status == 0, "the log is good")
    }

    @Test func aMissingSegmentIsAGap() async throws {
        let fixture = try await Fixture.closed()
        for number in 50..<52 {
            let store = try fixture.open()
            try store.table(Flight.self).put(Flight(number, "AA"))
            try await fixture.close()
        }
        try FileManager.default.removeItem(atPath: fixture.segments[1])
        let result = try Tool.run("verify", fixture.path)
        #expect(result.status == 5)
        #expect(result.output.contains("#14 is lost"), "\(result.output)")
        let inspect = try Tool.run("inspect", fixture.path)
        #expect(inspect.status == 5)
    }

    @Test func aNewerFormatIsNotCalledDamage() async throws {
        let fixture = try await Fixture.closed()
        let path = fixture.path + "/store.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacing("\"format\":1", with: "\"format\":2")
            .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try Tool.run("verify", fixture.path).status == 8)
        #expect(try Tool.run("status", fixture.path).status == 8)
    }
}

@Suite struct InspectTests {
    @Test func segmentsAndBlocksAreListed() async throws {
        let fixture = try await Fixture.closed()
        let segments = try Tool.run("inspect", fixture.path)
        #expect(segments.status == 0, "\(segments.errors)")
        #expect(segments.lines[0].contains("first  last"))
        #expect(segments.lines[1].hasSuffix("sealed"))
        let blocks = try Tool.run("inspect", fixture.path, "--blocks")
        #expect(blocks.output.contains("durable"))
        let json = try Tool.run("inspect", fixture.path, "--blocks", "--json")
        let object =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        let first = (object?["segments"] as? [[String: Any]])?.first
        #expect(first?["records"] as? Int == 13)
        #expect(first?["sealed"] as? Bool == true)
    }

    @Test func stagingAndTornBytesAreShown() async throws {
        let fixture = try await Fixture.torn()
        let result = try Tool.run("inspect", fixture.path)
        #expect(result.status == 4)
        #expect(result.output.contains("torn: 100 B from offset"))
        #expect(result.output.contains("durable, as the write buffer (staging) says: #13"))
    }
}
