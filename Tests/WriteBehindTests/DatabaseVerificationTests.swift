import EventLog
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

@Suite struct DatabaseVerificationTests {
    /// More rows than are read at once, and what is wrong at the start, in the middle and at the end.
    @Test(arguments: [0, 1, 8_191, 8_192, 8_193, 17_000])
    func everyRowThatDiffersIsNamedAndNoOther(count: Int) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<count { try players.put(Player(id: id, name: "player", score: id)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close()
        #expect(try differences(directory, count) == [:])

        let (missing, changed) = ([0, 8_192, 9_000, count - 1], [1, 8_191, 8_500, count - 2])
        var expected: [String: String] = [:]
        for id in missing where (0..<count).contains(id) {
            try directory.user("DELETE FROM player WHERE id = \(id)")
            expected["player[\(id)]"] = "missing"
        }
        for id in changed where (0..<count).contains(id) && !missing.contains(id) {
            try directory.user("UPDATE player SET score = -1 WHERE id = \(id)")
            expected["player[\(id)]"] = "score"
        }
        for id in [-5, count, count + 1] {
            try directory.user("INSERT INTO player (id, name, score) VALUES (\(id), 'x', 1)")
            expected["player[\(id)]"] = "extra"
        }
        #expect(try differences(directory, count + 3) == expected)
    }

    /// Reading the whole log takes a while; meanwhile a live store goes on, and so does its database.
    @Test func aLiveStoreThatIsWrittenOnMeanwhileIsNotTakenForDamaged() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let before = try StoreInspection(path: directory.path)
        try players.put(Player(id: 2, name: "Bo"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let verification = try DatabaseVerification(before) { _, _ in }
        #expect(verification.fault == nil)
        #expect(verification.differenceCount == 0)
        #expect(verification.rowCount == 2)
        try await store.close()
    }

    private func differences(_ directory: TemporaryStore, _ rows: Int) throws -> [String: String] {
        var found: [String: String] = [:]
        let verification = try DatabaseVerification(StoreInspection(path: directory.path)) {
            switch $1 {
            case .missing: found[$0] = "missing"
            case .extra: found[$0] = "extra"
            case .columns(let columns): found[$0] = columns.map(\.name).joined()
            case .malformed(let reason): found[$0] = reason
            case .added: found[$0] = "added"
            }
        }
        #expect(verification.fault == nil)
        #expect(verification.rowCount == UInt64(rows))
        #expect(verification.differenceCount == UInt64(found.count))
        return found
    }
}
