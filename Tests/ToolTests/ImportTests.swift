import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// `import` guesses nothing, takes or refuses each row, and counts no row that is not there.
@Suite struct ImportTests {
    private func file(_ text: String, _ suffix: String) throws -> String {
        let path =
            FileManager.default.temporaryDirectory.path + "/wbtool-\(UUID().uuidString).\(suffix)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// Columns: id, name, photo (a nullable blob), weight (a nullable real).
    private static let schema = "id integer key, name text null, photo blob null, weight real null"

    @Test(arguments: [
        ("one field too many", "csv", "id,name\n1,Ada\n2,Lovelace, Ada\n", 3, "3 fields"),
        ("a comma at the end", "csv", "id,name\n1,Ada,\n", 2, "3 fields"),
        ("one field too few", "csv", "id,name\n1,Ada\n2\n", 3, "1 field"),
        ("text behind a quoted field", "csv", "id,name\n1,\"A\"da\n", 2, "closing quote"),
        ("a column twice", "csv", "id,name,NAME\n1,a,b\n", 1, "twice"),
        ("a literal without its end", "csv", "id,photo\n1,x'00ff1\n", 2, "is no blob"),
        ("an empty object", "ndjson", "{\"id\":1}\n{\"id\":2,\"photo\":{}}\n", 2, "is no blob"),
        ("another form", "ndjson", "{\"id\":2,\"photo\":{\"hex\":\"00ff\"}}\n", 1, "is no blob"),
        (
            "more than the form", "ndjson", "{\"id\":2,\"photo\":{\"blob\":\"0f\",\"a\":\"b\"}}\n",
            1, "blob"
        ),
        ("an odd digit", "ndjson", "{\"id\":2,\"photo\":{\"blob\":\"00f\"}}\n", 1, "is no blob"),
        ("a text for a blob", "ndjson", "{\"id\":2,\"photo\":\"00ff\"}\n", 1, "is no blob"),
        ("a blob for a text", "ndjson", "{\"id\":2,\"name\":{\"blob\":\"00\"}}\n", 1, "is no text"),
        ("no number", "ndjson", "{\"id\":2,\"weight\":{\"real\":\"heavy\"}}\n", 1, "is no real"),
        ("a name in two cases", "ndjson", "{\"id\":2,\"name\":\"a\",\"Name\":\"b\"}\n", 1, "twice"),
    ])
    func whatIsNoRowIsRefusedWithItsLine(
        what: String, format: String, text: String, line: Int, reason: String
    ) throws {
        let fixture = Fixture()
        let path = try file(text, format)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let result = try Tool.run(
            "import", fixture.path, "person", path, "--schema", Self.schema, "--create")
        #expect(result.status == 1, "\(what): \(result.output)")
        #expect(result.errors.hasPrefix("error: \"\(path)\", line \(line): "), "\(result.errors)")
        #expect(result.errors.contains(reason), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: fixture.path), "nothing was written")
    }

    @Test func theDocumentedFormsAreTaken() throws {
        let fixture = Fixture()
        let json = try file(
            """
            {"id":1,"photo":{"blob":"00FF"},"weight":{"real":"inf"}}
            {"id":2,"photo":null,"weight":3}

            """, "ndjson")
        let csv = try file("photo,id,weight\nx'0a',3,\n0b,4,1.5\n\"\",5,\n", "csv")
        for path in [json, csv] {
            let result = try Tool.run(
                "import", fixture.path, "person", path, "--schema", Self.schema, "--create")
            #expect(result.status == 0, "\(result.errors)")
        }
        let log = try Tool.run("log", fixture.path, "--operation", "put")
        for part in [
            "photo=x'00ff' weight=inf", "photo=NULL weight=3.0", "photo=x'0a' weight=NULL",
            "photo=x'0b' weight=1.5", "photo=x'' weight=NULL",
        ] { #expect(log.output.contains(part), "\(log.output)") }
    }

    @Test func rowsInQuarantineAreCountedApart() async throws {
        let fixture = try await Fixture.closed()
        let queue = try DatabaseQueue(path: fixture.path + "/database.sqlite")
        try await queue.write {
            try $0.execute(sql: "CREATE UNIQUE INDEX one_note ON flight (note)")
        }
        try queue.close()
        let csv = try file("number,carrier,note\n20,AA,same\n21,AA,same\n22,AA,other\n", "csv")
        let result = try Tool.run("import", fixture.path, "flight", csv)
        #expect(result.status == 3, "\(result.output)\(result.errors)")
        #expect(result.lines[0] == "3 rows written to the log for flight")
        #expect(result.lines[1].hasPrefix("1 of them in quarantine"))
        let again = try file("number,carrier\n23,AA\n", "csv")
        let json = try Tool.run("import", fixture.path, "flight", again, "--json")
        #expect(json.status == 0, "what was refused before is not of this file")
        #expect(json.output.contains(#""rows":1,"quarantined":0"#))
    }

    @Test func aStoreIsMadeOnlyWhenThatIsSaid() throws {
        let fixture = Fixture()
        let csv = try file("id\n1\n", "csv")
        let refused = try Tool.run(
            "import", fixture.path, "person", csv, "--schema", Self.schema)
        #expect(refused.status == 2)
        #expect(refused.errors.hasSuffix("--create makes one.\n"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: fixture.path))
        let made = try Tool.run(
            "import", fixture.path, "person", csv, "--schema", Self.schema, "--create")
        #expect(made.status == 0, "\(made.errors)")
    }

    @Test func aFileWhoseNameDoesNotSayItsFormatNeedsTheOption() async throws {
        let fixture = try await Fixture.closed()
        let text = try file("number,carrier\n20,AA\n", "txt")
        let refused = try Tool.run("import", fixture.path, "flight", text)
        #expect(refused.status == 2)
        #expect(refused.errors.contains("--format"))
        #expect(try Tool.run("import", fixture.path, "flight", text, "--format", "csv").status == 0)
    }
}
