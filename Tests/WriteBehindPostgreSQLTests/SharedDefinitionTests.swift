import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    /// How several stores come to share a table, and what they may make of it.
    @Suite struct SharedDefinitionTests {
        private let database: TestDatabase
        private let tests: [TestStore]

        init() throws {
            let database = try TestServer.shared.makeDatabase()
            self.database = database
            tests = try (0..<2).map { _ in try TestStore(in: database) }
        }

        @Test func aTableIsSharedByAllStoresOrBelongsToOne() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            _ = try one.table(Post.self)
            try await one.waitForAll(.materialized, timeout: .hang)
            let posts = try other.sharedTable(Post.self)
            try posts.add(1, to: "likes", of: 1)
            try await other.waitForAll(.materialized, timeout: .hang)
            #expect(other.health.quarantined == 2)
            #expect(
                other.quarantine.list().first?.reason.contains("belongs to another store") == true)
            #expect(throws: StoreError.self) { try one.sharedTable(Post.self) }
            #expect(throws: StoreError.self) { try other.table(Post.self) }
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        @Test func eachStoreMayAddColumnsAndTheOthersGoOn() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let old = try one.sharedTable(Share.self)
            try old.add(1, to: "count", of: "a")
            try await one.waitForAll(.materialized, timeout: .hang)
            let new = try other.sharedTable(NewShare.self)
            try new.add(2, to: "views", of: "a")
            try await other.waitForAll(.materialized, timeout: .hang)
            try old.add(1, to: "count", of: "a")
            try old.add(1, to: "count", of: "b")
            try await one.waitForAll(.materialized, timeout: .hang)
            let same = try one.sharedTable(NewShare.self)
            try same.add(2, to: "views", of: "a")
            #expect(try await same.get("a") == NewShare(name: "a", count: 2, views: 4))
            #expect(try await new.get("b") == NewShare(name: "b", count: 1, views: 0))
            #expect(one.health.quarantined == 0 && other.health.quarantined == 0)
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        /// Otherwise a row would not be there for a while, or have old columns.
        @Test func aReadWaitsForTheTablesDefinition() async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            try one.sharedTable(Share.self).add(3, to: "count", of: "a")
            try await one.waitForAll(.materialized, timeout: .hang)
            #expect(
                try await other.sharedTable(NewShare.self).get("a")
                    == NewShare(name: "a", count: 3, views: 0))
            try database.run("UPDATE share SET views = 9")
            #expect(try await one.sharedTable(NewShare.self).get("a")?.views == 9)
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        @Test(arguments: [
            [ColumnSchema.key("name", .text), .column("count", .integer, nullable: true)],
            [.key("name", .text), .column("count", .integer, default: .integer(7))],
            [.key("name", .text), .column("count", .text, default: .text(""))],
            [.key("name", .text), .column("Count", .integer, default: .integer(0))],
            [
                .key("name", .text), .key("count", .integer),
                .column("more", .integer, default: .integer(0)),
            ],
        ])
        func aTableThatAnotherStoreDeclaresOtherwiseWaitsInQuarantine(
            columns: [ColumnSchema]
        ) async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            try one.sharedTable(Share.self).add(3, to: "count", of: "a")
            try await one.waitForAll(.materialized, timeout: .hang)
            _ = try other.engine.declare(TableSchema("share", columns).shared)
            try await other.waitForAll(.materialized, timeout: .hang)
            let reason = try #require(other.quarantine.list().first?.reason)
            #expect(reason.contains("is declared otherwise by another store"), "\(reason)")
            // Others go on.
            let posts = try other.sharedTable(Post.self)
            try posts.add(1, to: "likes", of: 1)
            #expect(try await posts.get(1)?.likes == 11)
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
        }

        /// It may have been made with the schema `writebehind`, which is gone: then its rows are what the log has.
        @Test func aTableWithRowsThatNoStoreCountsIntoIsNotTakenOver() async throws {
            try database.run(
                "CREATE TABLE share (name text COLLATE \"C\" PRIMARY KEY, count bigint NOT NULL DEFAULT 0); "
                    + "INSERT INTO share VALUES ('a', 5)")
            let store = try tests[0].open()
            let shares = try store.sharedTable(Share.self)
            try shares.add(5, to: "count", of: "a")
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(
                store.quarantine.list().first?.reason.contains("it has rows") == true,
                "\(store.quarantine.list())")
            await #expect(throws: StoreError.self) { try await shares.get("a") }
            try database.run("DELETE FROM share")
            #expect(try await store.quarantine.retry().left == 0)
            #expect(try await shares.get("a")?.count == 5)
            try await store.close(deadline: .hang)
        }

        @Test func aRoleThatMayNotWriteTheTableStopsNoOtherTable() async throws {
            let one = try tests[0].open()
            try one.sharedTable(Share.self).add(1, to: "count", of: "a")
            try await one.waitForAll(.materialized, timeout: .hang)
            try database.run(
                """
                DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT ALL ON SCHEMA public, writebehind TO clerk;
                GRANT ALL ON ALL TABLES IN SCHEMA writebehind TO clerk;
                GRANT ALL ON ALL SEQUENCES IN SCHEMA writebehind TO clerk; GRANT SELECT ON share TO clerk
                """)
            let url = database.url.replacing("postgres@", with: "clerk@")
            let other = try tests[1].open(at: url)
            let shares = try other.sharedTable(Share.self)
            try shares.add(1, to: "count", of: "a")
            try other.sharedTable(Post.self).add(1, to: "likes", of: 1)
            try await other.waitForAll(.materialized, timeout: .hang)
            #expect(try database.likes() == [1: 11])
            #expect(
                other.quarantine.list().first?.reason.contains("may not INSERT, UPDATE in table")
                    == true, "\(other.quarantine.list())")
            try database.run("GRANT INSERT, UPDATE ON share TO clerk")
            #expect(try await other.quarantine.retry().left == 0)
            #expect(try await shares.get("a")?.count == 2)
            try await one.close(deadline: .hang)
            try await other.close(deadline: .hang)
            try database.run("DROP OWNED BY clerk; DROP ROLE clerk")
        }

        /// A patch or delete would take away what others have counted, and no database could take it.
        @Test(arguments: [false, true])
        func undoTakesAnAddBackByAnAdd(hasLaterAdds: Bool) async throws {
            let (one, other) = (try tests[0].open(), try tests[1].open())
            let posts = try one.sharedTable(Post.self)
            let receipt = try posts.add(5, to: "shares", of: 1)
            try await one.waitForAll(.materialized, timeout: .hang)
            try other.sharedTable(Post.self).add(2, to: "shares", of: 1)
            try await other.waitForAll(.materialized, timeout: .hang)
            if hasLaterAdds { try posts.add(1, to: "shares", of: 1) }
            try await one.close(deadline: .hang)
            let result = try Tool.run(
                "undo", tests[0].path, "\(receipt.sequence)", "--apply", "--postgresql",
                database.url)
            #expect(result.status == 0, "\(result)")
            #expect(
                try database.value("SELECT shares FROM post") == (hasLaterAdds ? "3" : "2"))
            try await other.close(deadline: .hang)
        }

        /// The adds of the log that is gone cannot be counted again, and those of a snapshot are not known one by one.
        @Test func aDatabaseThatIsLostIsCountedAgainFromAWholeLogOnly() async throws {
            let test = tests[0]
            var store = try test.open()
            var posts = try store.sharedTable(Post.self)
            for id in 0..<100 { try posts.add(id, to: "likes", of: id) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.snapshot()
            try posts.add(1, to: "likes", of: 0)
            try await store.close(deadline: .hang)
            try database.run("DROP TABLE post; DROP SCHEMA writebehind CASCADE")
            store = try test.open()
            posts = try store.sharedTable(Post.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try database.likes()[99] == 109)
            #expect(try database.likes()[0] == 11)
            try await store.close(deadline: .hang)
        }

        /// A snapshot has sums, of this store alone.
        @Test func aDatabaseThatIsLostIsRefusedIfTheLogLacksItsBeginning() async throws {
            let test = tests[0]
            for _ in 0..<3 {
                let store = try test.open {
                    _ in
                } _: {
                    $0.logKept = .zero
                    $0.logBytesKept = 0
                    $0.segmentSize = 4 << 10
                    $0.snapshotAtClose = true
                }
                let posts = try store.sharedTable(Post.self)
                for id in 0..<500 { try posts.add(id, to: "likes", of: id) }
                try await store.waitForAll(.materialized, timeout: .hang)
                try await store.snapshot()
                try await store.close(deadline: .hang)
            }
            try database.run("DROP TABLE post; DROP SCHEMA writebehind CASCADE")
            #expect {
                try test.open()
            } throws: { error in
                "\(error)".contains(
                    "no longer has this store's first adds to the shared table \"post\"")
            }
        }
    }
}
