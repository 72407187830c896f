import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// Snapshots and the past through the store's own API, on real files.
@Suite struct TimeTravelTests {
    @Test func thePastIsReadByMarkSequenceAndDate() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let first = try players.put(Player(id: 1, name: "Ada", score: 1))
        try store.mark("before deploy")
        _ = try await players.update(1) { $0.score = 2 }
        try await store.snapshot()
        try players.delete(1)
        try await store.waitForAll(.durable)
        #expect(try await players.get(1, asOf: .mark("before deploy"))?.score == 1)
        #expect(try await players.get(1, asOf: .sequence(first.sequence))?.score == 1)
        #expect(try await players.get(1, asOf: .sequence(first.sequence + 2))?.score == 2)
        #expect(try await players.get(1, asOf: .date(.distantFuture)) == nil)
        #expect(try await players.get(1, asOf: .date(.distantPast)) == nil)
        #expect(try await store.marks().map(\.name) == ["before deploy"])
        for moment in [Moment.mark("never"), .sequence(1_000_000)] {
            await #expect(throws: StoreError.self) { try await players.get(1, asOf: moment) }
        }
        try await store.close()
    }

    @Test func historyTellsWhatEachWriteChanged() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada", score: 1))
        try players.put(Player(id: 2, name: "Bob"))
        _ = try await players.update(1) { $0.team = "red" }
        try players.put(Player(id: 1, name: "Ada", score: 5, team: "red"))
        try players.delete(1)
        try await store.waitForAll(.durable)
        let versions = try await players.history(of: 1)
        #expect(versions.map(\.operation) == [.put, .update, .put, .delete])
        #expect(versions[1].columns == ["team": .text("red")])
        #expect(versions[2].columns == ["score": .integer(5)])
        #expect(versions[3].row == nil)
        #expect(versions.compactMap(\.row).map(\.score) == [1, 1, 5])
        try await store.close()
    }

    /// Each tick of the kernel's clock has many of these calls, and begins before most of them.
    @Test(arguments: ["put", "transaction", "mark"])
    func aWriteIsNotTimedBeforeItsCall(write: String) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        var began: [Date] = []
        for id in 0..<200 {
            began.append(Date())
            switch write {
            case "put": try players.put(Player(id: 1, name: "p\(id)"))
            case "transaction":
                try store.transaction { try $0.put(Player(id: 1, name: "p\(id)"), in: players) }
            default: try store.mark("m\(id)")
            }
        }
        let end = Date()
        try await store.waitForAll(.durable)
        let dates =
            write == "mark"
            ? try await store.marks().map(\.date) : try await players.history(of: 1).map(\.date)
        #expect(dates.count == began.count)
        for (date, began) in zip(dates, began) { #expect(date >= began) }
        #expect(try #require(dates.last) < end + 0.001, "nor after it, but for being rounded")
        try await store.close()
    }

    @Test func aDateTakesInWhatWasWrittenBeforeIt() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<20 {
            let receipt = try players.put(Player(id: 1, name: "p\(id)"))
            let after = Date() + 0.000_001
            try await store.wait(for: .durable, receipt)
            #expect(try await players.get(1, asOf: .date(after))?.name == "p\(id)")
            let version = try #require(try await players.history(of: 1).last)
            #expect(try await players.get(1, asOf: .date(version.date))?.name == "p\(id)")
            let before = try await players.get(1, asOf: .date(version.date - 0.001))
            #expect(before?.name != "p\(id)", "a millisecond earlier it was not there")
        }
        try await store.close()
    }

    @Test func aSnapshotHoldsEverythingWrittenBeforeTheCall() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        #expect(try await store.snapshot() == nil)
        let players = try store.table(Player.self)
        for id in 0..<500 { try players.put(Player(id: id, name: "p\(id)")) }
        let snapshot = try #require(try await store.snapshot())
        #expect(snapshot.rows == 500 && snapshot.sequence == 501)
        #expect(try await store.snapshot() == snapshot, "nothing was written since")
        try await store.close()
    }

    @Test func aSnapshotAtCloseThatFailsIsTriedAgainUntilTheDeadline() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.snapshotAtClose = true }
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "one"))
        // No snapshot can be written while a file has the place of their directory.
        let snapshots = StoreLayout(root: directory.path).snapshots
        try FileManager.default.removeItem(atPath: snapshots)
        try Data().write(to: URL(filePath: snapshots))
        let closing = Task { try await store.close(deadline: .hang) }
        #expect(await eventually { store.health.causes.contains { $0.contains("snapshots fail") } })
        try FileManager.default.removeItem(atPath: snapshots)
        try FileManager.default.createDirectory(
            atPath: snapshots, withIntermediateDirectories: false)
        _ = try await closing.value
        #expect(try FileManager.default.contentsOfDirectory(atPath: snapshots).count == 1)
    }

    /// A store of three snapshots whose log's head is gone.
    private func trimmed(_ directory: TemporaryStore) async throws {
        for round in 0..<4 {
            let store = try directory.open {
                $0.logKept = .zero
                $0.snapshotAtClose = round < 3
            }
            let players = try store.table(Player.self)
            for id in 0..<100 {
                try players.put(Player(id: id + round, name: "p\(id)", score: round))
            }
            try players.delete(round)
            if round == 3 {
                try await store.waitForAll(.materialized)
                try await store.snapshot()
                _ = await eventually {
                    !FileManager.default.fileExists(atPath: directory.firstSegment)
                }
            }
            try await store.close()
        }
        #expect(!FileManager.default.fileExists(atPath: directory.firstSegment))
    }

    private func rows(_ store: Store) async throws -> [String] {
        try await store.waitForAll(.materialized, timeout: .hang)
        return try await store.database.read {
            try Row.fetchAll($0, sql: "SELECT * FROM player ORDER BY id").map(\.description)
        }
    }

    @Test func aLostDatabaseIsRebuiltFromSnapshotAndLog() async throws {
        let directory = TemporaryStore()
        try await trimmed(directory)
        var store = try directory.open()
        let before = try await rows(store)
        #expect(before.count == 99)
        try await store.close()
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: directory.database + suffix)
        }
        store = try directory.open()
        #expect(try await rows(store) == before)
        #expect(store.health.verdict == .healthy)
        try await store.close()
    }

    @Test func anOutdatedDatabaseIsPutAsideAndRebuiltWithItsIndices() async throws {
        let directory = TemporaryStore()
        do {
            let store = try directory.open()
            try store.table(Player.self).put(Player(id: 1, name: "Ada"))
            try await store.waitForAll(.materialized)
            try await store.close()
        }
        let old = directory.path + "-old.sqlite"
        defer { try? FileManager.default.removeItem(atPath: old) }
        try await DatabaseQueue(path: directory.database).write {
            try $0.execute(sql: "CREATE INDEX by_name ON player(name)")
        }
        try FileManager.default.copyItem(atPath: directory.database, toPath: old)
        try await trimmed(directory)
        var store = try directory.open()
        let before = try await rows(store)
        try await store.close()
        try FileManager.default.removeItem(atPath: directory.database)
        try FileManager.default.copyItem(atPath: old, toPath: directory.database)
        store = try directory.open()
        #expect(try await rows(store) == before)
        let index = try await store.database.read {
            try String.fetchOne($0, sql: "SELECT name FROM sqlite_master WHERE name = 'by_name'")
        }
        #expect(index == "by_name")
        try await store.close()
        let names = try FileManager.default.contentsOfDirectory(
            atPath: directory.path + "/aside")
        #expect(names.contains("database.sqlite.outdated"))
    }

    @Test func snapshotsAreTakenAsTheLogGrowsAndOldLogGoes() async throws {
        let directory = TemporaryStore()
        let store = try directory.open {
            $0.snapshotAfter = 20_000
            $0.logKept = .zero
            $0.segmentSize = 64 << 10
        }
        let players = try store.table(Player.self)
        let deadline = ContinuousClock.now + .hang
        var id = 0
        repeat {
            for _ in 0..<300 {
                id += 1
                try players.put(Player(id: id % 200, name: UUID().uuidString, score: id))
            }
            try await store.waitForAll(.materialized)
        } while FileManager.default.fileExists(atPath: directory.firstSegment)
            && ContinuousClock.now < deadline
        #expect(try await store.snapshots().count >= 2)
        #expect(!FileManager.default.fileExists(atPath: directory.firstSegment))
        try await store.close()
        try await directory.open().close()
    }
}

extension TemporaryStore {
    var firstSegment: String { path + "/log/00000000000000000001.zst" }
}
