import EventLog
import Foundation
import GRDB
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

        init(id: Int, likes: Int) { (self.id, self.likes) = (id, likes) }

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
