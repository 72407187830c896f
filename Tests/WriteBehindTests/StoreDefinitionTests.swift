import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// Definitions that the database cannot take, for what users have made of it.
@Suite struct StoreDefinitionTests {
    @Test(arguments: [
        "CREATE TABLE keyvalue (a)", "CREATE INDEX KeyValue ON player (name)",
        "CREATE VIEW keyvalue AS SELECT 1",
    ])
    func aNameThatAUserHasTakenIsRefusedWhereItCanBeSeen(sql: String) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user(sql)
        try players.put(Player(id: 2, name: "Bo"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let error = await storeError { _ = try store.keyValues() }
        guard case .schema(let problem)? = error, case .takenInDatabase = problem.problem else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(store.health.verdict == .healthy)
        try await store.close()
    }

    /// Declares it before the database can be asked, as an idle store has not looked at it since.
    private func declareUnseen(
        _ directory: TemporaryStore, _ sql: String, _ declare: (Store) throws -> Void
    ) async throws -> Store {
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user(sql)
        try declare(store)
        try players.put(Player(id: 2, name: "Bo"))
        try await store.waitForAll(.materialized, timeout: .hang)
        return store
    }

    /// Both definitions are refused, and come out together.
    @Test func aColumnIsAddedToATableThatWaits() async throws {
        let directory = TemporaryStore()
        let take = "CREATE TABLE badge (a)"
        let store = try await declareUnseen(directory, take) { store in
            try store.table(Badge.self).put(Badge(name: "star"))
            let badges = try store.table(BadgeWithColour.self)
            try badges.put(BadgeWithColour(name: "sun", colour: "gold"))
        }
        let badges = try store.table(BadgeWithColour.self)
        for _ in 0..<2 {
            #expect(store.quarantine.list().count == 2)
            #expect(try await store.quarantine.retry().left == 4)
        }
        #expect(try await badges.get("star")?.colour == "none")
        try directory.user("DROP TABLE badge")
        let retried = try await store.quarantine.retry()
        #expect(retried.applied == 4 && retried.left == 0)
        #expect(store.quarantine.list().isEmpty)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        let colours = try await store.database.read {
            try String.fetchAll($0, sql: "SELECT colour FROM badge ORDER BY name")
        }
        #expect(colours == ["none", "gold"])
        try await store.close()
    }

    /// A clear makes up for refused rows, not for a definition: what comes after it needs the columns.
    @Test(arguments: [false, true]) func aClearDoesNotMakeUpForADefinition(isNew: Bool) async throws
    {
        let directory = TemporaryStore()
        let take = isNew ? "CREATE TABLE badge (a)" : "ALTER TABLE player ADD COLUMN rank TEXT"
        let store = try await declareUnseen(directory, take) { store in
            if isNew {
                try store.table(Badge.self).put(Badge(name: "star"))
            } else {
                _ = try store.table(PlayerWithRank.self)
            }
        }
        if isNew {
            try store.table(Badge.self).clear()
            try store.table(Badge.self).put(Badge(name: "sun"))
        } else {
            try store.table(PlayerWithRank.self).clear()
            try store.table(PlayerWithRank.self).put(
                PlayerWithRank(id: 3, name: "Cy", score: 1, team: nil, rank: 4))
        }
        try store.keyValues().put(KeyValue(key: "other", value: [1]))
        try await store.waitForAll(.materialized, timeout: .seconds(60))
        #expect(store.quarantine.list().count == 1)
        try directory.user(isNew ? "DROP TABLE badge" : "ALTER TABLE player DROP COLUMN rank")
        #expect(try await store.quarantine.retry().left == 0)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        let found = try await store.database.read {
            try String.fetchAll(
                $0, sql: isNew ? "SELECT name FROM badge" : "SELECT name || rank FROM player")
        }
        #expect(found == [isNew ? "sun" : "Cy4"])
        try await store.close()
    }

    /// Its table was cleared before, which the database has taken.
    @Test func aDefinitionInQuarantineHidesNoRow() async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        var players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try players.clear()
        try players.put(Player(id: 2, name: "Bo"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(2))
        try directory.user("ALTER TABLE player ADD COLUMN rank TEXT")
        _ = try store.table(PlayerWithRank.self)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        for _ in 0..<2 {
            #expect(try await players.get(2)?.name == "Bo")
            #expect(try await players.get(1) == nil)
            try await store.close()
            store = try directory.open()
            players = try store.table(Player.self)
        }
        try await store.close()
    }

    /// A user's table has the name of one of the store's, and comes back before it when the database is rebuilt.
    @Test(arguments: [true, false])
    func aDefinitionThatARebuiltDatabaseRefusesWaitsAtItsPlace(logIsWhole: Bool) async throws {
        let directory = TemporaryStore()
        func open() throws -> Store {
            try directory.open {
                guard !logIsWhole else { return }
                $0.segmentSize = 64 << 10
                $0.logKept = .zero
                $0.logBytesKept = 0
            }
        }
        func write(_ store: Store) async throws {
            let players = try store.table(Player.self)
            for score in 0..<3 {
                for id in 0..<2000 {
                    try players.put(Player(id: id, name: "\(UUID())", score: score))
                }
                try await store.snapshot()
            }
            try await store.waitForAll(.materialized, timeout: .hang)
        }
        var store = try open()
        try await write(store)
        try directory.user("CREATE TABLE badge (a)")
        try store.table(Badge.self).put(Badge(name: "star"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().map(\.rows) == [["badge[all rows]"]])
        try await write(store)
        try await store.close()
        let first = StoreLayout(root: directory.path).segment(1)
        #expect(FileManager.default.fileExists(atPath: first) == logIsWhole)

        try directory.user("UPDATE _writebehind_watermark SET chain = chain + 1")
        store = try open()
        try store.table(Player.self).put(Player(id: 0, name: "last"))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await store.table(Badge.self).get("star") == Badge(name: "star"))
        #expect(store.quarantine.list().map(\.rows) == (logIsWhole ? [["badge[all rows]"]] : []))
        let causes = store.health.causes
        #expect(causes.contains { $0.contains("could not be made again") } == !logIsWhole)
        try await write(store)
        try await store.close()
    }

    @Test(arguments: [
        ("CREATE TABLE keyvalue (a)", "DROP TABLE keyvalue"),
        ("CREATE INDEX keyvalue ON player (name)", "DROP INDEX keyvalue"),
    ])
    func aTableWhoseNameIsTakenWaitsAloneUntilItIsRetried(take: String, give: String) async throws {
        let directory = TemporaryStore()
        var store = try await declareUnseen(directory, take) { store in
            try store.keyValues().put(KeyValue(key: "k1", value: [2]))
        }
        #expect(store.quarantine.list().count == 1)
        #expect(store.health.verdict == .degraded)
        #expect(try await store.keyValues().get("k1")?.value == [2])
        let names = try await store.database.read {
            try String.fetchAll($0, sql: "SELECT name FROM player")
        }
        #expect(names.sorted() == ["Ada", "Bo"])
        try await store.close()
        store = try directory.open()
        #expect(try await store.keyValues().get("k1")?.value == [2])
        try store.keyValues().put(KeyValue(key: "k3", value: [4]))
        try await store.waitForAll(.materialized, timeout: .hang)
        let tried = try await store.quarantine.retry()
        #expect(tried.applied == 0)
        try directory.user(give)
        let retried = try await store.quarantine.retry()
        #expect(retried.applied == 3)
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        let count = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM keyvalue")
        }
        #expect(count == 2)
        try await store.close()
    }

    @Test func aColumnWhoseNameIsTakenLeavesTheOtherTablesAlone() async throws {
        let directory = TemporaryStore()
        let store = try await declareUnseen(directory, "ALTER TABLE player ADD COLUMN rank TEXT") {
            try $0.keyValues().put(KeyValue(key: "k1", value: [2]))
            _ = try $0.table(PlayerWithRank.self)
        }
        #expect(store.health.verdict == .degraded)
        #expect(try await store.table(PlayerWithRank.self).get(2)?.rank == 7)
        try store.keyValues().put(KeyValue(key: "k2", value: [2]))
        try await store.waitForAll(.materialized, timeout: .hang)
        let count = try await store.database.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM keyvalue")
        }
        #expect(count == 2)
        try directory.user("ALTER TABLE player DROP COLUMN rank")
        _ = try await store.quarantine.retry()
        #expect(store.health.verdict == .healthy, "\(store.health.causes)")
        #expect(try await store.table(PlayerWithRank.self).get(1)?.rank == 7)
        try await store.close()
    }
}
