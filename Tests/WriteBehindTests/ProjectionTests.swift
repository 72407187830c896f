import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

/// A clock that takes 100 seconds for each of its own.
private struct SlowTime: TimeSource {
    private let start = SystemTime().monotonicNanoseconds()

    func monotonicNanoseconds() -> UInt64 {
        start + (SystemTime().monotonicNanoseconds() - start) / 100
    }
    func wallMilliseconds() -> UInt64 { SystemTime().wallMilliseconds() }
}

/// A projection gets each change once, in the transaction that applies it.
@Suite struct ProjectionTests {
    private let directory = TemporaryStore()
    private let teams = Teams()

    private func operations(_ store: Store) throws -> [String] {
        try teams.calls(store).map(\.operation)
    }

    // MARK: what it sees

    @Test func everyChangeComesInTheOrderOfTheLogWithBothRows() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try await teams.wait(store)
        let first = try players.put(Player(id: 1, name: "Ada", score: 10, team: "red"))
        try players.put(Player(id: 1, name: "Ada", score: 11, team: "red"))
        try await players.update(1) { $0.team = "blue" }
        try await players.increment(1, "score")
        try players.delete(1)
        try players.delete(2)
        try players.put(Player(id: 3, name: "Eve", score: 1))
        try players.clear()
        try await store.waitForAll(.materialized, timeout: .hang)

        let calls = try teams.calls(store)
        #expect(
            calls.map(\.operation)
                == ["put", "put", "update", "update", "delete", "delete", "put", "clear"])
        #expect(calls.map(\.id) == [1, 1, 1, 1, 1, 2, 3, nil])
        #expect(calls.map(\.old) == [nil, 10, 11, 11, 12, nil, nil, nil])
        #expect(calls.map(\.new) == [10, 11, 11, 12, nil, nil, 1, nil])
        #expect(calls[0].sequence == Int(first.sequence))
        #expect(zip(calls, calls.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }

    @Test func aChangeHasItsTimeAndTypedKeyAndRows() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        let seen = Locked<[ProjectedChange<Player>]>([])
        try store.project("seen", version: 1, of: players) { _ in
        } apply: { change, _ in
            seen.withLock { $0.append(change) }
        }
        #expect(await eventually { store.projections.first?.state == .current })
        let begin = Date(timeIntervalSinceNow: -0.001)
        try players.put(Player(id: 1, name: "Ada", score: 10))
        try await players.update(1) { $0.team = "red" }
        try await store.waitForAll(.materialized, timeout: .hang)
        let changes = seen.withLock { $0 }
        #expect(changes.map(\.key) == [1, 1])
        #expect(changes[0].old == nil && changes[0].new == Player(id: 1, name: "Ada", score: 10))
        #expect(changes[1].old == changes[0].new && changes[1].new?.team == "red")
        #expect(changes.allSatisfy { $0.date >= begin && $0.date <= Date(timeIntervalSinceNow: 1) })
        try await store.close(deadline: .hang)
    }

    @Test func readersSeeTableAndProjectionAsOfTheSameCommit() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try await teams.wait(store)
        for round in 0..<60 {
            try store.transaction { transaction in
                for id in 0..<5 {
                    let team = ["red", "blue", nil].randomElement() ?? nil
                    try transaction.put(
                        Player(id: id, name: "p", score: round + id, team: team), in: players)
                }
            }
            if let wrong = try teams.difference(store) { Issue.record("\(round): \(wrong)") }
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try teams.difference(store) == nil)
        #expect(try teams.calls(store).count == 300)
        try await store.close(deadline: .hang)
    }

    @Test func rowsThatWereThereComeFirstAndOnce() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        for id in 0..<1500 { try players.put(Player(id: id, name: "p", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try teams.declare(store, players)
        // While it is being built, on both sides of where it is.
        for id in 0..<200 {
            try players.put(Player(id: id * 8 % 1600, name: "q", score: -id, team: "red"))
            if id % 10 == 0 { try await store.waitForAll(.materialized, timeout: .hang) }
        }
        try players.delete(7)
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        let initial = try teams.calls(store).filter { $0.operation == "initial" }
        #expect(Set(initial.map(\.id)).count == initial.count && initial.count >= 1500)
        try await store.close(deadline: .hang)
    }

    @Test func aRowThatExpiredIsADelete() async throws {
        let store = try directory.open()
        let visits = try store.table(ExpiringVisit.self)
        let seen = Locked<[String]>([])
        try store.project("visits", version: 1, of: visits) { _ in
        } apply: { change, _ in
            let old = change.old.map { "\($0.id)" } ?? "none"
            seen.withLock { $0.append("\(change.operation.rawValue) \(old)") }
        }
        #expect(await eventually { store.projections.first?.state == .current })
        try visits.put(ExpiringVisit(id: 5, until: 1))
        #expect(await eventually { seen.withLock { $0 } == ["put none", "delete 5"] })
        try await store.close(deadline: .hang)
    }

    @Test func addedColumnsDoNotDisturbIt() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try players.put(Player(id: 1, name: "Ada", score: 1))
        try await teams.wait(store)
        let ranked = try store.table(PlayerWithRank.self)
        try ranked.put(PlayerWithRank(id: 2, name: "Eve", score: 2, team: nil, rank: 3))
        try await players.increment(1, "score")
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try operations(store).suffix(2) == ["put", "update"])
        try await store.close(deadline: .hang)
    }

    // MARK: the next life

    /// A life of the store in which the projection sees one row.
    private func liveWithIt() async throws {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try players.put(Player(id: 1, name: "Ada", score: 1, team: "red"))
        try await teams.wait(store)
        try await store.close(deadline: .hang)
    }

    @Test func itGoesOnWhereItWasInTheNextLife() async throws {
        var calls = 0
        for life in 0..<4 {
            let store = try directory.open()
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            for id in 0..<20 {
                try players.put(Player(id: id, name: "p", score: life, team: "\(life)"))
                calls += 1
            }
            if life == 0 {
                try await teams.wait(store)
                // Rows that were there when it was built came once, too.
                calls = try teams.calls(store).count
            }
            if life.isMultiple(of: 2) {
                store.abandon()
            } else {
                try await store.close(deadline: .hang)
            }
        }
        let store = try directory.open()
        try teams.declare(store, try store.table(Player.self))
        try await teams.wait(store)
        #expect(try teams.calls(store).count == calls)
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }

    /// Nothing is applied that it would miss, as long as nobody waits for that.
    @Test func openingLeavesTimeToDeclareIt() async throws {
        do {
            let store = try directory.open { $0.materializeInterval = .seconds(3600) }
            let players = try store.table(Player.self)
            try teams.declare(store, players)
            try await teams.wait(store)
            for id in 0..<10 { try players.put(Player(id: id, name: "p", score: id)) }
            try await store.waitForAll(.durable)
            store.abandon()
        }
        // So slow that no busy machine takes longer than the time that is left.
        let time = SlowTime()
        var configuration = StoreConfiguration()
        configuration.materializeInterval = .microseconds(10)
        var environment = StoreEnvironment.machine(configuration)
        environment.time = time
        let store = try Store(
            at: directory.path, configuration: configuration, environment: environment)
        let players = try store.table(Player.self)
        try await Task.sleep(for: .milliseconds(200))
        #expect(store.health.lag.records == 10)
        try teams.declare(store, players)
        try await teams.wait(store)
        #expect(try operations(store) == Array(repeating: "put", count: 10))
        #expect(try teams.difference(store) == nil)
        try await store.close(deadline: .hang)
    }

    @Test func oneThatIsNotDeclaredMissesWhatIsWrittenAndIsBuiltAnew() async throws {
        try await liveWithIt()
        do {
            let store = try directory.open()
            // A write to another table is nothing to miss.
            try store.keyValues().put(KeyValue(key: "a", value: [1]))
            try await store.waitForAll(.materialized, timeout: .hang)
            let state = try #require(store.projections.first)
            #expect(state.state == .undeclared && state.records == 0)
            try store.table(Player.self).put(Player(id: 2, name: "Eve", score: 2, team: "red"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.projections.first?.records == nil)
            #expect(try teams.difference(store) != nil)
            #expect(store.health.verdict == .healthy)
            try await store.close(deadline: .hang)
        }
        let store = try directory.open()
        try teams.declare(store, try store.table(Player.self))
        try await teams.wait(store)
        #expect(try teams.difference(store) == nil)
        #expect(try operations(store) == ["initial", "initial"])
        try await store.close(deadline: .hang)
    }

    @Test func aNewVersionTakesThePlaceOfTheFormerOneWhenItIsBuilt() async throws {
        try await liveWithIt()
        let store = try directory.open()
        let players = try store.table(Player.self)
        // Until it is built, the former one is there as it was.
        let mayGoOn = DispatchSemaphore(value: 0)
        try store.project("teams", version: 2, of: players) { db in
            try db.execute(sql: "CREATE TABLE team (name TEXT PRIMARY KEY, best INTEGER)")
        } apply: { change, db in
            if change.isInitial { mayGoOn.wait() }
            guard let new = change.new else { return }
            try db.execute(
                sql: "INSERT INTO team VALUES (?, ?) ON CONFLICT DO UPDATE SET best = ?2",
                arguments: [new.team ?? "none", new.score])
        }
        #expect(await eventually { store.projections.first?.state == .building })
        #expect(try teams.difference(store) == nil)
        mayGoOn.signal()
        #expect(await eventually { store.projections.first?.state == .current })
        let database = try store.database
        let (best, names) = try await database.read { db in
            (
                try Int.fetchOne(db, sql: "SELECT best FROM team WHERE name = 'red'"),
                try String.fetchAll(
                    db, sql: "SELECT name FROM sqlite_master WHERE name LIKE 'team%' ORDER BY 1")
            )
        }
        #expect(best == 1 && names == ["team"])
        #expect(store.projections.first?.version == 2)
        try await store.close(deadline: .hang)
    }

    // MARK: others

    @Test func tablesWithoutAProjectionAreCoalescedAsBefore() async throws {
        let store = try directory.open {
            $0.materializeInterval = .seconds(3600)
            $0.blockSize = 512
        }
        let players = try store.table(Player.self)
        let values = try store.keyValues()
        try teams.declare(store, players)
        try values.put(KeyValue(key: "a", value: []))
        try await teams.wait(store)
        try directory.user(
            """
            CREATE TABLE touched (n INTEGER);
            CREATE TRIGGER touch AFTER UPDATE ON keyvalue BEGIN INSERT INTO touched VALUES (1); END;
            """)
        for value in 0..<100 { try values.put(KeyValue(key: "a", value: [UInt8(value)])) }
        for score in 0..<100 { try players.put(Player(id: 1, name: "p", score: score)) }
        for value in 0..<100 { try values.put(KeyValue(key: "a", value: [UInt8(value)])) }
        try await store.waitForAll(.materialized, timeout: .hang)
        let database = try store.database
        let touched = try await database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM touched")
        }
        // Blocks of the one table alone are coalesced; one that holds both is not.
        #expect(touched ?? 0 < 200)
        #expect(try teams.calls(store).count == 100)
        try await store.close(deadline: .hang)
    }

    @Test func observersOfItsTablesAreNotified() async throws {
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try teams.declare(store, players)
        try await teams.wait(store)
        let observation = ValueObservation.tracking { db in
            try Int.fetchOne(db, sql: "SELECT sum(score) FROM team") ?? 0
        }
        let found = Locked<[Int]>([])
        let task = Task {
            for try await sum in observation.values(in: try store.database) {
                found.withLock { $0.append(sum) }
            }
        }
        #expect(await eventually { found.withLock(\.last) == 0 })
        try players.put(Player(id: 1, name: "p", score: 9))
        #expect(await eventually { found.withLock(\.last) == 9 })
        task.cancel()
        _ = await task.result
        try await store.close(deadline: .hang)
    }
}

private struct ExpiringVisit: TableRow {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "visit", [.key("id", .integer), .column("until", .integer, nullable: true)],
        expiry: "until")
    var id: Int
    var until: Int?

    init(id: Int, until: Int?) { (self.id, self.until) = (id, until) }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(until)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        until = try decoder.decode()
    }
}
