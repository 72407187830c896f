import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    @Suite struct QuarantineTests {
        @Test func onlyWhatIsRefusedWaitsAndARetryTakesItUp() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 0))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run("ALTER TABLE player ADD CONSTRAINT few CHECK (score < 100)")
            for id in 1...300 {
                try store.transaction { transaction in
                    try transaction.put(
                        Player(id: id, score: id % 100 == 50 ? 1000 : 1), in: players)
                }
            }
            try players.put(Player(id: 50, name: "follows", score: 1))
            try await players.update(150) { $0.name = "follows" }
            try await store.waitForAll(.materialized, timeout: .hang)
            // A put of the one row settles what was refused of it.
            #expect(store.health.quarantined == 3)
            #expect(try test.players().count == 299)
            let first = store.quarantine.list().first
            #expect(first?.reason.contains("few") ?? false, "\(String(describing: first))")
            #expect(try await players.get(150)?.score == 1000)
            try await store.close(deadline: .hang)
            // It is in the database, with what it holds.
            let again = try test.open()
            #expect(again.health.quarantined == 3)
            let rows = try again.table(Player.self)
            #expect(try await rows.get(150) == Player(id: 150, name: "follows", score: 1000))
            try test.database.run("ALTER TABLE player DROP CONSTRAINT few")
            let left = try await again.quarantine.retry()
            #expect(left.left == 0)
            #expect(try test.players().count == 301)
            #expect(try test.players()[150] == Player(id: 150, name: "follows", score: 1000))
            #expect(again.health.quarantined == 0)
            try await again.close(deadline: .hang)
        }

        /// Sorting by keys breaks what the order of the log keeps.
        @Test func aUniqueNameThatChangesHandsIsNoReasonForQuarantine() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 1, name: "a"))
            try players.put(Player(id: 2, name: "b"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run("CREATE UNIQUE INDEX one_name ON player (name)")
            for round in 0..<20 {
                try players.put(Player(id: 1, name: "between"))
                try players.put(Player(id: 2, name: round % 2 == 0 ? "a" : "b"))
                try players.put(Player(id: 1, name: round % 2 == 0 ? "b" : "a"))
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 0)
            #expect(try test.players().map(\.name) == ["a", "b"])
            try await store.close(deadline: .hang)
        }

        @Test func rowsThatReferToOthersComeBehindThem() async throws {
            let test = try TestStore()
            let store = try test.open()
            // The child has the lower number, so it would come first.
            let tags = try store.table(Visit.self)
            let players = try store.table(Player.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run(
                "ALTER TABLE visit ADD CONSTRAINT known FOREIGN KEY (id) REFERENCES player")
            try await store.close(deadline: .hang)
            let again = try test.open()
            let (visits, owners) = (try again.table(Visit.self), try again.table(Player.self))
            _ = (tags, players)
            for id in 0..<50 {
                try again.transaction { transaction in
                    try transaction.put(Visit(id: id, until: nil), in: visits)
                    try transaction.put(Player(id: id), in: owners)
                }
            }
            try await again.waitForAll(.materialized, timeout: .hang)
            for id in 0..<25 {
                try again.transaction { transaction in
                    try transaction.delete(id, in: owners)
                    try transaction.delete(id, in: visits)
                }
            }
            try visits.put(Visit(id: 1000, until: nil))
            try await again.waitForAll(.materialized, timeout: .hang)
            #expect(again.health.quarantined == 1)
            #expect(try test.database.value("SELECT count(*) FROM visit") == "25")
            #expect(try test.players().count == 25)
            try await again.close(deadline: .hang)
        }

        /// It and its rows are one part of a retry, beside tables that refer to each other.
        @Test func theRowsOfATableThatARetryDefinesAreThere() async throws {
            let test = try TestStore()
            try test.database.run("CREATE TABLE tag (name text PRIMARY KEY)")
            try test.database.run("INSERT INTO tag VALUES ('in no log')")
            let store = try test.open()
            _ = (try store.table(Visit.self), try store.table(Player.self))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run(
                "ALTER TABLE visit ADD CONSTRAINT known FOREIGN KEY (id) REFERENCES player")
            try await store.close(deadline: .hang)
            let again = try test.open()
            let tags = try again.table(Tag.self)
            for name in ["a", "b", "c"] { try tags.put(Tag(name: name)) }
            try await again.waitForAll(.materialized, timeout: .hang)
            #expect(again.health.quarantined == 4)
            try test.database.run("DELETE FROM tag")
            let left = try await again.quarantine.retry()
            #expect(left.left == 0)
            #expect(try test.database.value("SELECT count(*) FROM tag") == "3")
            // The next batches find it as well.
            try tags.put(Tag(name: "d"))
            try await again.waitForAll(.materialized, timeout: .hang)
            #expect(try test.database.value("SELECT count(*) FROM tag") == "4")
            try await again.close(deadline: .hang)
        }

        /// The order of its records is the one that works.
        @Test func aCommitWhoseRowsTakeEachOthersNamesIsNoReasonForQuarantine() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            let visits = try store.table(Visit.self)
            try players.put(Player(id: 1, name: "a"))
            try players.put(Player(id: 2, name: "b"))
            try visits.put(Visit(id: 1, until: nil))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run("CREATE UNIQUE INDEX one_name ON player (name)")
            try test.database.run(
                "ALTER TABLE visit ADD CONSTRAINT known FOREIGN KEY (id) REFERENCES player")
            try store.transaction { transaction in
                try transaction.put(Player(id: 1, name: "between"), in: players)
                try transaction.put(Player(id: 2, name: "a"), in: players)
                try transaction.put(Player(id: 1, name: "b"), in: players)
            }
            try store.transaction { transaction in
                try transaction.delete(2, in: players)
                try transaction.put(Player(id: 3, name: "a"), in: players)
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().map(\.reason) == [])
            #expect(try test.players().map(\.name) == ["b", "a"])
            try store.transaction { transaction in
                try transaction.clear(visits)
                try transaction.clear(players)
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().map(\.reason) == [])
            #expect(try test.players() == [])
            try await store.close(deadline: .hang)
        }

        @Test func aRowThatIsLostWithoutAWordIsNoticed() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run(
                "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN null; END'"
            )
            try test.database.run(
                "CREATE TRIGGER quiet BEFORE INSERT OR UPDATE ON player FOR EACH ROW EXECUTE FUNCTION quiet()"
            )
            try players.put(Player(id: 2))
            let isNoticed = await eventually {
                store.quarantine.list().first?.reason.contains("changed fewer rows") ?? false
            }
            #expect(isNoticed, "\(store.health.causes)")
            #expect(try await players.get(2) == Player(id: 2))
            store.abandon()
        }

        @Test func wordsThatExplainNothingCountOnlyAfterThreeTries() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            try players.put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try test.database.run(
                """
                CREATE SEQUENCE tries;
                CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF new.score = 7 THEN PERFORM nextval('public.tries'); RAISE EXCEPTION 'odd' USING errcode = 'ZZ123'; END IF;
                  RETURN null; END $$;
                CREATE TRIGGER odd AFTER INSERT OR UPDATE ON player FOR EACH ROW EXECUTE FUNCTION odd()
                """)
            try players.put(Player(id: 2, score: 7))
            try players.put(Player(id: 3))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            #expect(try test.players().map(\.id) == [1, 3])
            #expect(Int(try test.database.value("SELECT last_value FROM tries") ?? "") ?? 0 >= 3)
            try await store.close(deadline: .hang)
        }
    }
}
