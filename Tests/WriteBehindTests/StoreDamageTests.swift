import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

@Suite struct StoreDamageTests {
    /// A closed store of several segments, its database gone.
    private func storeOfSegments() async throws -> TemporaryStore {
        let directory = TemporaryStore()
        let store = try directory.open { $0.segmentSize = 64 << 10 }
        let players = try store.table(Player.self)
        for id in 0..<20_000 {
            try players.put(Player(id: id, name: UUID().uuidString, score: id))
        }
        try await store.close()
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(
                atPath: directory.path + "/database.sqlite" + suffix)
        }
        return directory
    }

    private func segments(_ directory: TemporaryStore) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path + "/log").sorted()
            .map { directory.path + "/log/" + $0 }
    }

    @Test func damageInTheMiddleOfTheLogOpensForReadingOnly() async throws {
        let directory = try await storeOfSegments()
        let files = try segments(directory)
        try #require(files.count > 3)
        let victim = files[1]
        var bytes = try Data(contentsOf: URL(fileURLWithPath: victim))
        bytes[bytes.count / 2] ^= 0xFF
        try bytes.write(to: URL(fileURLWithPath: victim))

        let store = try directory.open()
        #expect(store.health.verdict == .failed)
        #expect(store.health.causes.contains { $0.contains(victim) })
        #expect {
            try store.table(Player.self).put(Player(id: 1, name: "x"))
        } throws: { error in
            guard case StoreError.damaged(let what) = error else { return false }
            return what.contains(victim)
        }
        let players = try store.table(Player.self)
        #expect(try await players.get(0)?.score == 0, "what is before the damage can be read")
        try await store.close()
        #expect(try Data(contentsOf: URL(fileURLWithPath: victim)) == bytes, "nothing is changed")
    }

    private func damage(_ path: String, at offset: Int? = nil) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[offset ?? bytes.count / 2] ^= 0xFF
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    /// A closed store of several segments whose log begins later than it did, and its database as it once was.
    private func prunedStore() async throws -> (directory: TemporaryStore, backup: String) {
        let directory = TemporaryStore()
        let files = FileManager.default
        let backup = directory.path + "-backup"
        for round in 0..<7 {
            let store = try directory.open {
                if round < 4 { $0.logKept = .zero }
                $0.snapshotAtClose = round < 3
            }
            let players = try store.table(Player.self)
            for id in 0..<50 {
                try players.put(Player(id: 50 * round + id, name: "p\(id)", score: round))
            }
            if round == 3 {
                try await store.waitForAll(.materialized, timeout: .hang)
                try await store.snapshot()
                // All before the last snapshot but one: the backup ends where the log no longer begins.
                #expect(await eventually { (try? segments(directory))?.count == 1 })
            }
            try await store.close()
            if round == 0 { try files.copyItem(atPath: directory.database, toPath: backup) }
        }
        try #require(segments(directory).count > 2)
        return (directory, backup)
    }

    @Test(arguments: [
        "the database is gone", "a backup stands in its place", "the snapshots are gone, too",
    ])
    func aDamagedLogWhoseStartIsDeletedOpensForReadingOnly(what: String) async throws {
        let (directory, backup) = try await prunedStore()
        defer { unlink(backup) }
        let files = FileManager.default
        for suffix in ["", "-wal", "-shm"] {
            try? files.removeItem(atPath: directory.database + suffix)
        }
        if what == "a backup stands in its place" {
            try files.copyItem(atPath: backup, toPath: directory.database)
        } else if what == "the snapshots are gone, too" {
            let snapshots = StoreLayout(root: directory.path).snapshots
            try files.removeItem(atPath: snapshots)
        }
        let victim = try #require(segments(directory).dropLast().last)
        try damage(victim)
        let store = try directory.open()
        #expect(store.health.verdict == .failed)
        #expect(store.health.causes.contains { $0.contains(victim) }, "\(store.health.causes)")
        let players = try store.table(Player.self)
        var errors = [await storeError { _ = try players.put(Player(id: 1, name: "x")) }]
        errors.append(
            await storeError { try await store.waitForAll(.materialized, timeout: .hang) })
        errors.append(await storeError { _ = try await store.quarantine.retry() })
        if what == "the database is gone" {
            #expect(try await players.get(0)?.score == 0, "a snapshot has it")
        } else {
            errors.append(await storeError { _ = try await players.get(0) })
        }
        for error in errors {
            guard case .damaged(let cause)? = error, cause.contains(victim) else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        // An index is built of the database, if that can be used.
        _ = try store.table(IndexedPlayer.self)
        let index = try #require(store.engine.indices.all.first)
        #expect(await eventually(within: 60) { index.phase != .building }, "it is never decided")
        if case .stopped(let reason) = index.phase { #expect(reason.contains(victim)) }
        #expect((index.phase == .ready) == (what == "the database is gone"))
        try await store.close()
    }

    /// A player, in the order of the scores.
    private struct IndexedPlayer: TableRow {
        typealias Key = Int
        static let schema = WriteBehind.TableSchema(
            "player", Player.schema.columns, indices: [IndexDefinition("score")])
        var player: Player
        func encode(to encoder: inout RowEncoder) { player.encode(to: &encoder) }
        init(from decoder: inout RowDecoder) throws { player = try Player(from: &decoder) }
    }

    /// Refused commits are in the log alone.
    @Test func damageOfWhatIsInQuarantineOpensForReadingOnly() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.segmentSize = 64 << 10 }
        let players = try store.table(Player.self)
        try players.put(Player(id: 0, name: "taken"))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX one_name ON player (name)")
        try players.put(Player(id: 1, name: "taken", score: 1))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        let victim = try #require(segments(directory).first)
        let end = try Data(contentsOf: URL(filePath: victim)).count
        for id in 2..<10_000 { try players.put(Player(id: id, name: UUID().uuidString)) }
        try await store.close()
        try damage(victim, at: end - 8)
        let damaged = try directory.open()
        #expect(damaged.health.verdict == .failed)
        #expect(damaged.health.causes.contains { $0.contains(victim) })
        let error = await storeError { _ = try await damaged.table(Player.self).get(1) }
        guard case .damaged? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await damaged.close()
    }

    /// The loss of the log looks like an end that was never written, but the database holds it.
    @Test func aLogThatEndsBeforeItsDatabaseIsDamaged() async throws {
        let live = TemporaryStore()
        let store = try live.open()
        let players = try store.table(Player.self)
        for round in 0..<2 {
            try players.put(Player(id: round, name: "p"))
            try await store.waitForAll(.materialized, timeout: .hang)
        }
        let directory = TemporaryStore()
        try FileManager.default.copyItem(atPath: live.path, toPath: directory.path)
        try await store.close()
        // As if power had failed and its last sync had never reached the disk.
        try FileManager.default.removeItem(atPath: directory.path + "/staging")
        let segment = try FileHandle(
            forWritingTo: URL(fileURLWithPath: try #require(try segments(directory).last)))
        try segment.truncate(atOffset: try segment.seekToEnd() - 1)
        try segment.close()

        let damaged = try directory.open()
        #expect(damaged.health.verdict == .failed)
        #expect(damaged.health.causes.contains { $0.contains("the database") })
        try await damaged.close()
    }

    /// Under another identity all of its log would be foreign.
    @Test func aStoreThatHasLostItsIdentityIsNotTakenForANewOne() async throws {
        let directory = try await storeOfSegments()
        let identity = URL(fileURLWithPath: directory.path + "/store.json")
        let bytes = try Data(contentsOf: identity)
        try FileManager.default.removeItem(at: identity)
        #expect {
            try directory.open()
        } throws: { error in
            guard case StoreError.notAStore(_, let reason) = error else { return false }
            return reason.contains("store.json is missing")
        }
        #expect(!FileManager.default.fileExists(atPath: identity.path))
        try bytes.write(to: identity)
        let store = try directory.open()
        #expect(try await store.table(Player.self).get(19_999)?.score == 19_999)
        try await store.close()
    }

    @Test func aLostDatabaseIsBuiltAgainFromTheLog() async throws {
        let directory = try await storeOfSegments()
        let store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        let count = try await store.database.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM player")
        }
        #expect(count == 20_000)
        try await store.close()
    }
}
