import EventLog
import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind

/// Everything that a store does, at once: eight writers and eight readers, a materializer that never rests,
/// snapshots one after the other, merging, deletion of log, expiry, a follower and a user's queries. Made for the
/// thread sanitizer.
@Suite struct StoreCrowdTests {
    private static let rounds = 200

    @Test func writersReadersAndAllCompactorsAtOnceLoseNothing() async throws {
        let directory = TemporaryStore()
        let lines = Locked<[String]>([])
        let configure = { @Sendable (configuration: inout StoreConfiguration) in
            configuration.segmentSize = 16 << 10
            configuration.blockSize = 1 << 10
            configuration.syncInterval = .milliseconds(2)
            configuration.materializeInterval = .milliseconds(1)
            configuration.expiryInterval = .milliseconds(5)
            configuration.logKept = .zero
            configuration.logger = Logger(label: "test") { _ in CapturingLog(lines) }
        }
        // Each leaves a small segment, to be merged with its neighbours.
        for life in 0..<9 {
            let store = try directory.open { configuration in
                configure(&configuration)
                configuration.snapshotAfter = nil
            }
            try store.table(Player.self).put(Player(id: 1000 + life, name: "earlier"))
            try await store.close()
        }
        let store = try directory.open(configure)
        let crowd = Crowd(store, try store.table(Player.self), try store.table(Session.self))
        let writing = Task { try await crowd.write(rounds: Self.rounds) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for reader in 0..<8 { group.addTask { try await crowd.read(reader) } }
            group.addTask { try await crowd.takeSnapshots() }
            group.addTask { try await crowd.query() }
            group.addTask { [path = directory.path] in try await crowd.follow(path) }
            group.addTask {
                defer { crowd.isOver.withLock { $0 = true } }
                try await writing.value
            }
            try await group.waitForAll()
        }
        let due = try await eventually { try await crowd.dueSessions() == 0 }
        #expect(due, "a row that is due is still there")
        #expect(try await store.close(deadline: .hang).pending == 0)
        for message in ["took a snapshot", "merged small segments", "deleted a file"] {
            #expect(lines.withLock { $0.contains { $0.contains(message) } }, "nobody \(message)")
        }
        try await crowd.check(try directory.open())
    }
}

/// The writers, readers and followers, and the promises to them.
private final class Crowd: Sendable {
    let isOver = Locked(false)
    private let store: Store
    private let players: StoredTable<Player>
    private let sessions: StoredTable<Session>
    /// The score that was last acknowledged, by player.
    private let scores = Locked([Int](repeating: 0, count: 32))
    private static let query = "SELECT score FROM player WHERE id < 32 ORDER BY id"

    init(_ store: Store, _ players: StoredTable<Player>, _ sessions: StoredTable<Session>) {
        (self.store, self.players, self.sessions) = (store, players, sessions)
    }

    private var goesOn: Bool { isOver.withLock { !$0 } }

    /// Eight tasks, each with rows of its own.
    func write(rounds: Int) async throws {
        for id in 0..<32 { try players.put(Player(id: id, name: "p")) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
                group.addTask {
                    for score in 1...rounds {
                        let id = score % 4 * 8 + writer
                        try await self.write(score, to: id)
                        self.scores.withLock { $0[id] = score }
                        if score % 20 == 0 { try await Task.sleep(for: .milliseconds(2)) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func write(_ score: Int, to id: Int) async throws {
        let player = Player(id: id, name: "p", score: score)
        switch score % 5 {
        case 0: try players.put(player)
        case 1: try players.put(player, cachedFor: .milliseconds(score % 7))
        case 2: _ = try await players.update(id) { $0.score = score }
        case 3:
            let now = Int(Date().timeIntervalSince1970)
            try store.transaction { transaction in
                try transaction.put(player, in: self.players)
                try transaction.put(Session(id: "\(id)-\(score)", until: now), in: self.sessions)
            }
        default:
            let receipt = try players.put(player)
            try await store.wait(for: score % 2 == 0 ? .durable : .materialized, receipt)
        }
    }

    /// No read may show less than what had been acknowledged before it began (I5).
    func read(_ reader: Int) async throws {
        var round = reader
        while goesOn {
            round += 1
            let id = round % 32
            if round % 3 == 0 { try players.evict(id) }
            let before = scores.withLock { $0[id] }
            let found = try await players.get(id)?.score ?? (before == 0 ? 0 : -1)
            #expect(found >= before, "player \(id)")
            if round % 100 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    func takeSnapshots() async throws {
        while goesOn {
            try await store.snapshot()
            _ = try await store.marks()
        }
    }

    /// SQL only ever shows more: every row follows its own order (I1).
    func query() async throws {
        let database = try store.database
        var last = [Int](repeating: 0, count: 32)
        while goesOn {
            let scores = try await database.read { db in
                try db.tableExists("player") ? try Int.fetchAll(db, sql: Self.query) : []
            }
            for (id, score) in scores.enumerated() {
                #expect(score >= last[id], "player \(id)")
                last[id] = score
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// As another process does: no commit is missed except deleted ones, and none is seen twice.
    func follow(_ path: String) async throws {
        let layout = StoreLayout(root: path)
        let identity = try #require(try StoreIdentity.read(layout, on: PosixDisk()))
        let environment = LogEnvironment(
            disk: PosixDisk(), layout: layout, storeID: identity.storeID)
        var reader: LogReader?
        var position: UInt64 = 0
        while goesOn {
            do {
                let open = try reader ?? LogReader(environment, from: position + 1)
                reader = open
                let published = try LogInspection.published(environment) ?? 0
                while try open.next(through: published), let block = open.block {
                    guard block.nextSequence - 1 > position else { continue }
                    #expect(block.firstSequence <= position + 1, "a hole")
                    position = block.nextSequence - 1
                }
            } catch {
                guard case LogError.deleted(_, let oldest?) = error else { throw error }
                #expect(oldest > position + 1, "\(position + 1) is gone, but not \(oldest)")
                (reader, position) = (nil, oldest - 1)
            }
            try await Task.sleep(for: .milliseconds(1))
        }
        #expect(position > 0)
    }

    func dueSessions() async throws -> Int {
        try await store.waitForAll(.materialized)
        return try await store.database.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM session") ?? 0
        }
    }

    /// Another life finds what was acknowledged, in memory and in the database.
    func check(_ store: Store) async throws {
        let players = try store.table(Player.self)
        for (id, score) in scores.withLock({ $0 }).enumerated() {
            #expect(try await players.get(id)?.score == score, "player \(id)")
        }
        let rows = try await store.database.read { try Int.fetchAll($0, sql: Self.query) }
        #expect(rows == scores.withLock { $0 })
        try await store.close()
    }
}
