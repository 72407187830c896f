import Glibc
import WriteBehind

/// P13: work on many rows at once. Callers must not wait for it.
extension Workload {
    /// A million rows expire; each put to another table is timed.
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

    /// A store is opened whose table has nearly as many columns as SQLite allows.
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

    /// One row is refused, and each of the commits behind it changes that row as well.
    static let refused = Workload(
        id: "P13q", title: "a refused row and 64,000 commits behind it",
        contenders: [.writebehindLive], result: .figure("seconds", "s")
    ) { _, setting in
        let path = setting.directory + "/store"
        var store = try await Store(at: path, configuration: StorePeer.configuration(true))
        try store.table(Named.self).put(Named(id: 0, name: "taken"))
        try await store.waitForAll(.materialized)
        try await store.close()
        let database = try SQLite(opening: path + "/database.sqlite")
        try database.execute("CREATE UNIQUE INDEX once ON named (name)")
        database.close()
        store = try await Store(at: path, configuration: StorePeer.configuration(true))
        let rows = try store.table(Named.self)

        let clock = Stopwatch()
        let first = try rows.put(Named(id: 1, name: "taken"))
        let followers = 64_000
        for _ in 1...followers { try await rows.increment(1, "count") }
        try await store.waitForAll(.materialized)
        let aside = clock.stop(operations: followers).seconds
        let left = try await store.quarantine.retry().left
        let retried = clock.stop(operations: followers).seconds
        try await store.quarantine.skip(
            first.firstSequence, reason: "bench", includingFollowers: true)
        try await store.waitForAll(.materialized)
        var result = clock.stop(operations: followers)
        guard left == followers + 1, store.quarantine.list().isEmpty else {
            throw PeerError("writebehind", "\(left) commits were left by retry")
        }
        try await store.close()
        result.more["aside"] = aside
        result.more["retry"] = retried - aside
        result.more["skip"] = result.seconds - retried
        return result.with(figure: "seconds", result.seconds)
    }

    private static func loaded(_ setting: Setting) async throws -> Store {
        let store = try await Store(
            at: setting.directory + "/store", configuration: StorePeer.configuration(true))
        let visits = try store.table(Visit.self)
        // They would become due one after the other, for three hours.
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

private struct Named: TableRow {
    typealias Key = Int

    static let schema = TableSchema(
        "named", [.key("id", .integer), .column("name", .text), .column("count", .integer)])

    var id: Int
    var name: String
    var count = 0

    init(id: Int, name: String) { (self.id, self.name) = (id, name) }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        name = try decoder.decode()
        count = try decoder.decode()
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(name)
        encoder.encode(count)
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
