import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// The errors of a projection are its own: it stops, with nothing of the commit at which it failed, and the tables go
/// on.
@Suite struct ProjectionFailureTests {
    private let directory = TemporaryStore()
    private let teams = Teams()

    /// Every statement of a projection's that the store must not let stay, or that takes more with it than its own.
    static let mistakes = [
        "INSERT INTO own VALUES (1)": "UNIQUE constraint failed: own.n",
        "INSERT OR ROLLBACK INTO own VALUES (1)": "UNIQUE constraint failed: own.n",
        "INSERT INTO absent VALUES (1)": "no such table: absent",
        "UPDATE player SET score = 0": "it writes table \"player\"",
        "DELETE FROM PLAYER": "it writes table \"player\"",
        "UPDATE _writebehind_watermark SET sequence = 0": "_writebehind_watermark",
        "COMMIT": "it ended the transaction",
        "ROLLBACK": "it ended the transaction",
        "RELEASE writebehind_projection": "it ended the transaction",
        "RELEASE writebehind_commit": "it ended the transaction",
        "CREATE TABLE more (n INTEGER)": "it changed the schema",
        "DROP TABLE player": "it changed the schema",
        "ALTER TABLE player RENAME TO other": "it changed the schema",
        "INSERT INTO child VALUES (7)": "it refers to",
    ]

    @Test(arguments: mistakes.keys.sorted())
    func anErrorStopsItAndNothingElse(_ mistake: String) async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try store.project("mistaken", version: 1, of: players) { db in
            try db.execute(
                sql: """
                    CREATE TABLE own (n INTEGER UNIQUE);
                    CREATE TABLE parent (n INTEGER PRIMARY KEY);
                    CREATE TABLE child (n INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
                    """)
        } apply: { change, db in
            try db.execute(sql: "INSERT INTO own VALUES (?)", arguments: [change.key])
            if change.key == 1 { try db.execute(sql: mistake) }
        }
        #expect(await eventually { store.projections.allSatisfy { $0.state == .current } })
        try players.put(Player(id: 5, name: "p", score: 5))
        let receipt = try store.transaction { transaction in
            for id in 0..<3 {
                try transaction.put(Player(id: id, name: "p", score: id), in: players)
            }
        }.receipt
        try players.put(Player(id: 6, name: "p", score: 6))
        try await store.waitForAll(.materialized, timeout: .hang)

        let mistaken = try #require(store.projections.first)
        #expect(mistaken.name == "mistaken" && mistaken.state == .stopped)
        let cause = try #require(mistaken.cause)
        #expect(cause.contains("at sequence \(receipt.firstSequence)"), "\(cause)")
        if mistake != "INSERT INTO child VALUES (7)" {
            #expect(cause.contains(Self.mistakes[mistake] ?? "?"), "\(cause)")
        }
        #expect(store.health.verdict == .degraded)
        #expect(store.health.causes.contains { $0.contains("\"mistaken\" has stopped") })
        #expect(store.quarantine.list().isEmpty)
        // The other one and the table have everything, this one what was before.
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).count == 5)
        let (own, rows) = try await store.database.read { db in
            (
                try Int.fetchAll(db, sql: "SELECT n FROM own"),
                try Int.fetchAll(db, sql: "SELECT id FROM player ORDER BY 1")
            )
        }
        #expect(own == [5] && rows == [0, 1, 2, 5, 6])
        try await store.close(deadline: .hang)
    }

    @Test func oneThatHasStoppedStaysSoUntilItIsBuiltAnew() async throws {
        var seconds = 0.0
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            try await teams.wait(store)
            teams.failing.withLock { $0 = 1 }
            try players.put(Player(id: 1, name: "p", score: 1))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(teams.state(store) == .stopped)
            try await store.close(deadline: .hang)
        }
        teams.failing.withLock { $0 = nil }
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try players.put(Player(id: 2, name: "p", score: 2))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(teams.state(store) == .stopped)
        #expect(store.projections.first?.cause?.contains("the projection fails") == true)
        seconds = store.projections.first?.seconds ?? 0
        #expect(seconds > 0)
        #expect(try teams.calls(store).isEmpty)

        #expect(try await store.rebuildProjection(named: "teams"))
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).count == 2)
        #expect(store.projections.first?.cause == nil)
        try players.put(Player(id: 3, name: "p", score: 3))
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try await !store.rebuildProjection(named: "absent"))
        try await store.close(deadline: .hang)
    }

    @Test func oneThatCannotBeBuiltLeavesItsFormerVersionAndTheTables() async throws {
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            try players.put(Player(id: 1, name: "p", score: 1))
            try await teams.wait(store)
            try await store.close(deadline: .hang)
        }
        var second = teams
        second.version = 2
        second.failing.withLock { $0 = 1 }
        let store = try directory.open()
        let players = try store.table(Player.self)
        try second.declare(store, players)
        #expect(await eventually { second.state(store) == .stopped })
        #expect(try teams.difference(store) == nil)
        try players.put(Player(id: 2, name: "p", score: 2))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await players.get(2) != nil)
        second.failing.withLock { $0 = nil }
        try await store.rebuildProjection(named: "teams")
        try await second.wait(store)
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }

    /// Everything that `setUp` makes has to go into the store's database.
    @Test(arguments: [
        ("CREATE TABLE player (n INTEGER)", "already exists"),
        ("CREATE VIRTUAL TABLE words USING fts5(text)", "virtual"),
        ("CREATE TABLE _writebehind_own (n INTEGER)", "reserved"),
        ("CREATE INDEX other ON player (name)", "no such table"),
        ("CREATE TABLE own (id INTEGER REFERENCES player)", "leave the foreign key out"),
    ])
    func whatSetUpMayNotMakeIsNamed(_ sql: String, _ reason: String) async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "p", score: 1))
        try store.project("made", version: 1, of: players) { db in
            try db.execute(sql: sql)
        } apply: { _, _ in
        }
        #expect(await eventually { store.projections.first?.state == .stopped })
        let cause = store.projections.first?.cause ?? ""
        #expect(cause.contains(reason), "\(cause)")
        try players.put(Player(id: 2, name: "p", score: 2))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(
            try await store.database.read {
                try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
            } == 2)
        try await store.close(deadline: .hang)
    }

    @Test func everythingThatSetUpMakesComesAlong() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<3 { try players.put(Player(id: id, name: "p\(id)", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try store.project("made", version: 1, of: players) { db in
            try db.execute(
                sql: """
                    CREATE TABLE score (id INTEGER PRIMARY KEY, n INTEGER, twice AS (2 * n) STORED);
                    CREATE TABLE log (n INTEGER);
                    CREATE UNIQUE INDEX by_n ON score (n);
                    CREATE VIEW best AS SELECT max(n) AS n FROM score;
                    CREATE TRIGGER note AFTER INSERT ON score BEGIN
                      INSERT INTO log VALUES (new.n);
                    END;
                    """)
        } apply: { change, db in
            guard let new = change.new else { return }
            try db.execute(
                sql: "INSERT INTO score (id, n) VALUES (?, ?)", arguments: [new.id, new.score])
        }
        #expect(await eventually { store.projections.first?.state == .current })
        try players.put(Player(id: 9, name: "p", score: 9))
        try await store.waitForAll(.materialized, timeout: .hang)
        let database = try store.database
        let (log, best, twice) = try await database.read { db in
            (
                try Int.fetchAll(db, sql: "SELECT n FROM log ORDER BY rowid"),
                try Int.fetchOne(db, sql: "SELECT n FROM best"),
                try Int.fetchOne(db, sql: "SELECT twice FROM score WHERE n = 9")
            )
        }
        #expect(log == [0, 1, 2, 9] && best == 9 && twice == 18)

        #expect(try await store.removeProjection(named: "made"))
        let left = try await database.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_writebehind%' ESCAPE '\\'
                    """)
        }
        #expect(left == ["player"])
        #expect(store.projections.isEmpty)
        #expect(try await !store.removeProjection(named: "made"))
        try await store.close(deadline: .hang)
    }

    @Test func aNameIsForOneAndNotEmpty() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        for name in ["teams", "", String(repeating: "n", count: 256)] {
            var other = teams
            other.name = name
            let error = await storeError { try other.declare(store, players) }
            guard case .projection(name, _)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        try await store.close(deadline: .hang)
        let error = await storeError { try teams.declare(store, players) }
        if case .closed? = error { return }
        Issue.record("\(String(describing: error))")
    }

    /// The database's own trouble is not the projection's.
    @Test func aLockedDatabaseStopsNothing() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try players.put(Player(id: 1, name: "p", score: 1))
        try await teams.wait(store)
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: directory.database, configuration: configuration)
        try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        for id in 2..<9 { try players.put(Player(id: id, name: "p", score: id)) }
        #expect(await eventually { store.health.verdict == .degraded })
        try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
        try other.close()
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).count == 8)
        try await store.close(deadline: .hang)
    }

    /// A projection whose name another program's table has by the time it is built.
    @Test func twoProjectionsCannotMakeTheSameTable() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        var other = teams
        other.name = "zzz"
        try other.declare(store, players)
        try players.put(Player(id: 1, name: "p", score: 1))
        try await teams.wait(store)
        #expect(await eventually { other.state(store) == .stopped })
        #expect(store.projections.last?.cause?.contains("already exists") == true)
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }
}
