import Glibc
import WriteBehind

/// P13: work on many rows at once, beside which a caller must not wait.
extension Workload {
    /// A million rows wait for their time; each put of another table is timed.
    static let besideExpiry = Workload(
        id: "P13e", title: "put beside many rows that expire",
        contenders: [.writebehindLive], result: .figure("p99.9", "µs")
    ) { _, setting in
        let store = try await loaded(setting)
        let players = try store.table(Player.self)
        let clock = Stopwatch()
        var latencies = Latencies(every: 1)
        var number = 0
        let end = nanoseconds() + UInt64(setting.seconds * 1e9)
        while try latencies.time(number, { try players.put(Player(number % 10_000)) }) < end {
            number += 1
        }
        let result = clock.stop(operations: number, latencies: latencies.all)
        try await store.close(deadline: .zero)
        return result.with(figure: "p99.9", (result.p999 ?? 0) / 1000)
    }

    /// A small table is cleared; a million rows of another one are in memory.
    static let clearBesideMany = Workload(
        id: "P13c", title: "clear of a hundred rows beside many of another table",
        contenders: [.writebehindLive], result: .figure("median", "µs")
    ) { _, setting in
        let store = try await loaded(setting)
        let players = try store.table(Player.self)
        let clock = Stopwatch()
        var latencies = Latencies(every: 1)
        let rounds = 200
        for round in 0..<rounds {
            for number in 0..<100 { try players.put(Player(number)) }
            try latencies.time(round) { try players.clear() }
        }
        let result = clock.stop(operations: rounds, latencies: latencies.all)
        try await store.close(deadline: .zero)
        return result.with(figure: "median", (result.p50 ?? 0) / 1000)
    }

    /// A table of nearly as many columns as SQLite takes is opened again.
    static let wideTable = Workload(
        id: "P13o", title: "opening a store with a table of 1,000 columns",
        contenders: [.writebehindLive], result: .figure("seconds", "s")
    ) { _, setting in
        let path = setting.directory + "/store"
        var store = try await Store(at: path, configuration: StorePeer.configuration(true))
        try store.table(Wide.self).put(Wide())
        try await store.waitForAll(.materialized)
        try await store.close()
        let clock = Stopwatch()
        store = try await Store(at: path, configuration: StorePeer.configuration(true))
        let result = clock.stop(operations: 1)
        try await store.close()
        return result.with(figure: "seconds", result.seconds)
    }

    private static func loaded(_ setting: Setting) async throws -> Store {
        let store = try await Store(
            at: setting.directory + "/store", configuration: StorePeer.configuration(true))
        let visits = try store.table(Visit.self)
        // They would become due one by one for three hours.
        let now = Int64(time(nil))
        for number in 0..<setting.count {
            try visits.put(Visit(id: number, until: now + 600 + Int64(number % 10_000)))
        }
        try await store.waitForAll(.materialized)
        return store
    }
}

extension Measurement {
    fileprivate func with(figure name: String, _ value: Double) -> Measurement {
        var result = self
        result.more[name] = value
        return result
    }
}

private struct Visit: TableRow {
    typealias Key = Int

    static let schema = TableSchema(
        "visit", [.key("id", .integer), .column("until", .integer)], expiry: "until")

    var id: Int
    var until: Int64

    init(id: Int, until: Int64) { (self.id, self.until) = (id, until) }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        until = try decoder.decode()
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(until)
    }
}

/// A row of 1,000 columns.
private struct Wide: TableRow {
    typealias Key = Int

    static let schema = TableSchema(
        "wide",
        [.key("id", .integer)]
            + (1..<1000).map { .column("c\($0)", .integer, default: .integer(0)) })

    init() {}

    init(from decoder: inout RowDecoder) throws {
        for _ in Self.schema.columns { _ = try decoder.decode() as Int }
    }

    func encode(to encoder: inout RowEncoder) {
        for number in Self.schema.columns.indices { encoder.encode(number) }
    }
}
