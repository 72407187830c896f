import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// `writebehind verify --postgresql`, run as a process.
    @Suite struct ToolVerifyTests {
        /// Ten players, one of them changed and one deleted, in the database and closed: #13 is the last.
        static func played() async throws -> TestStore {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            for id in 0..<10 { try players.put(Player(id: id, score: id)) }
            try await players.update(3) { $0.score = 100 }
            try players.delete(4)
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            return test
        }

        /// The same store; the database has refused its last commit, #14, which changes player 5.
        static func refused() async throws -> TestStore {
            let test = try await played()
            try test.database.run("ALTER TABLE player ADD CONSTRAINT few CHECK (score < 1000)")
            let store = try test.open()
            let players = try store.table(Player.self)
            try await players.update(5) { $0.score = 2000 }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            return test
        }

        private func verify(_ test: TestStore, _ more: String...) throws -> Tool.Result {
            try Tool.run(
                ["verify", test.path, "--postgresql", test.database.url, "--progress", "none"]
                    + more)
        }

        private func object(_ result: Tool.Result) throws -> [String: Any] {
            let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            return try #require(json as? [String: Any], "\(result)")
        }

        @Test func rowsThatAgreeAreOK() async throws {
            let test = try await Self.played()
            let result = try verify(test)
            #expect(result.status == 0, "\(result)")
            #expect(result.lines.last == "OK")
            #expect(result.output.contains("9 rows of 1 table compared at #13: all agree"))
            let json = try object(try verify(test, "--json"))
            #expect(json["verdict"] as? String == "good")
            let database = json["database"] as? [String: Any]
            #expect(database?["watermark"] as? Int == 13)
            #expect(!FileManager.default.fileExists(atPath: test.path + "/database.sqlite"))
        }

        @Test(arguments: [
            (
                "UPDATE player SET score = 7 WHERE id = 3",
                "player[3]: score is 7 in the database, 100 in the log"
            ),
            ("DELETE FROM player WHERE id = 9", "player[9]: missing in the database"),
            (
                "INSERT INTO player VALUES (77, 'X', 1, NULL)",
                "player[77]: in the database, not in the log"
            ),
        ])
        func aRowChangedByHandIsNamed(sql: String, finding: String) async throws {
            let test = try await Self.played()
            try test.database.run(sql)
            let result = try verify(test)
            #expect(result.status == 5)
            #expect(result.output.contains(finding), "\(result)")
            let json = try object(try verify(test, "--json"))
            #expect(json["verdict"] as? String == "corrupt")
            #expect((json["differences"] as? [Any])?.count == 1)
            #expect(try Tool.run("verify", test.path).status == 0, "the log is good")
        }

        @Test func aStoreThatIsWrittenIsComparedAtItsWatermark() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            for id in 0..<5000 { try players.put(Player(id: id, score: id)) }
            for _ in 0..<5 {
                let result = try verify(test)
                #expect(result.status == 0, "\(result)")
                for id in 0..<1000 { try await players.update(id) { $0.score += 1 } }
            }
            try await store.close(deadline: .hang)
        }

        @Test func eachTypeIsComparedAndSpellingsAreNone() async throws {
            let test = try TestStore()
            let store = try test.open()
            let rows = try store.table(Everything.self)
            for row in [Everything.plain, .extreme, .empty] { try rows.put(row) }
            let words = try store.table(Word.self)
            for text in ["", "a", "a\u{1}", "aa", "ä", "Z", "☃"] {
                for number in -1...1 { try words.put(Word(key: .init(text: text, number: number))) }
            }
            try store.table(Tag.self).put(Tag(name: "alone"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            let good = try verify(test)
            #expect(good.status == 0, "\(good)")
            #expect(good.output.contains("25 rows of 3 tables compared"))
            // Other spellings of the same values.
            try test.database.run(
                #"UPDATE everything SET json = '{"a":[1.0,null,"\u00e4"]}', decimal = 12.5000 WHERE name = 'plain'"#
            )
            let spelled = try verify(test)
            #expect(spelled.status == 0, "\(spelled)")
        }

        @Test(arguments: [
            ("json = '{\"a\": [2, null, \"ä\"]}'", "json"), ("json = NULL", "json"),
            ("decimal = 12.51", "decimal"), ("decimal = 'NaN'", "decimal"),
            ("real = 0.1000001", "real"),
            ("blob = blob || '\\x00'", "blob"), ("text = 'Text'", "text"),
            ("moment = moment + interval '1 millisecond'", "moment"),
            ("moment = moment + interval '1 microsecond'", "moment"),
            ("moment = 'infinity'", "moment"),
            ("seconds = seconds + interval '0.5 s'", "seconds"), ("number = NULL", "number"),
        ])
        func aColumnOfEachTypeThatDiffersIsNamed(change: String, column: String) async throws {
            let test = try TestStore()
            let store = try test.open()
            let rows = try store.table(Everything.self)
            for row in [Everything.plain, .extreme] { try rows.put(row) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            try test.database.run("UPDATE everything SET \(change) WHERE name = 'plain'")
            let result = try verify(test)
            #expect(result.status == 5, "\(result)")
            let lines = result.lines.filter { $0.hasPrefix("differs") }
            #expect(lines.count == 1, "\(result)")
            #expect(lines.first?.contains("\"plain\"]: \(column) ") ?? false, "\(lines)")
        }

        /// More rows than a page and a run hold, some of them long: nothing is lost between pages.
        @Test func manyRowsAreReadInPages() async throws {
            let test = try TestStore()
            let store = try test.open({ _ in }, { $0.cacheLimit = 128 << 20 })
            let players = try store.table(Player.self)
            let long = String(repeating: "x", count: 50_000)
            for id in 0..<3000 {
                try players.put(Player(id: id, name: id % 500 < 40 ? long : "short"))
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            try test.database.run("DELETE FROM player WHERE id IN (0, 1500, 2999)")
            try test.database.run("UPDATE player SET name = 'y' WHERE id IN (1, 64, 1024)")
            let result = try verify(test)
            let named = result.lines.filter { $0.hasPrefix("differs") }.compactMap {
                $0.split(separator: "[").dropFirst().first?.split(separator: "]").first
            }
            #expect(named == ["0", "1", "64", "1024", "1500", "2999"], "\(named)")
            #expect(result.output.contains("3,000 rows of 1 table compared"))
        }

        @Test func rowsInQuarantineAreLeftOut() async throws {
            let test = try await Self.refused()
            let result = try verify(test)
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("all agree; 1 in quarantine left out"))
        }

        // MARK: what cannot be compared

        @Test func aTableThatIsMissingIsSaid() async throws {
            let test = try await Self.played()
            try test.database.run("DROP TABLE player")
            let result = try verify(test)
            #expect(result.status == 5 && result.output.contains("table \"player\" is missing"))
        }

        @Test(arguments: [
            ("DROP COLUMN team", "column \"team\" is missing"),
            (
                "ALTER COLUMN score TYPE integer",
                "column \"score\" is integer and should be bigint"
            ),
        ])
        func aColumnThatDoesNotFitIsSaid(change: String, finding: String) async throws {
            let test = try await Self.played()
            try test.database.run("ALTER TABLE player \(change)")
            let result = try verify(test)
            #expect(result.status == 5, "\(result)")
            #expect(result.output.contains("table \"player\": \(finding)"), "\(result)")
        }

        @Test func aWatermarkThatIsMissingIsSaid() async throws {
            let test = try await Self.played()
            try test.database.run("DELETE FROM writebehind.watermark")
            let result = try verify(test)
            #expect(result.status == 5, "\(result)")
            #expect(result.words.contains("row in writebehind.watermark is missing"))
        }

        @Test func anotherHistoryIsSaid() async throws {
            let test = try await Self.played()
            try test.database.run("UPDATE writebehind.watermark SET chain = chain + 1")
            let result = try verify(test)
            #expect(result.status == 5, "\(result)")
            #expect(
                result.words.contains("watermark #13 belongs to another history than the log"))
        }

        @Test func aDatabaseThatIsAheadOfTheLogIsSaid() async throws {
            let test = try await Self.played()
            try test.database.run("UPDATE writebehind.watermark SET sequence = 99")
            let result = try verify(test)
            #expect(result.status == 5, "\(result)")
            #expect(result.words.contains("it reflects #99, and the log ends at #13"))
        }

        @Test func anotherStoresDatabaseIsSaid() async throws {
            let (test, other) = (try await Self.played(), try await Self.played())
            let result = try Tool.run(
                "verify", test.path, "--postgresql", other.database.url)
            #expect(result.status == 5, "\(result)")
            #expect(result.words.contains("database it belongs to another store"))
        }

        @Test func aDatabaseThatHasNothingYetIsAWarning() async throws {
            let (test, other) = (try await Self.played(), try TestStore())
            let result = try Tool.run(
                "verify", test.path, "--postgresql", other.database.url)
            #expect(result.status == 3, "\(result)")
            #expect(result.words.contains("it has nothing of the store yet"))
        }

        @Test func aServerThatIsNotThereIsAnError() async throws {
            let test = try await Self.played()
            let result = try Tool.run(
                "verify", test.path, "--postgresql",
                "postgresql://postgres:secret@%2Fnowhere/t1")
            #expect(result.status == 1, "\(result)")
            #expect(result.output.hasSuffix("not finished\n"), "\(result)")
            #expect(result.errors.contains("/nowhere"), "\(result)")
            #expect(!result.errors.contains("secret"))
        }

        @Test func aRoleThatMayOnlyReadIsEnough() async throws {
            let test = try await Self.played()
            let (role, name) = ("reader_of_\(test.database.name)", test.database.name)
            try test.database.run("CREATE ROLE \(role) LOGIN")
            let url = test.database.server.url(name, user: role)
            let refused = try Tool.run("verify", test.path, "--postgresql", url)
            #expect(refused.status == 1, "\(refused)")
            #expect(
                refused.errors.contains(
                    "error: the database: permission denied for schema writebehind (42501)"))
            try test.database.run(
                """
                GRANT USAGE ON SCHEMA writebehind, public TO \(role);
                GRANT SELECT ON ALL TABLES IN SCHEMA writebehind TO \(role);
                GRANT SELECT ON ALL TABLES IN SCHEMA public TO \(role);
                """)
            for command in [["verify"], ["status"], ["quarantine", "list"]] {
                let result = try Tool.run(command + [test.path, "--postgresql", url])
                #expect(result.status == 0, "\(result)")
            }
            try test.database.run("DROP OWNED BY \(role); DROP ROLE \(role)")
        }

        @Test func theStoresOwnDatabaseIsNamedIfNoAddressIsGiven() async throws {
            let test = try await Self.played()
            let result = try Tool.run("verify", test.path, "--database")
            #expect(result.status == 3, "\(result)")
            #expect(result.words.contains("give its address with --postgresql"))
            #expect(result.output.contains("postgresql://postgres@"))
        }

        @Test func aSecondDatabaseInTheDirectoryIsComparedWithANote() async throws {
            let test = try TestStore()
            let store = try await Store(
                at: test.path, databases: [.postgreSQL(test.database.url), .sqlite()],
                configuration: TestStore.configuration())
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(
                await eventually {
                    store.health.secondaries.first?.materialized == store.health.lag.staged
                })
            try await store.close(deadline: .hang)
            let result = try Tool.run("verify", test.path, "--database")
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("1 row of 1 table compared at #2: all agree"))
            #expect(result.errors.contains("this compares database.sqlite"), "\(result)")
            #expect(try verify(test).status == 0)
        }

        @Test func twoStoresInOneDatabaseAreEachComparedInTheirSchema() async throws {
            let test = try TestStore()
            let other = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
            defer { try? FileManager.default.removeItem(atPath: other) }
            try test.database.run("CREATE SCHEMA game")
            for (path, schema) in [(test.path, "public"), (other, "game")] {
                let store = try test.open(path: path, { $0.namespace = schema })
                try store.table(Player.self).put(Player(id: 1, name: schema))
                try await store.waitForAll(.materialized, timeout: .hang)
                try await store.close(deadline: .hang)
            }
            for path in [test.path, other] {
                let result = try Tool.run("verify", path, "--postgresql", test.database.url)
                #expect(result.status == 0, "\(result)")
            }
            let wrong = try Tool.run(
                "verify", other, "--postgresql", test.database.url, "--schema", "public")
            #expect(wrong.output.contains("name is \"public\" in the database"), "\(wrong)")
        }

        // MARK: shared tables

        /// A store that has added 60 to the column `likes` and 1 to `shares` of a shared table; another has added, too.
        private func counted() async throws -> TestStore {
            let test = try TestStore()
            let second = try TestStore(in: test.database)
            let (store, other) = (try test.open(), try second.open())
            let posts = try store.sharedTable(PostgreSQL.Post.self)
            let others = try other.sharedTable(PostgreSQL.Post.self)
            for id in 0..<30 {
                try posts.add(2, to: "likes", of: id)
                try others.add(5, to: "likes", of: id)
            }
            try posts.add(1, to: "shares", of: 3)
            for store in [store, other] {
                try await store.waitForAll(.materialized, timeout: .hang)
                try await store.close(deadline: .hang)
            }
            return test
        }

        @Test func ofASharedTableTheSumsAreCompared() async throws {
            let test = try await counted()
            try test.database.run(
                "UPDATE post SET likes = 0 WHERE id = 1; DELETE FROM post WHERE id = 2")
            let result = try verify(test)
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("2 sums of shared tables compared"), "\(result)")
            try test.database.run("UPDATE writebehind.applied SET sum = sum - 1 WHERE sum = 60")
            let wrong = try verify(test)
            #expect(wrong.status == 5, "\(wrong)")
            #expect(
                wrong.words.contains(
                    "post.likes: the store has added 59 by what the database says, 60 by the log"),
                "\(wrong)")
            let database = try object(try verify(test, "--json"))["database"] as? [String: Any]
            #expect(database?["sums"] as? Int == 2)
            #expect(database?["differing"] as? Int == 1)
        }

        @Test func sumsWithoutTheirWholeLogAreNotCompared() async throws {
            let test = try await counted()
            var store = try test.open()
            let receipt = try store.sharedTable(PostgreSQL.Post.self).add(.max, to: "likes", of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            let waiting = try verify(test)
            #expect(waiting.output.contains("2 sums of shared tables compared"), "\(waiting)")
            #expect(!waiting.output.contains("post.likes"), "\(waiting)")
            store = try test.open()
            try await store.quarantine.skip(receipt.sequence, reason: "too much")
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            let result = try verify(test)
            #expect(result.status == 0, "\(result)")
            #expect(
                result.words.contains(
                    "sums of shared tables not compared, because commits were given up at #"),
                "\(result)")
        }
    }
}
