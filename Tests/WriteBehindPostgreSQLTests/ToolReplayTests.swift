import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// `writebehind replay --into postgresql://…`, run as a process.
    @Suite struct ToolReplayTests {
        private func replay(
            _ test: TestStore, _ target: TestDatabase, _ more: String...
        ) throws -> Tool.Result {
            try Tool.run(
                ["replay", test.path, "--into", target.url, "--progress", "none"] + more)
        }

        @Test func anEmptyDatabaseGetsTheStateAsOfAPoint() async throws {
            let test = try await ToolVerifyTests.played()
            let target = try TestServer.shared.makeDatabase()
            // #12 changes player 3, #13 deletes player 4.
            let result = try replay(test, target, "--to", "11")
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("10 rows of 1 table as of #11"))
            #expect(try target.value("SELECT count(*) FROM player") == "10")
            #expect(try target.value("SELECT score FROM player WHERE id = 3") == "3")
            let verified = try Tool.run("verify", test.path, "--postgresql", target.url)
            #expect(verified.status == 0, "\(verified)")
            #expect(verified.output.contains("compared at #11: all agree; 2 records not applied"))
            // A store that opens it goes on from there.
            let store = try test.open(at: target.url)
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            #expect(try target.value("SELECT count(*) FROM player") == "9")
        }

        @Test func everyTypeIsWrittenInItsNaturalForm() async throws {
            let test = try TestStore()
            let store = try test.open()
            let rows = try store.table(Everything.self)
            for row in [Everything.plain, .extreme, .empty] { try rows.put(row) }
            try await store.close(deadline: .hang)
            let target = try TestServer.shared.makeDatabase()
            try target.run("CREATE SCHEMA game")
            let result = try replay(test, target, "--schema", "game", "--json")
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains(#""rows":3"#), "\(result)")
            let verified = try Tool.run("verify", test.path, "--postgresql", target.url)
            #expect(verified.status == 0, "\(verified)")
            #expect(
                try target.value("SELECT json->'a'->>2 FROM game.everything WHERE name = 'plain'")
                    == "ä")
        }

        @Test func aDatabaseWithTheTablesOfAStoreIsRefused() async throws {
            let (test, other) = (
                try await ToolVerifyTests.played(), try await ToolVerifyTests.played()
            )
            let own = try replay(test, test.database)
            #expect(own.status == 1, "\(own)")
            #expect(own.errors.contains("it holds tables of this store; name an empty database"))
            let foreign = try replay(test, other.database)
            #expect(foreign.status == 1, "\(foreign)")
            #expect(foreign.errors.contains("it holds tables of another store"))
            #expect(try other.players().count == 9)
        }

        @Test func aTableWithRowsIsRefusedAndNothingIsLeft() async throws {
            let test = try await ToolVerifyTests.played()
            let target = try TestServer.shared.makeDatabase()
            try target.run(
                """
                CREATE TABLE player (id bigint PRIMARY KEY, name text NOT NULL, score bigint NOT NULL, team text);
                INSERT INTO player VALUES (1, 'mine', 1, NULL)
                """)
            let result = try replay(test, target)
            #expect(result.status == 1, "\(result)")
            #expect(result.errors.contains("it has rows, which are in no log of the store"))
            #expect(try target.value("SELECT to_regclass('writebehind.watermark')") == nil)
            #expect(try target.value("SELECT name FROM player") == "mine")
        }

        /// All rows are written in one transaction. So if the work ends early, the database is empty, and it can be filled again.
        @Test(arguments: [SIGKILL, SIGINT])
        func whatEndsHalfWayLeavesNothingAndCanBeRepeated(signal: Int32) async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            for id in 0..<30_000 { try players.put(Player(id: id)) }
            try await store.close(deadline: .hang)
            let target = try TestServer.shared.makeDatabase()
            // Each statement of rows waits a while.
            try target.run(
                """
                CREATE TABLE player (id bigint PRIMARY KEY, name text NOT NULL, score bigint NOT NULL, team text);
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN PERFORM pg_sleep(0.5); RETURN null; END $$;
                CREATE TRIGGER slow AFTER INSERT ON player FOR EACH STATEMENT EXECUTE FUNCTION slow();
                """)
            let (process, _, _) = Tool.process([
                "replay", test.path, "--into", target.url, "--progress", "none",
            ])
            try process.run()
            let sleeps =
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            #expect(try await eventually { try target.value(sleeps) == "1" })
            kill(process.processIdentifier, signal)
            process.waitUntilExit()
            if signal == SIGINT { #expect(process.terminationStatus == 130) }
            let sessions =
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'writebehind' AND datname = current_database()"
            #expect(try await eventually { try target.value(sessions) == "0" })
            #expect(try target.value("SELECT to_regclass('writebehind.watermark')") == nil)
            #expect(try target.value("SELECT count(*) FROM player") == "0")
            try target.run("DROP TRIGGER slow ON player")
            let again = try replay(test, target)
            #expect(again.status == 0, "\(again)")
            #expect(try target.value("SELECT count(*) FROM player") == "30000")
        }

        @Test func aRowThatTheServerCannotHoldIsSaidAndNothingIsLeft() async throws {
            let test = try TestStore()
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 1, name: "a\0b"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            let target = try TestServer.shared.makeDatabase()
            let result = try replay(test, target)
            #expect(result.status == 1, "\(result)")
            #expect(result.errors.contains("0x00"), "\(result)")
            #expect(try target.value("SELECT to_regclass('public.player')") == nil)
        }

        @Test func whatGoesWithAFileOnlyIsRefused() async throws {
            let test = try await ToolVerifyTests.played()
            let target = try TestServer.shared.makeDatabase()
            for option in ["--follow", "--explain"] {
                #expect(try replay(test, target, option).status == 2, "\(option)")
            }
            let plan = try replay(test, target, "--dry-run")
            #expect(plan.status == 0 && plan.output.contains("postgresql://postgres@"), "\(plan)")
            let schema = try Tool.run("replay", test.path, "--into", "x.sqlite", "--schema", "a")
            #expect(schema.status == 2)
        }
    }
}
