import EventLog
import Foundation
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension PostgreSQL {
    @Suite struct DatabaseTests {
        @Test func aStoreIsOpenedWithADatabaseOfTheUsersChoice() async throws {
            let test = try TestStore()
            let store = try await Store(
                at: test.path, database: .postgreSQL(test.database.url),
                configuration: TestStore.configuration())
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players() == [Player(id: 1)])
            #expect(throws: StoreError.self) { _ = try store.database }
            #expect(!FileManager.default.fileExists(atPath: test.path + "/database.sqlite"))
            try await store.close(deadline: .hang)
        }

        @Test func severalDatabasesFollowOneLog() async throws {
            let test = try TestStore()
            var store = try await Store(at: test.path, configuration: TestStore.configuration())
            for id in 0..<10 { try store.table(Player.self).put(Player(id: id)) }
            try await store.close(deadline: .hang)
            store = try await Store(
                at: test.path, databases: [.sqlite(), .postgreSQL(test.database.url)],
                configuration: TestStore.configuration())
            for id in 10..<20 { try store.table(Player.self).put(Player(id: id)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(throws: Never.self) { _ = try store.database }
            let isThere = await eventually { (try? test.players().count) == 20 }
            #expect(isThere, "\(store.health.secondaries)")
            #expect(store.health.secondaries.map(\.name) == ["postgresql"])
            try await store.close(deadline: .hang)
            // Now the other one is read from.
            store = try await Store(
                at: test.path, databases: [.postgreSQL(test.database.url), .sqlite()],
                configuration: TestStore.configuration())
            let players = try store.table(Player.self)
            try players.put(Player(id: 20))
            try await store.waitForAll(.materialized, timeout: .hang)
            try players.evict(7)
            #expect(try await players.get(7) == Player(id: 7))
            try await store.close(deadline: .hang)
        }

        @Test func twoDatabasesOfOneNameAreRefused() async throws {
            let test = try TestStore()
            await #expect(throws: StoreError.self) {
                _ = try await Store(at: test.path, databases: [.sqlite(), .sqlite("/tmp/other")])
            }
            await #expect(throws: StoreError.self) {
                _ = try await Store(at: test.path, databases: [])
            }
        }

        @Test func aDatabaseThatIsEmptyIsFilledFromASnapshot() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            for id in 0..<200 { try players.put(Player(id: id, score: id)) }
            try await store.snapshot()
            for id in 150..<250 { try players.put(Player(id: id, score: -id)) }
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.close(deadline: .hang)
            let rows = try test.players()
            try test.database.run("DROP TABLE player; DROP SCHEMA writebehind CASCADE")
            let again = try test.open()
            try await again.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players() == rows)
            try await again.close(deadline: .hang)
        }

        @Test func severalStoresShareADatabaseButNoTable() async throws {
            let test = try TestStore()
            let other = try TestStore()
            let store = try test.open()
            let second = try other.open(at: test.database.url)
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            try second.table(Player.self).put(Player(id: 2))
            try second.table(Tag.self).put(Tag(name: "a"))
            try await second.waitForAll(.materialized, timeout: .hang)
            #expect(try test.players().map(\.id) == [1])
            #expect(try test.database.run("SELECT name FROM tag") == [["a"]])
            #expect(second.health.quarantined == 2)
            try await store.close(deadline: .hang)
            try await second.close(deadline: .hang)
        }

        @Test func aCheckpointIsACommitThatWaitsForTheDisk() async throws {
            let test = try TestStore()
            // The server flushes by itself only after as much as half a minute.
            try test.database.run("ALTER SYSTEM SET wal_writer_delay = 10000")
            try test.database.run("SELECT pg_reload_conf()")
            defer {
                _ = try? test.database.run("ALTER SYSTEM RESET wal_writer_delay")
                _ = try? test.database.run("SELECT pg_reload_conf()")
            }
            let store = try test.open()
            try store.table(Player.self).put(Player(id: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            let before = try test.database.value("SELECT pg_current_wal_insert_lsn()") ?? ""
            let watermark = try store.engine.sink.checkpoint()
            #expect(try watermark == store.engine.sink.watermark())
            #expect(
                try test.database.value("SELECT pg_current_wal_flush_lsn() > '\(before)'::pg_lsn")
                    == "t")
            try await store.close(deadline: .hang)
        }

        @Test func projectionsAreRefusedInWords() async throws {
            let test = try TestStore()
            let store = try test.open()
            let players = try store.table(Player.self)
            let error = #expect(throws: StoreError.self) {
                try store.project("sums", version: 1, of: players) { _ in
                } apply: { _, _ in
                }
            }
            #expect("\(error as Any)".contains("which need SQLite"))
            try await store.close(deadline: .hang)
        }
    }
}
