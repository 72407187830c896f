import EventLog
import Foundation
import GRDB
import Synchronization
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection

/// Shared tables where there is one store: their rules, and SQLite.
@Suite struct SharedTableTests {
    private let directory = TemporaryStore()

    private struct Count: TableRow, Equatable {
        typealias Key = Int
        static let schema = TableSchema(
            "count",
            [
                .key("id", .integer), .column("likes", .integer, default: .integer(5)),
                .column("note", .text, nullable: true),
            ])
        var id: Int
        var likes = 5
        var note: String?

        init(id: Int, likes: Int, note: String? = nil) {
            (self.id, self.likes, self.note) = (id, likes, note)
        }

        func encode(to encoder: inout RowEncoder) {
            encoder.encode(id)
            encoder.encode(likes)
            encoder.encode(note)
        }

        init(from decoder: inout RowDecoder) throws(RowError) {
            id = try decoder.decode()
            likes = try decoder.decode()
            note = try decoder.decode()
        }
    }

    private final class Progress: Sendable {
        let added = Atomic(0)
    }

    @Test func inSQLiteTheStoreIsTheOnlyOne() async throws {
        var store = try directory.open()
        var counts = try store.sharedTable(Count.self)
        for id in 0..<100 { try counts.add(id, to: "likes", of: id) }
        #expect(try await counts.get(7) == Count(id: 7, likes: 12))
        try counts.add(1, to: "likes", of: 7)
        store.abandon()
        store = try directory.open()
        counts = try store.sharedTable(Count.self)
        #expect(
            try await counts.get(all: [7, 100, 99]) == [
                Count(id: 7, likes: 13), nil, Count(id: 99, likes: 104),
            ])
        try await store.close(deadline: .hang)
        var differing: [String] = []
        let inspection = try StoreInspection(path: directory.path)
        let result = try DatabaseVerification(inspection) { row, _ in differing.append(row) }
        #expect(result.rowCount == 100 && differing.isEmpty && result.fault == nil)
    }

    /// No copy in memory would have what other stores add.
    @Test func whatWasReadIsNotKept() async throws {
        let store = try directory.open()
        let counts = try store.sharedTable(Count.self)
        try counts.add(1, to: "likes", of: 1)
        #expect(try await counts.get(1)?.likes == 6)
        let other = try DatabaseQueue(path: directory.path + "/database.sqlite")
        try await other.write { try $0.execute(sql: "UPDATE count SET likes = 70") }
        #expect(try await counts.get(1)?.likes == 70)
        try counts.add(1, to: "likes", of: 1)
        #expect(try await counts.get(1)?.likes == 71)
        try await store.close(deadline: .hang)
    }

    /// In one batch, and each change in a batch of its own.
    @Test(arguments: [false, true])
    func aRowIsPutOnlyIfThereIsNone(inBatchesOfOne: Bool) async throws {
        var store = try directory.open()
        var counts = try store.sharedTable(Count.self)
        func settle() async throws {
            if inBatchesOfOne { try await store.waitForAll(.materialized, timeout: .hang) }
        }
        try counts.putIfAbsent(Count(id: 1, likes: 7, note: "a"))
        try await settle()
        try counts.add(1, to: "likes", of: 1)
        try await settle()
        try counts.putIfAbsent(Count(id: 1, likes: 100, note: "b"))
        try await settle()
        try counts.add(1, to: "likes", of: 2)
        try await settle()
        try counts.putIfAbsent(Count(id: 2, likes: 100, note: "c"))
        try store.transaction { transaction in
            try transaction.putIfAbsent(Count(id: 3, likes: 1, note: "d"), in: counts)
            try transaction.add(-3, to: "likes", of: 3, in: counts)
            try transaction.putIfAbsent(Count(id: 3, likes: 9, note: "e"), in: counts)
        }
        let right = [
            Count(id: 1, likes: 8, note: "a"), Count(id: 2, likes: 6),
            Count(id: 3, likes: -2, note: "d"),
        ]
        #expect(try await counts.get(all: 1...3) == right)
        try counts.putIfAbsent(Count(id: 4, likes: 4))
        store.abandon()
        store = try directory.open()
        counts = try store.sharedTable(Count.self)
        #expect(try await counts.get(all: 1...4) == right + [Count(id: 4, likes: 4)])
        try await store.close(deadline: .hang)
        var differing: [String] = []
        let inspection = try StoreInspection(path: directory.path)
        let result = try DatabaseVerification(inspection) { row, _ in differing.append(row) }
        #expect(result.rowCount == 4 && differing.isEmpty && result.fault == nil)
    }

    @Test func aCopyHasWhatItsStoreAddsAndNothingOfTheOthers() async throws {
        let store = try directory.open()
        let counts = try store.sharedTable(Count.self)
        let day = Duration.seconds(86_400)
        try counts.add(1, to: "likes", of: 1)
        #expect(try await counts.get(all: [1, 9], maxAge: day).map { $0?.likes } == [6, nil])
        let other = try DatabaseQueue(path: directory.path + "/database.sqlite")
        try await other.write {
            try $0.execute(sql: "UPDATE count SET likes = 70, note = 'x' WHERE id = 1")
            try $0.execute(sql: "INSERT INTO count VALUES (9, 1000, NULL)")
        }
        #expect(try await counts.get(1, maxAge: day) == Count(id: 1, likes: 6))
        try counts.add(1, to: "likes", of: 1)
        try counts.add(2, to: "likes", of: 9)
        try counts.putIfAbsent(Count(id: 9, likes: 0))
        #expect(try await counts.get(all: [9, 1], maxAge: day).map { $0?.likes } == [7, 7])
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await counts.get(all: [9, 1], maxAge: day).map { $0?.likes } == [7, 7])
        // Without an age the database is asked, and with an age that the copies exceed.
        #expect(try await counts.get(1) == Count(id: 1, likes: 71, note: "x"))
        #expect(try await counts.get(1, maxAge: day)?.likes == 7)
        #expect(try await counts.get(1, maxAge: .nanoseconds(1))?.likes == 71)
        #expect(try await counts.get(all: [1, 9], maxAge: day).map { $0?.likes } == [71, 7])
        try await store.close(deadline: .hang)
    }

    @Test func readersOfCopiesAlwaysSeeWhatTheirStoreHasAdded() async throws {
        let store = try directory.open()
        let counts = try store.sharedTable(Count.self)
        let progress = Progress()
        try await withThrowingTaskGroup { group in
            group.addTask {
                let counts = try store.sharedTable(Count.self)
                for count in 1...20_000 {
                    try counts.add(1, to: "likes", of: 1)
                    progress.added.store(count, ordering: .releasing)
                    if count % 500 == 0 { try await Task.sleep(for: .milliseconds(1)) }
                }
            }
            for age in [1, 100, 2_000] {
                group.addTask {
                    let counts = try store.sharedTable(Count.self)
                    var last = 5
                    while last < 20_005 {
                        let before = progress.added.load(ordering: .acquiring)
                        let likes = try await counts.get(1, maxAge: .microseconds(age))?.likes ?? 5
                        #expect(likes >= max(last, 5 + before) && likes <= 20_005)
                        guard likes >= last else { return }
                        last = likes
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await counts.get(1, maxAge: .seconds(60))?.likes == 20_005)
        try await store.close(deadline: .hang)
    }

    @Test func aTableIsSharedFromItsFirstDeclarationOn() async throws {
        let store = try directory.open()
        _ = try store.sharedTable(Count.self)
        #expect(throws: StoreError.self) { try store.table(Count.self) }
        #expect(throws: Never.self) { try store.sharedTable(Count.self) }
        _ = try store.keyValues()
        #expect(throws: StoreError.self) { try store.sharedTable(KeyValue.self) }
        try await store.close(deadline: .hang)
    }
}
