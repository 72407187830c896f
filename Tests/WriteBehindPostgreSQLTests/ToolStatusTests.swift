import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// What the tool says of a store whose database is a server's, and that it makes no other one for it.
    @Suite struct ToolStatusTests {
        private func hasSQLite(_ test: TestStore) -> Bool {
            FileManager.default.fileExists(atPath: test.path + "/database.sqlite")
        }

        @Test func withItsAddressTheServerIsAsked() async throws {
            let test = try await ToolVerifyTests.played()
            let result = try Tool.run(
                "status", test.path, "--postgresql", test.database.url, "--tables")
            #expect(result.status == 0, "\(result)")
            #expect(result.words.contains("/t"), "\(result)")
            #expect(result.words.contains(": #13, "))
            #expect(result.words.contains("up to date"))
            #expect(result.words.contains("KiB player"), "\(result)")
            let json = try Tool.run(
                "status", test.path, "--postgresql", test.database.url, "--json")
            #expect(json.output.contains(#""materialized":13"#), "\(json)")
            #expect(json.output.contains(#""database":"postgresql://postgres@"#), "\(json)")
        }

        @Test func withoutItsAddressItIsAsTheWriterSaid() async throws {
            let test = try await ToolVerifyTests.played()
            let result = try Tool.run("status", test.path)
            #expect(result.status == 0, "\(result)")
            let text = result.words
            #expect(text.contains("database postgresql://postgres@"), "\(result)")
            #expect(text.contains("#13, up to date; as its writer said at"), "\(result)")
            #expect(text.contains("quarantine no commits"))
        }

        @Test func thePasswordIsInNoFileAndNoWords() async throws {
            let test = try TestStore()
            let url = test.database.url.replacing("postgres@", with: "postgres:secret@")
            let store = try test.open(at: url)
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            for name in try FileManager.default.contentsOfDirectory(atPath: test.path) {
                let bytes = FileManager.default.contents(atPath: test.path + "/" + name)
                #expect(bytes?.range(of: Data("secret".utf8)) == nil, "\(name)")
            }
            for more in [[], ["--postgresql", url]] {
                let result = try Tool.run(["status", test.path] + more)
                #expect(result.status == 0, "\(result)")
                #expect(!(result.output + result.errors).contains("secret"))
            }
        }

        /// A killed writer could not say how far it came, but where its database is.
        @Test func aWriterSaysWhereItsDatabaseIsWhenItOpens() async throws {
            let test = try await ToolVerifyTests.played()
            try FileManager.default.removeItem(atPath: test.path + "/secondaries.json")
            let result = try Tool.run("status", test.path)
            #expect(result.words.contains("its writer has not said yet"), "\(result)")
            let report = try String(contentsOfFile: test.path + "/database.json", encoding: .utf8)
            #expect(report.hasPrefix(#"{"place":"postgresql://postgres@"#), "\(report)")
            // Opened with the file in its directory, the place is that again.
            let store = try await Store(at: test.path, configuration: TestStore.configuration())
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close()
            #expect(!FileManager.default.fileExists(atPath: test.path + "/database.json"))
            #expect(try Tool.run("verify", test.path, "--database").status == 0)
        }

        @Test func aServerThatIsGoneIsSaid() async throws {
            let test = try await ToolVerifyTests.played()
            let result = try Tool.run(
                "status", test.path, "--postgresql", "postgresql://postgres@%2Fnowhere/t1")
            #expect(result.status == 3, "\(result)")
            #expect(result.words.contains("/t1: cannot be read:"), "\(result)")
        }

        @Test func oneThatIsBehindWhileNobodyFollowsIsAWarning() async throws {
            let test = try await ToolVerifyTests.played()
            let target = try TestServer.shared.makeDatabase()
            let filled = try Tool.run(
                "replay", test.path, "--into", target.url, "--to", "10", "--progress", "none")
            #expect(filled.status == 0, "\(filled)")
            let result = try Tool.run("status", test.path, "--postgresql", target.url)
            #expect(result.status == 3, "\(result)")
            #expect(result.words.contains("3 records behind"), "\(result)")
            #expect(result.words.contains("no process has the store open"))
        }

        @Test func anotherHistoryIsSaid() async throws {
            let test = try await ToolVerifyTests.played()
            try test.database.run(
                "UPDATE writebehind.watermark SET sequence = 12, chain = 0")
            let result = try Tool.run("status", test.path, "--postgresql", test.database.url)
            #expect(result.status == 5, "\(result)")
            #expect(result.words.contains("another history than the log"), "\(result)")
        }

        @Test func quarantineIsListedAndShownAndRetriedWithTheAddress() async throws {
            let test = try await ToolVerifyTests.refused()
            let url = test.database.url
            let list = try Tool.run("quarantine", "list", test.path, "--postgresql", url)
            #expect(list.status == 3 && list.lines.count == 1, "\(list)")
            #expect(list.output.contains("player[5]:") && list.output.contains("few"), "\(list)")
            let said = try Tool.run("quarantine", "list", test.path)
            #expect(said.status == 3, "\(said)")
            #expect(said.output.contains("player[5]:") && said.errors.contains("as its writer"))
            let status = try Tool.run("status", test.path, "--postgresql", url)
            #expect(status.status == 3, "\(status)")
            #expect(status.words.contains("1 commit that hold 1 row"), "\(status)")
            #expect(try Tool.run("status", test.path).status == 3)
            let show = try Tool.run("quarantine", "show", test.path, "14", "--postgresql", url)
            #expect(show.status == 0 && show.output.contains("score=2000"), "\(show)")
            let unnamed = try Tool.run("quarantine", "show", test.path, "14")
            #expect(unnamed.status == 2 && unnamed.errors.contains("--postgresql"), "\(unnamed)")
            let still = try Tool.run("quarantine", "retry", test.path, "--postgresql", url)
            #expect(still.status == 3, "\(still)")
            try test.database.run("ALTER TABLE player DROP CONSTRAINT few")
            let taken = try Tool.run("quarantine", "retry", test.path, "--postgresql", url)
            #expect(taken.status == 0, "\(taken)")
            #expect(try test.players()[4].score == 2000)
            #expect(!hasSQLite(test))
        }

        /// Opened without the server, the store would make itself an SQLite database.
        @Test(arguments: [
            ["quarantine", "retry", "STORE"],
            ["quarantine", "skip", "STORE", "5", "--reason", "test"],
            ["undo", "STORE", "12", "--apply"], ["snapshot", "take", "STORE"],
            ["changes", "remove", "STORE", "nobody"],
        ])
        func aCommandThatWritesNeedsTheAddress(command: [String]) async throws {
            let test = try await ToolVerifyTests.played()
            let arguments = command.map { $0 == "STORE" ? test.path : $0 }
            let result = try Tool.run(arguments)
            #expect(result.status == 1, "\(result)")
            #expect(result.errors.contains("give its address with --postgresql"), "\(result)")
            #expect(!hasSQLite(test))
        }

        @Test func undoAndImportGoToTheServer() async throws {
            let test = try await ToolVerifyTests.played()
            let url = test.database.url
            let undone = try Tool.run("undo", test.path, "12", "--apply", "--postgresql", url)
            #expect(undone.status == 0, "\(undone)")
            #expect(try test.players()[3].score == 3)
            let file = test.path + ".csv"
            defer { try? FileManager.default.removeItem(atPath: file) }
            try Data("id,name,score\n77,Bo,1\n".utf8).write(to: URL(fileURLWithPath: file))
            let imported = try Tool.run("import", test.path, "player", file, "--postgresql", url)
            #expect(imported.status == 0, "\(imported)")
            #expect(try test.players().last == Player(id: 77, name: "Bo", score: 1))
            #expect(!hasSQLite(test))
        }

        // MARK: recover

        private func recover(_ test: TestStore, _ more: String...) throws -> Tool.Result {
            try Tool.run(["recover", test.path, "--progress", "none"] + more)
        }

        @Test func recoverMakesNoOtherDatabase() async throws {
            let test = try await ToolVerifyTests.played()
            for more in [[], ["--apply"]] {
                let result = try Tool.run(["recover", test.path] + more)
                #expect(result.status == 3, "\(result)")
                #expect(result.words.contains("was not looked at"), "\(result)")
                #expect(!hasSQLite(test))
            }
            let good = try recover(test, "--postgresql", test.database.url)
            #expect(good.status == 0, "\(good)")
            #expect(good.output.contains("the database agrees with the log"))
        }

        /// A killed writer leaves something to do, for which the store must be opened.
        @Test func recoverBringsTheServerUpToDateWithItsAddress() async throws {
            let test = try await ToolVerifyTests.played()
            let copy = test.path + "-killed"
            defer { try? FileManager.default.removeItem(atPath: copy) }
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 20))
            try await store.waitForAll(.materialized, timeout: .hang)
            try FileManager.default.copyItem(atPath: test.path, toPath: copy)
            try await store.close(deadline: .hang)
            let target = try TestServer.shared.makeDatabase()
            let filled = try Tool.run(
                "replay", test.path, "--into", target.url, "--to", "10", "--progress", "none")
            #expect(filled.status == 0, "\(filled)")
            let refused = try Tool.run("recover", copy, "--apply")
            #expect(refused.status == 1, "\(refused)")
            #expect(refused.errors.contains("give its address with --postgresql"), "\(refused)")
            let applied = try Tool.run("recover", copy, "--apply", "--postgresql", target.url)
            #expect(applied.status == 0, "\(applied)")
            #expect(applied.output.contains("all 10 rows agree"), "\(applied)")
            #expect(!FileManager.default.fileExists(atPath: copy + "/database.sqlite"))
        }

        @Test func recoverFillsAnEmptyDatabase() async throws {
            let test = try await ToolVerifyTests.played()
            let target = try TestServer.shared.makeDatabase()
            let plan = try recover(test, "--postgresql", target.url)
            #expect(plan.status == 3, "\(plan)")
            #expect(plan.output.contains("rebuild the database from the log"), "\(plan)")
            let applied = try recover(test, "--apply", "--postgresql", target.url)
            #expect(applied.status == 0, "\(applied)")
            #expect(try target.value("SELECT count(*) FROM player") == "9")
        }

        @Test func rowsThatDifferNeedAnEmptyDatabaseWhichTheToolDoesNotMake() async throws {
            let test = try await ToolVerifyTests.played()
            try test.database.run("UPDATE player SET score = 7 WHERE id = 3")
            for more in [[], ["--apply"]] {
                let result = try Tool.run(
                    ["recover", test.path, "--postgresql", test.database.url] + more)
                #expect(result.status == 5, "\(result)")
                #expect(
                    result.words.contains(
                        "give the store an empty database (1 rows differ)"),
                    "\(result)")
            }
            #expect(try test.database.value("SELECT score FROM player WHERE id = 3") == "7")
        }
    }
}
