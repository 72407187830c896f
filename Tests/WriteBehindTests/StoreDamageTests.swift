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

    @Test func aLostDatabaseIsBuiltAgainFromTheLog() async throws {
        let directory = try await storeOfSegments()
        let store = try directory.open()
        try await store.waitForAll(.materialized, timeout: .hang)
        let count = try await store.database?.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM player")
        }
        #expect(count == 20_000)
        try await store.close()
    }
}
