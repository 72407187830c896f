import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// `writebehind stats --postgresql`, run as a process.
    @Suite struct ToolStatsTests {
        private func stats(_ test: TestStore, at url: String? = nil, _ more: String...) throws
            -> Tool.Result
        {
            try Tool.run(
                [
                    "stats", test.path, "--postgresql", url ?? test.database.url, "--progress",
                    "none",
                ]
                    + more)
        }

        private func object(_ result: Tool.Result) throws -> [String: Any] {
            let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            return try #require(json as? [String: Any], "\(result)")
        }

        private func size(of table: String, _ object: [String: Any]) -> Int? {
            let sizes = object["sizes"] as? [[String: Any]] ?? []
            return sizes.first { $0["table"] as? String == table }?["databaseBytes"] as? Int
        }

        @Test func theSizesOnTheServerAreShownBesideTheLogs() async throws {
            let test = try await ToolVerifyTests.played()
            // No other table of the database counts.
            try test.database.run("CREATE TABLE other AS SELECT generate_series(1, 10000)")
            let url = test.database.url.replacing("postgres@", with: "postgres:secret@")
            let result = try stats(test, at: url)
            #expect(result.status == 0, "\(result)")
            #expect(result.words.contains("the database is postgresql://postgres@"), "\(result)")
            #expect(result.words.contains("KiB player"), "\(result)")
            #expect(!result.words.contains("other"), "\(result)")
            #expect(result.lines.allSatisfy { $0.count <= 80 }, "\(result)")
            let json = try object(try stats(test, at: url, "--json"))
            let bytes = try test.database.value("SELECT pg_total_relation_size('player')")
            #expect(json["databaseBytes"] as? Int == bytes.flatMap { Int($0) })
            #expect(size(of: "player", json) == json["databaseBytes"] as? Int)
            let place = json["database"] as? String
            #expect(place?.hasPrefix("postgresql://postgres@") == true, "\(json)")
            let page = test.path + ".html"
            defer { try? FileManager.default.removeItem(atPath: page) }
            #expect(try stats(test, at: url, "--html", page).status == 0)
            let html = try String(contentsOfFile: page, encoding: .utf8)
            #expect(html.contains("The database is postgresql://postgres@"))
            #expect(!(html + result.output + result.errors + "\(json)").contains("secret"))
        }

        @Test func aTableInPartsHasTheSizeOfItsParts() async throws {
            let test = try TestStore()
            try test.database.run(
                """
                CREATE TABLE player (id bigint PRIMARY KEY, name text, score bigint, team text)
                  PARTITION BY RANGE (id);
                CREATE TABLE low PARTITION OF player FOR VALUES FROM (MINVALUE) TO (5);
                CREATE TABLE high PARTITION OF player FOR VALUES FROM (5) TO (MAXVALUE);
                """)
            let store = try test.open()
            for id in 0..<10 { try store.table(Player.self).put(Player(id: id)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            let json = try object(try stats(test, "--json"))
            let parts = try test.database.value(
                "SELECT pg_total_relation_size('low') + pg_total_relation_size('high')")
            #expect(size(of: "player", json) == parts.flatMap { Int($0) }, "\(json)")
        }

        @Test func aStoreThatIsWrittenHasSizes() async throws {
            let test = try TestStore()
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            let json = try object(try stats(test, "--json"))
            #expect(size(of: "player", json) ?? 0 > 0, "\(json)")
            try await store.close(deadline: .hang)
        }

        @Test func withoutTheAddressANoteSaysWhereTheDatabaseIs() async throws {
            let test = try await ToolVerifyTests.played()
            let result = try Tool.run("stats", test.path, "--json")
            #expect(result.status == 0, "\(result)")
            #expect(result.errors.contains("note: the store's database is postgresql://"))
            #expect(result.errors.contains("--postgresql gives the sizes there"))
            let json = try object(result)
            #expect(json["databaseBytes"] is NSNull && json["database"] is String, "\(json)")
        }

        @Test func aServerThatHasNothingOfTheStoreIsSaid() async throws {
            let (test, other) = (try await ToolVerifyTests.played(), try TestStore())
            let empty = try stats(test, at: other.database.url)
            #expect(empty.status == 0, "\(empty)")
            #expect(empty.errors.contains("note: the database has nothing of the store yet"))
            let foreign = try stats(test, at: try await ToolVerifyTests.played().database.url)
            #expect(foreign.status == 1, "\(foreign)")
            #expect(foreign.errors.contains("the database: it belongs to another store"))
            #expect(foreign.output.isEmpty)
        }

        @Test func aServerThatIsNotThereIsAnError() async throws {
            let test = try await ToolVerifyTests.played()
            let result = try stats(test, at: "postgresql://postgres:secret@%2Fnowhere/t1")
            #expect(result.status == 1 && result.output.isEmpty, "\(result)")
            #expect(result.errors.contains("/nowhere") && !result.errors.contains("secret"))
        }
    }
}
