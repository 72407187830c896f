import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// Each option at its edges is refused when the store opens, or the store works under it: then all that was
/// acknowledged is there after a kill, under the same option and under none.
@Suite struct AcceptedOptionTests {
    struct Option: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let set: @Sendable (inout StoreConfiguration) -> Void
    }

    private static func sizes(
        _ name: String, _ path: any WritableKeyPath<StoreConfiguration, Int> & Sendable,
        _ more: [Int] = []
    ) -> [Option] {
        let edges = [.min, -1, 0, 1, 2, 4095, 4096, 4097, .max - 1, .max] + more
        return edges.map { value in
            Option(testDescription: "\(name) \(value)") { $0[keyPath: path] = value }
        }
    }

    private static func durations(
        _ name: String, _ path: any WritableKeyPath<StoreConfiguration, Duration> & Sendable
    ) -> [Option] {
        let edges: [Duration] = [
            .seconds(Int64.min), .seconds(-1), .zero, .nanoseconds(1), .seconds(Int64.max),
        ]
        return edges.map { value in
            Option(testDescription: "\(name) \(value)") { $0[keyPath: path] = value }
        }
    }

    static let all: [Option] = [
        sizes("cacheLimit", \.cacheLimit),
        sizes("dirtyLimit", \.dirtyLimit),
        sizes("indexLimit", \.indexLimit),
        sizes("backlogLimit", \.backlogLimit),
        sizes("batchRecords", \.batchRecords),
        sizes("batchBytes", \.batchBytes),
        sizes("stagingSlots", \.stagingSlots),
        sizes("stagingSlotSize", \.stagingSlotSize, [(1 << 20) + 7, (1 << 30) + 1]),
        sizes("blockSize", \.blockSize, [64 << 20, (64 << 20) + 1]),
        sizes("segmentSize", \.segmentSize),
        sizes("compressionLevel", \.compressionLevel, [-131_072, -131_073, 22, 23]),
        sizes("readers", \.readers),
        sizes("snapshotMemory", \.snapshotMemory),
        sizes("snapshotsKept", \.snapshotsKept),
        sizes("logBytesKept", \.logBytesKept),
        sizes("changeStreamLimit", \.changeStreamLimit),
        ([.min, -1, 0, 1, .max] as [Int]).map { value in
            Option(testDescription: "snapshotAfter \(value)") { $0.snapshotAfter = value }
        },
        durations("syncInterval", \.syncInterval),
        durations("materializeInterval", \.materializeInterval),
        durations("retryLimit", \.retryLimit),
        durations("stallAfter", \.stallAfter),
        durations("expiryInterval", \.expiryInterval),
        durations("logKept", \.logKept),
        durations("closeDeadline", \.closeDeadline),
    ].flatMap { $0 }

    @Test(arguments: all)
    func whatAnOptionAcceptsIsReadBack(_ option: Option) async throws {
        let directory = TemporaryStore()
        func open(_ isEdge: Bool) throws -> Store {
            try directory.open {
                // Small, so that the many stores here are made soon; 4,097 slots are no more than 16 MiB.
                $0.stagingSlotSize = 4 << 10
                $0.stagingSlots = 4
                $0.cacheLimit = 8 << 20
                $0.readers = 1
                if isEdge { option.set(&$0) }
            }
        }
        var rows: [Player] = []
        do {
            var store: Store?
            do {
                store = try open(true)
            } catch {
                #expect(error is StoreError)
                return
            }
            for stage in [Stage.durable, .materialized, .staged] {
                try write(&rows, try #require(store))
                try await store?.waitForAll(stage, timeout: .seconds(60))
            }
            // Dropped without being closed, as a killed process leaves it.
            store = nil
        }
        try #require(!rows.isEmpty)
        for isEdge in [true, false] {
            let store = try open(isEdge)
            let players = try store.table(Player.self)
            for row in rows { #expect(try await players.get(row.id) == row) }
            try await store.waitForAll(.materialized, timeout: .seconds(60))
            let count = try await store.database.read {
                try Int.fetchOne($0, sql: "SELECT count(*) FROM player")
            }
            #expect(count == rows.count)
            let scores = try store.table(Score.self)
            #expect(try await scores.top(1, by: "points").isEmpty)
            try await store.close(deadline: isEdge ? nil : .seconds(60))
        }
        let inspection = try StoreInspection(path: directory.path)
        let plan = try RecoveryPlan(inspection, jobs: 1, progress: { _ in }, differs: { _, _ in })
        #expect(!plan.isNeeded, "\(plan.steps)")
    }

    @Test func aBufferThatTheFormatCannotHoldIsRefusedBeforeAnythingIsMade() throws {
        for (slots, size) in [(4097, 4096), (2, (1 << 30) + 1), (5, 1 << 30), (Int.max, Int.max)] {
            let directory = TemporaryStore()
            do {
                _ = try directory.open {
                    $0.stagingSlots = slots
                    $0.stagingSlotSize = size
                }
                Issue.record("\(slots) slots of \(size) bytes were accepted")
            } catch StoreError.configuration {
            }
            #expect(!FileManager.default.fileExists(atPath: directory.path))
        }
    }

    /// Writes until a limit of the backlog is reached, of which some leave room for one row.
    private func write(_ rows: inout [Player], _ store: Store) throws {
        let players = try store.table(Player.self)
        for _ in 0..<20 {
            let row = Player(id: rows.count, name: UUID().uuidString, score: rows.count)
            do {
                try players.put(row)
            } catch StoreError.backlogFull {
                return
            }
            rows.append(row)
        }
    }
}
