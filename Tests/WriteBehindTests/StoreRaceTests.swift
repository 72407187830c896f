import EventLog
import TestSupport
import Testing
import WriteBehind

/// The real store, its threads and SQLite, under racing tasks (I1, I2, I5, I6).
@Suite struct StoreRaceTests {
    /// One task writes ever higher scores to its rows; the others read, evict and let copies expire. No read
    /// may show less than what had been acknowledged before it began.
    @Test func readsNeverGoBackBehindAcknowledgedWrites() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        let acknowledged = Locked([Int](repeating: 0, count: 8))
        for id in 0..<8 { try players.put(Player(id: id, name: "p")) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<2 {
                group.addTask {
                    for score in 1...1500 {
                        let id = score % 4 * 2 + writer
                        switch score % 3 {
                        case 0: try players.put(Player(id: id, name: "p", score: score))
                        case 1:
                            let ttl = Duration.milliseconds(score % 5)
                            try players.put(Player(id: id, name: "p", score: score), cachedFor: ttl)
                        default: _ = try await players.update(id) { $0.score = score }
                        }
                        acknowledged.withLock { $0[id] = score }
                        if score % 50 == 0 { try await Task.sleep(for: .milliseconds(2)) }
                    }
                }
            }
            for reader in 0..<2 {
                group.addTask {
                    for round in 0..<3000 {
                        let id = (round + reader) % 8
                        try players.evict(id)
                        let before = acknowledged.withLock { $0[id] }
                        let found = try await players.get(id)?.score ?? -1
                        #expect(found >= before, "player \(id)")
                    }
                }
            }
            try await group.waitForAll()
        }
        try await store.close()
    }

    @Test func incrementsOfManyTasksAddUpWhileTheRowIsEvicted() async throws {
        let directory = TemporaryStore()
        let store = try directory.open { $0.materializeInterval = .milliseconds(1) }
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<250 {
                        try await players.increment(1, "score")
                        try players.evict(1)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await players.get(1)?.score == 1000)
        try await store.close()
    }

    /// Random writes against a model, over lives of the store that end in all sorts of ways.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func whatWasWrittenIsThereInEveryLife(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let directory = TemporaryStore()
        var model: [Int: Player] = [:]
        for life in 0..<5 {
            let store = try directory.open {
                $0.syncInterval = .milliseconds(2)
                $0.materializeInterval = .milliseconds(2)
                $0.segmentSize = 64 << 10
                $0.blockSize = 1024
            }
            let players = try store.table(Player.self)
            for _ in 0..<300 {
                let id = Int.random(in: 0..<40, using: &random)
                let score = Int.random(in: 0..<1000, using: &random)
                switch Int.random(in: 0..<20, using: &random) {
                case 0..<8:
                    model[id] = Player(id: id, name: "life \(life)", score: score)
                    try players.put(Player(id: id, name: "life \(life)", score: score))
                case 8..<11:
                    model[id]?.score = score
                    do {
                        try await players.update(id) { $0.score = score }
                    } catch StoreError.noSuchRow {
                        #expect(model[id] == nil, "seed \(seed)")
                    }
                case 11..<13:
                    model[id] = nil
                    try players.delete(id)
                case 13..<18:
                    try players.evict(id)
                    #expect(try await players.get(id) == model[id], "seed \(seed)")
                case 18 where score < 60:
                    model = [:]
                    try players.clear()
                default: try await Task.sleep(for: .milliseconds(1))
                }
            }
            for id in 0..<40 { #expect(try await players.get(id) == model[id], "seed \(seed)") }
            // Sometimes nothing is brought to the database any more.
            try await store.close(deadline: Bool.random(using: &random) ? .seconds(10) : .zero)
        }
        let store = try directory.open()
        let players = try store.table(Player.self)
        for id in 0..<40 { #expect(try await players.get(id) == model[id], "seed \(seed)") }
        try await store.close()
    }

    /// I5: the statement was made before the column was, and runs after a value is in it.
    @Test func aReadThatBeganBeforeAColumnWasAddedDoesNotHideWhatIsInIt() async throws {
        let directory = TemporaryStore()
        let store = try directory.open {
            $0.readers = 1
            $0.materializeInterval = .seconds(3600)
        }
        try store.table(Player.self).put(Player(id: 1, name: "Ada"))
        try await store.waitForAll(.materialized, timeout: .hang)
        let players = try store.table(PlayerWithRank.self)
        var row = try #require(try await players.get(1))
        #expect(try players.evict(1))
        let reader = try BusyReader(of: store)
        let getting = Task { try await players.get(1) }
        try await Task.sleep(for: .milliseconds(200))
        row.rank = 9
        try players.put(row)
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        reader.end()
        _ = try await getting.value
        #expect(try await players.get(1)?.rank == 9)
        try await store.close()
    }
}
