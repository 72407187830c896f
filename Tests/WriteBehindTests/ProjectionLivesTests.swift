import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// Many lives of a store, with kills, other versions, and programs without the projection: after each it is what the
/// table says.
@Suite struct ProjectionLivesTests {
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func afterAnyLivesItIsWhatTheTableSays(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let directory = TemporaryStore()
        var teams = Teams()
        for _ in 0..<6 {
            let store = try directory.open {
                $0.materializeInterval = .milliseconds(Int.random(in: 0...20, using: &random))
                $0.blockSize = 256
            }
            let players = try store.table(Player.self)
            if Int.random(in: 0..<6, using: &random) == 0 { teams.version += 1 }
            let isDeclared = Int.random(in: 0..<5, using: &random) > 0
            if isDeclared { try teams.declare(store, players) }
            for _ in 0..<Int.random(in: 0...150, using: &random) {
                try await write(to: players, of: store, &random)
            }
            if isDeclared, Bool.random(using: &random) {
                try await teams.wait(store)
                try check(teams, store)
            }
            if Bool.random(using: &random) {
                store.abandon()
            } else {
                try await store.close(deadline: .hang)
            }
        }
        let store = try directory.open()
        try teams.declare(store, try store.table(Player.self))
        try await teams.wait(store)
        try check(teams, store)
        try await store.close(deadline: .hang)
    }

    private func write(
        to players: StoredTable<Player>, of store: Store, _ random: inout SeededRandom
    ) async throws {
        func some() -> Player {
            let team = ["red", "blue", nil].randomElement(using: &random) ?? nil
            return Player(
                id: .random(in: 0..<20, using: &random), name: "p",
                score: .random(in: -9...9, using: &random), team: team)
        }
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<9: try players.put(some())
        case 9..<12:
            do {
                try await players.increment(some().id, "score")
            } catch StoreError.noSuchRow {}
        case 12..<14: try players.delete(some().id)
        case 14: try players.clear()
        case 15: try await store.waitForAll(.durable)
        case 16: try await store.waitForAll(.materialized, timeout: .hang)
        default:
            let (put, deleted) = ([some(), some()], some().id)
            try store.transaction { transaction in
                for player in put { try transaction.put(player, in: players) }
                try transaction.delete(deleted, in: players)
            }
        }
    }

    private func check(_ teams: Teams, _ store: Store) throws {
        if let wrong = try teams.difference(store) { Issue.record("\(wrong)") }
        let calls = try teams.calls(store).filter { $0.operation != "initial" }
        #expect(
            zip(calls, calls.dropFirst()).allSatisfy { $0.sequence < $1.sequence },
            "a change came twice, or too late")
    }
}
