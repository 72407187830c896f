import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// Users' objects of a database, when another has to be put in its place.
@Suite struct StoreCarryOverTests {
    private func put(_ store: Store, _ ids: Range<Int>) async throws {
        let players = try store.table(Player.self)
        for id in ids { try players.put(Player(id: id, name: "p\(id)", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
    }

    private func count(_ store: Store, _ sql: String) async throws -> Int? {
        try await store.database.read { try Int.fetchOne($0, sql: sql) }
    }

    @Test(arguments: ["log", "snapshot"])
    func whatAUniqueIndexRefusedIsRefusedAgainByTheRebuiltDatabase(from base: String) async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        try await put(store, 0..<100)
        try directory.user("CREATE UNIQUE INDEX mine ON player (name)")
        let refused = try store.table(Player.self).put(Player(id: 500, name: "p7"))
        try await put(store, 100..<110)
        #expect(store.quarantine.list().map(\.sequence) == [refused.firstSequence])
        if base == "snapshot" { _ = try await store.snapshot() }
        try await store.close()
        try directory.damage(table: "_writebehind_quarantine_key")

        store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        let index = "SELECT count(*) FROM sqlite_master WHERE name = 'mine'"
        #expect(try await count(store, index) == 1)
        #expect(store.quarantine.list().map(\.sequence) == [refused.firstSequence])
        #expect(store.health.verdict == .degraded)
        #expect(try await count(store, "SELECT count(*) FROM player WHERE name = 'p7'") == 1)
        #expect(try await store.table(Player.self).get(500)?.name == "p7")
        try await store.close()
    }

    @Test func whereTheLogIsGoneAnIndexThatRowsBreakIsLeftOutAndTold() async throws {
        let directory = TemporaryStore()
        var store = try directory.open {
            $0.logKept = .zero
            $0.logBytesKept = 0
            $0.segmentSize = 64 << 10
        }
        let players = try store.table(Player.self)
        let first = StoreLayout(root: directory.path).segment(1)
        var id = 0
        repeat {
            for _ in 0..<500 {
                id += 1
                try players.put(Player(id: id, name: UUID().uuidString, score: id))
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            _ = try await store.snapshot()
        } while FileManager.default.fileExists(atPath: first)
        try await store.close()
        // As if a user had inserted the refused row into the database.
        try directory.user(
            """
            CREATE TABLE other (score INTEGER); CREATE UNIQUE INDEX mine ON other (score);
            PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET tbl_name = 'player', sql = 'CREATE UNIQUE INDEX mine ON player (score / 2)'
            WHERE name = 'mine';
            """)
        try directory.damage(table: "_writebehind_quarantine_key")

        store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await count(store, "SELECT count(*) FROM player") == id)
        let health = store.health
        #expect(health.verdict == .degraded && health.quarantined == 0)
        #expect(health.causes.contains { $0.contains("UNIQUE INDEX mine") }, "\(health.causes)")
        try await store.close()
        // Until the operator has looked after it.
        store = try directory.open()
        #expect(store.health.verdict == .degraded)
        try await store.close()
        try FileManager.default.removeItem(atPath: directory.database + ".carry-over")
        store = try directory.open()
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        try await store.close()
    }

    @Test func usersTablesAreThereAgainAndThoseThatTriggersFillAreFilled() async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        try await put(store, 0..<10)
        try directory.user(
            """
            CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);
            INSERT INTO note VALUES (1, 'one'), (2, 'two');
            CREATE TABLE seen (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TRIGGER see AFTER INSERT ON player
            BEGIN INSERT INTO seen VALUES (new.id, new.name); END;
            CREATE VIRTUAL TABLE search USING fts5(name, content='player', content_rowid='id');
            CREATE TRIGGER find AFTER INSERT ON player
            BEGIN INSERT INTO search (rowid, name) VALUES (new.id, new.name); END;
            """)
        try await put(store, 10..<20)
        try await store.close()
        try directory.damage(table: "_writebehind_quarantine_key")

        store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await count(store, "SELECT count(*) FROM note") == 2)
        #expect(try await count(store, "SELECT count(*) FROM seen") == 20)
        let found = "SELECT rowid FROM search WHERE search MATCH 'p13'"
        #expect(try await count(store, found) == 13)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        try await store.close()
    }

    @Test(arguments: ["a row", "all"])
    func whatCannotBeReadOfUsersTablesIsTold(damaged: String) async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        try await put(store, 0..<10)
        try directory.user(
            "CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (1)")
        try await store.close()
        if damaged == "all" {
            try Data(repeating: 0x55, count: 8192).write(to: URL(filePath: directory.database))
        } else {
            try directory.damage(table: "note")
            try directory.damage(table: "_writebehind_quarantine_key")
        }
        store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        let health = store.health
        #expect(health.verdict == .degraded)
        #expect(health.causes.contains { $0.contains("could not be made again") })
        try await store.close()
    }
}

extension TemporaryStore {
    /// Damages the pages of one table, which opening finds while all else can be read.
    func damage(table: String) throws {
        let queue = try DatabaseQueue(path: database)
        let (page, size) = try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            return (
                try UInt64.fetchOne(
                    db, sql: "SELECT rootpage FROM sqlite_master WHERE name = ?",
                    arguments: [table]) ?? 0,
                try UInt64.fetchOne(db, sql: "PRAGMA page_size") ?? 0
            )
        }
        try queue.close()
        let handle = try FileHandle(forUpdating: URL(filePath: database))
        try handle.seek(toOffset: (page - 1) * size)
        try handle.write(contentsOf: Data(repeating: 0x5A, count: Int(size)))
        try handle.close()
    }
}
