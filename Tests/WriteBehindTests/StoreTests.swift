import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind

struct Player: TableRow, Equatable {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "player",
        [
            .key("id", .integer), .column("name", .text),
            .column("score", .integer), .column("team", .text, nullable: true),
        ])
    var id: Int
    var name: String
    var score: Int
    var team: String?

    init(id: Int, name: String, score: Int = 0, team: String? = nil) {
        (self.id, self.name, self.score, self.team) = (id, name, score, team)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(name)
        encoder.encode(score)
        encoder.encode(team)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        name = try decoder.decode()
        score = try decoder.decode()
        team = try decoder.decode()
    }
}

/// A directory that is gone after the test.
final class TemporaryStore: Sendable {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.path + "/wb-" + UUID().uuidString
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open(_ configure: (inout StoreConfiguration) -> Void = { _ in }) throws -> Store {
        var configuration = StoreConfiguration()
        configuration.stagingSlotSize = 1 << 20
        configuration.cacheLimit = 16 << 20
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configure(&configuration)
        return try Store(at: path, configuration: configuration)
    }
}

@Suite struct StoreTests {
    @Test func aWriteGoesFromPutToSQL() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let receipt = try players.put(Player(id: 1, name: "Ada", score: 10))
        #expect(try await players.get(1) == Player(id: 1, name: "Ada", score: 10))
        try await store.wait(for: .materialized, receipt, timeout: .hang)
        let database = try store.database
        let name = try await database.read {
            try String.fetchOne($0, sql: "SELECT name FROM player")
        }
        #expect(name == "Ada")
        let report = try await store.close(deadline: .hang)
        #expect(report.pending == 0)
    }

    @Test func whatIsNotInMemoryIsReadFromTheDatabase() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        try players.put(Player(id: 1, name: "Ada"))
        #expect(try players.evict(1) == false, "a dirty row stays")
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try players.evict(1))
        #expect(try players.cached(1) == nil)
        #expect(try await players.get(1)?.name == "Ada")
        #expect(try players.cached(1)?.name == "Ada")
        #expect(try await players.get(2) == nil)
        try await store.close()
    }

    @Test func whatWasWrittenIsThereAfterReopening() async throws {
        let directory = TemporaryStore()
        do {
            let store = try directory.open()
            let players = try store.table(Player.self)
            for id in 0..<1000 { try players.put(Player(id: id, name: "p\(id)", score: id)) }
            _ = try await players.update(5) { $0.team = "red" }
            _ = try await players.increment(6, "score", by: 100)
            try players.delete(7)
            try await store.close()
        }
        let store = try directory.open()
        let players = try store.table(Player.self)
        #expect(try await players.get(5) == Player(id: 5, name: "p5", score: 5, team: "red"))
        #expect(try await players.get(6)?.score == 106)
        #expect(try await players.get(7) == nil)
        #expect(store.health.verdict == .healthy)
        try await store.close()
    }

    /// Rows are spread over many shards, and a block is brought back shard by shard.
    @Test func aClearKeepsItsPlaceAmongTheWritesOfItsBlockAfterReopening() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        func open() throws -> Store {
            try directory.open(failing: failing) { $0.cacheLimit = 256 << 20 }
        }
        let store = try open()
        let players = try store.table(Player.self)
        failing.now = SinkError(.busy, "everything has to come from the log")
        for id in 0..<200 { try players.put(Player(id: id, name: "before")) }
        try players.clear()
        for id in 0..<100 { try players.put(Player(id: id, name: "between")) }
        for id in 0..<50 { _ = try await players.increment(id, "score", by: id) }
        try players.clear()
        for id in 0..<60 { try players.put(Player(id: id, name: "after")) }
        for id in 20..<60 { _ = try await players.increment(id, "score", by: id) }
        for id in 40..<60 { try players.delete(id) }
        try await store.close(deadline: .zero)
        let reopened = try open()
        let found = try reopened.table(Player.self)
        for id in 0..<200 {
            let right = id < 40 ? Player(id: id, name: "after", score: id < 20 ? 0 : id) : nil
            #expect(try await found.get(id) == right)
        }
        failing.now = nil
        try await reopened.close()
    }

    @Test func aSecondWriterInThisProcessIsToldSo() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        #expect {
            _ = try directory.open()
        } throws: { error in
            guard case StoreError.alreadyOpen(let path) = error else { return false }
            return path == directory.path && "\(error)".contains("this process")
        }
        try await store.close()
        try await directory.open().close()
    }

    @Test func aTransactionOverTablesIsOneCommit() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let players = try store.table(Player.self)
        let values = try store.keyValues()
        let (_, receipt) = try store.transaction {
            try $0.put(Player(id: 1, name: "Ada"), in: players)
            try $0.put(KeyValue(key: "a", value: [1]), in: values)
        }
        #expect(receipt.sequence == receipt.firstSequence + 1)
        try await store.transaction { tx in
            let ada = try await tx.get(1, in: players)
            try tx.put(KeyValue(key: "b", value: Array((ada?.name ?? "").utf8)), in: values)
            try await tx.update(1, in: players) { $0.score += 5 }
        }
        #expect(try await values.get("b")?.value == Array("Ada".utf8))
        #expect(try await players.get(1)?.score == 5)
        try await store.close()
    }

    @Test func aDroppedStoreLetsAnotherHaveItsDirectoryAtOnce() async throws {
        let directory = TemporaryStore()
        for score in 1...50 {
            let store = try directory.open()
            try store.table(Player.self).put(Player(id: 1, name: "p", score: score))
        }
        let store = try directory.open()
        #expect(try await store.table(Player.self).get(1)?.score == 50)
        try await store.close()
    }

    @Test func durationsWithoutEndAreTaken() async {
        await #expect(processExitsWith: .success) {
            let endless = Duration.seconds(Int64.max)
            let directory = TemporaryStore()
            let store = try directory.open {
                $0.syncInterval = endless
                $0.materializeInterval = endless
                $0.retryLimit = endless
                $0.stallAfter = endless
                $0.expiryInterval = endless
                $0.logKept = endless
            }
            let players = try store.table(Player.self)
            let receipt = try players.put(Player(id: 1, name: "Ada"), cachedFor: endless)
            try await store.wait(for: .materialized, receipt, timeout: endless)
            let found = try await players.get(1, cachedFor: endless)
            precondition(found?.name == "Ada")
            try await store.close(deadline: endless)
        }
    }

    /// As a program does that becomes a daemon. The working directory is the process's, so this has one of its own.
    @Test func aStoreStaysWhereItIsWhenTheWorkingDirectoryChanges() async {
        await #expect(processExitsWith: .success) {
            let directory = TemporaryStore()
            let files = FileManager.default
            try files.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
            precondition(files.changeCurrentDirectoryPath(directory.path))
            let store = try await Store(at: "game")
            precondition(files.changeCurrentDirectoryPath("/"))
            try store.table(Player.self).put(Player(id: 1, name: "Ada"))
            try await store.waitForAll(.materialized, timeout: .hang)
            try await store.snapshot()
            try await store.close()
        }
    }
}
