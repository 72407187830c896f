import EventLog
import PostgreSQLServer
import TestSupport
import Testing
import WriteBehind
import WriteBehindPostgreSQL

extension TestStore {
    /// Writes players while `trouble` is made, and then waits for all to be in the database.
    func write(
        at address: String? = nil, count: Int = 600,
        _ options: (inout PostgreSQLOptions) -> Void = { _ in },
        trouble: @escaping @Sendable (Store, Int) async throws -> Void
    ) async throws {
        let store = try open(at: address, options)
        let players = try store.table(Player.self)
        try players.put(Player(id: 0))
        try await store.waitForAll(.materialized, timeout: .hang)
        try audit("player")
        for number in 1...count {
            try players.put(Player(id: number % 100, name: "n", score: number))
            if number % 5 == 0 { try? await Task.sleep(for: .milliseconds(1)) }
            try await trouble(store, number)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        try await check(store, count)
        try await store.close(deadline: .hang)
    }

    /// The players after so many writes, at least 100.
    static func players(after count: Int) -> [Player] {
        (0..<100).map { Player(id: $0, name: "n", score: count - (count - $0) % 100) }
    }

    /// The rows are right, and each row's changes follow each other: each begins where the one before it ended, so none
    /// is there twice, and none is missing.
    private func check(_ store: Store, _ count: Int) async throws {
        let expected = Self.players(after: count)
        // A server that is killed forgets its last transactions, and the store notices that within a second.
        #expect(try await eventually { try players() == expected })
        let broken = try database.run(
            """
            SELECT id, was, is_now FROM (SELECT *, lag(is_now) OVER (PARTITION BY id ORDER BY number) AS before \
            FROM audit) AS a WHERE before IS NOT NULL AND was IS DISTINCT FROM before OR was = is_now
            """)
        #expect(broken.isEmpty, "\(broken)")
        #expect(store.health.quarantined == 0)
        let isHealthy = await eventually { store.health.verdict == .healthy }
        #expect(isHealthy, "\(store.health.causes)")
    }
}
