import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// A row type whose encoding and decoding do not fit each other is noticed by the first row that shows it.
@Suite(.serialized) struct ColumnOrderTests {
    /// Writes and reads its columns in the orders that are set.
    struct Leg: TableRow, Equatable {
        typealias Key = String
        static let schema = TableSchema(
            "leg",
            [
                .key("flight", .text), .column("origin", .text), .column("destination", .text),
                .column("carrier", .text), .column("delay", .integer, nullable: true),
            ])
        nonisolated(unsafe) static var written = [0, 1, 2, 3]
        nonisolated(unsafe) static var read = [0, 1, 2, 3]
        nonisolated(unsafe) static var change: (String) throws -> String = { $0 }

        var texts: [String]
        var delay: Int?

        init(_ texts: String..., delay: Int? = nil) { (self.texts, self.delay) = (texts, delay) }

        func encode(to encoder: inout RowEncoder) {
            for index in Self.written { encoder.encode(texts[index]) }
            encoder.encode(delay)
        }

        init(from decoder: inout RowDecoder) throws {
            texts = ["", "", "", ""]
            for index in Self.read { texts[index] = try Self.change(decoder.decode()) }
            delay = try decoder.decode()
        }
    }

    private static func withOrders(
        written: [Int] = [0, 1, 2, 3], read: [Int] = [0, 1, 2, 3],
        change: @escaping (String) throws -> String = { $0 }, _ body: () async throws -> Void
    ) async rethrows {
        unsafe (Leg.written, Leg.read, Leg.change) = (written, read, change)
        defer {
            unsafe (Leg.written, Leg.read, Leg.change) = ([0, 1, 2, 3], [0, 1, 2, 3], { $0 })
        }
        try await body()
    }

    private func rowError(_ body: () async throws -> Void) async -> RowError? {
        guard case .row(let error)? = await storeError(body) else { return nil }
        return error
    }

    private func withLegs(_ body: (Store, StoredTable<Leg>) async throws -> Void) async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        try await body(store, try store.table(Leg.self))
        try await store.close()
    }

    @Test(arguments: [
        ([0, 2, 1, 3], [0, 1, 2, 3], "origin", "destination"),
        ([0, 1, 2, 3], [0, 2, 1, 3], "origin", "destination"),
        ([0, 2, 3, 1], [0, 1, 2, 3], "origin", "destination"),
        ([0, 1, 2, 3], [3, 1, 2, 0], "flight", "carrier"),
    ])
    func aTypeThatWritesInAnotherOrderThanItReadsIsRefused(
        written: [Int], read: [Int], column: String, other: String
    ) async throws {
        try await withLegs { store, legs in
            let end = store.health.lag.staged
            try await Self.withOrders(written: written, read: read) {
                let error = RowError(table: "leg", column: column, .exchanged(with: other))
                let leg = Leg("UA1", "SFO", "JFK", "UA", delay: 3)
                #expect(await rowError { try legs.put(leg) } == error)
                #expect(
                    await rowError { _ = try store.transaction { try $0.put(leg, in: legs) } }
                        == error)
                let incremented = await rowError {
                    _ = try await legs.increment("UA1", "delay", by: 1, orPut: leg)
                }
                #expect(incremented == error)
            }
            #expect(store.health.lag.staged == end, "nothing was logged")
        }
    }

    @Test func anUpdateDoesNotExchangeColumns() async throws {
        try await withLegs { _, legs in
            try legs.put(Leg("UA1", "SFO", "JFK", "UA"))
            try await Self.withOrders(read: [0, 2, 1, 3]) {
                await #expect(throws: StoreError.self) {
                    try await legs.update("UA1") { $0.delay = 1 }
                }
            }
            #expect(try await legs.get("UA1") == Leg("UA1", "SFO", "JFK", "UA"))
        }
    }

    /// Rows that do not show it lose nothing either.
    @Test func aRowThatShowsItIsRefusedThoughOthersBeforeItWereNot() async throws {
        try await withLegs { _, legs in
            try await Self.withOrders(read: [0, 2, 1, 3]) {
                for number in 0..<3 { try legs.put(Leg("UA\(number)", "SFO", "SFO", "UA")) }
                #expect(throws: StoreError.self) { try legs.put(Leg("UA9", "SFO", "JFK", "UA")) }
            }
        }
    }

    @Test func aTypeMayChangeWhatItReads() async throws {
        try await withLegs { _, legs in
            try await Self.withOrders(change: { $0.lowercased() }) {
                try legs.put(Leg("UA1", "SFO", "JFK", "UA"))
            }
            try await Self.withOrders(change: { _ in "x" }) {
                try legs.put(Leg("UA2", "SFO", "JFK", "UA"))
            }
            // One column gets what the other had, which gets something new: no exchange.
            try await Self.withOrders(change: { ["SFO": "JFK", "JFK": "LGA"][$0] ?? $0 }) {
                try legs.put(Leg("UA4", "SFO", "JFK", "UA"))
            }
            try await Self.withOrders(change: { _ in throw CancellationError() }) {
                try legs.put(Leg("UA3", "SFO", "JFK", "UA"))
            }
            #expect(try await legs.get("UA3")?.texts[1] == "SFO")
        }
    }

    /// From memory, from the database and of the past.
    @Test func aTypesOwnErrorOfReadingIsHandedOnAsText() async throws {
        try await withLegs { store, legs in
            try legs.put(Leg("UA1", "SFO", "JFK", "UA"))
            try await store.waitForAll(.materialized, timeout: .hang)
            let error = RowError(table: "leg", .decodingFailed("CancellationError()"))
            try await Self.withOrders(change: { _ in throw CancellationError() }) {
                var errors = [
                    await rowError { _ = try await legs.get("UA1") },
                    await rowError { _ = try legs.cached("UA1") },
                    await rowError { _ = try await legs.history(of: "UA1") },
                ]
                let isEvicted = try legs.evict("UA1")
                #expect(isEvicted)
                errors.append(await rowError { _ = try await legs.get("UA1") })
                errors.append(await rowError { _ = try await legs.get(all: ["UA1"]) })
                #expect(errors == Array(repeating: error, count: 5))
            }
            #expect(try await legs.get("UA1")?.texts[1] == "SFO")
        }
    }

    @Test func aRowIsReadBackAFewTimesOnly() async throws {
        try await withLegs { _, legs in
            for number in 0..<8 { try legs.put(Leg("UA\(number)", "SFO", "JFK", "UA")) }
            nonisolated(unsafe) var count = 0
            try await Self.withOrders(change: { text in
                unsafe count += 1
                return text
            }) {
                for number in 0..<100 { try legs.put(Leg("UA\(number)", "SFO", "JFK", "UA")) }
            }
            #expect(unsafe count == 0)
        }
    }

    /// It reads a value of another type than the column's.
    @Test func aTypeThatCannotReadItsOwnRowIsRefused() async throws {
        struct Unreadable: TableRow {
            typealias Key = Int
            static let schema = TableSchema(
                "unreadable", [.key("id", .integer), .column("name", .text)])

            func encode(to encoder: inout RowEncoder) {
                encoder.encode(1)
                encoder.encode("a")
            }

            init() {}
            init(from decoder: inout RowDecoder) throws {
                _ = try decoder.decode(String.self)
            }
        }
        let directory = TemporaryStore()
        let store = try directory.open()
        let table = try store.table(Unreadable.self)
        let problem = RowError.Problem.wrongType(expected: .integer, got: .text)
        #expect(
            await rowError { try table.put(Unreadable()) }
                == RowError(table: "unreadable", column: "id", problem))
        try await store.close()
    }

    /// A type of rows that are only written, and one whose rows cannot be written as they are read.
    @Test func aTypeThatCannotReadOrRewriteItsRowsCanBePut() async throws {
        struct Never: Error {}
        struct Audit: TableRow {
            typealias Key = Int
            static let schema = TableSchema(
                "audit", [.key("id", .integer), .column("value", .real)])
            nonisolated(unsafe) static var reads: Result<Double, Never> = .failure(Never())
            var value: Double

            init(_ value: Double) { self.value = value }

            func encode(to encoder: inout RowEncoder) {
                encoder.encode(1)
                encoder.encode(value)
            }

            init(from decoder: inout RowDecoder) throws {
                _ = try decoder.decode(Int.self)
                _ = try decoder.decode(Double.self)
                value = try unsafe Self.reads.get()
            }
        }
        let directory = TemporaryStore()
        let store = try directory.open()
        let table = try store.table(Audit.self)
        try table.put(Audit(1))
        unsafe Audit.reads = .success(.nan)
        try table.put(Audit(2))
        try await store.waitForAll(.materialized, timeout: .hang)
        await #expect(throws: StoreError.self) {
            try await table.update(1) { $0.value += 1 }
        }
        try await store.close()
        #expect(try directory.records().filter { $0.operation == .put }.count == 2)
    }

    // MARK: keys

    struct Keyed<Key: RowKey>: TableRow {
        static var schema: TableSchema { unsafe keyed }

        func encode(to encoder: inout RowEncoder) {}
        init(from decoder: inout RowDecoder) throws {}
    }

    struct NamedKey: RowKey {
        func encode(to encoder: inout KeyEncoder) { encoder.encode("a") }
        init(from decoder: inout RowDecoder) throws {}
    }

    nonisolated(unsafe) static var keyed = TableSchema("keyed", [])

    private func open<Key: RowKey>(_ type: Key.Type, _ columns: [ColumnSchema], _ store: Store)
        throws
    {
        unsafe Self.keyed = TableSchema("keyed", columns)
        _ = try store.table(Keyed<Key>.self)
    }

    @Test func aKeyOfAnotherTypeThanItsColumnIsRefusedWithTheTable() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let columns = [ColumnSchema.key("id", .integer), .column("name", .text)]
        let wrong = RowError.Problem.wrongType(expected: .integer, got: .text)
        #expect(
            await rowError { try open(String.self, columns, store) }
                == RowError(table: "keyed", column: "id", wrong))
        #expect(throws: StoreError.self) { try open(UUID.self, columns, store) }
        #expect(throws: StoreError.self) { try open([UInt8].self, columns, store) }
        #expect(throws: StoreError.self) { try open(Double.self, columns, store) }
        let few = RowError.Problem.wrongColumnCount(expected: 2, got: 1)
        let composite = [ColumnSchema.key("day", .integer), .key("number", .integer)]
        #expect(
            await rowError { try open(Int.self, composite, store) }
                == RowError(table: "keyed", few))
        #expect(store.health.lag.staged == 0, "nothing was defined")
        // Types of the user's say nothing before there is a value.
        try open(NamedKey.self, columns, store)
        try open(Bool.self, columns, store)
        try open(Int64.self, columns, store)
        try await store.close()
    }
}
