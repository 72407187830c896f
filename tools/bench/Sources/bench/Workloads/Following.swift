import GRDB
import WriteBehind

extension Workload {
    // P16: the cost and the speed of change streams and projections.

    /// P16s: the cost to a writer of a consumer that follows its table; without a consumer below.
    static let besideStream = Workload(
        id: "P16s", title: "put beside a consumer of the table's changes; without one below",
        contenders: [.writebehind], survives: "kill -9", result: .figure("followed", "ns")
    ) { _, setting in
        let store = try await Store(
            at: setting.directory + "/store", configuration: StorePeer.configuration(false))
        let players = try store.table(Player.self)
        // Everything that is made only once is made before the clock starts.
        for number in 0..<min(10_000, setting.count) { try players.put(Player(number)) }
        var figures: [String: Double] = [:]
        let clock = Stopwatch()
        func measure(_ name: String) throws {
            let start = nanoseconds()
            for number in 0..<setting.count { try players.put(Player(number)) }
            figures[name] = Double(nanoseconds() - start) / Double(setting.count)
        }
        try measure("alone")
        let consumer = Task {
            for try await change in store.changes(of: players, named: "bench") {
                if change.sequence % 1000 == 0 { try await change.acknowledge() }
            }
        }
        while store.changeStreams.first?.isConsumed != true {
            try await Task.sleep(for: .milliseconds(5))
        }
        try measure("followed")
        consumer.cancel()
        _ = await consumer.result
        var result = clock.stop(operations: 2 * setting.count)
        result.more = figures
        try await store.close(deadline: .zero)
        return result
    }

    /// P16d: changes a second that a consumer takes from an existing log, with one acknowledgement for each 1,000.
    static let delivery = Workload(
        id: "P16d", title: "changes of a table delivered to a consumer that is behind",
        contenders: [.writebehind], survives: "-"
    ) { _, setting in
        let store = try await Store(
            at: setting.directory + "/store", configuration: StorePeer.configuration(false))
        let players = try store.table(Player.self)
        for number in 0..<setting.count { try players.put(Player(number)) }
        try await store.waitForAll(.durable)
        let clock = Stopwatch()
        let end = nanoseconds() + UInt64(setting.seconds * 1e9)
        var (operations, sum) = (0, 0)
        for try await change in store.changes(of: players, named: "bench", from: .oldest) {
            operations += 1
            sum &+= change.key ?? 0
            if operations % 1000 == 0 { try await change.acknowledge() }
            if operations == setting.count { break }
            if operations % 1000 == 0, nanoseconds() > end { break }
        }
        let result = clock.stop(operations: operations)
        try await store.close(deadline: .zero)
        return result
    }

    /// P16p: the time for each record to reach the database, with a projection that sums up a table and without one.
    static let projection = Workload(
        id: "P16p", title: "backlog of a projected table into SQLite; without the projection below",
        contenders: [.writebehind], survives: "-", result: .figure("projected", "ns a record")
    ) { _, setting in
        let count = setting.count / 4
        var figures: [String: Double] = [:]
        let clock = Stopwatch()
        for isProjected in [false, true] {
            let path = setting.directory + (isProjected ? "/projected" : "/plain")
            var configuration = StorePeer.configuration(true)
            // Nothing is applied before the bench waits for it.
            configuration.materializeInterval = .seconds(86_400)
            let store = try await Store(at: path, configuration: configuration)
            let players = try store.table(Player.self)
            if isProjected {
                try project(players, of: store)
                // The projection is built once the database has its table.
                try await store.wait(for: .materialized, try players.put(Player(0)))
                while store.projections.first?.state != .current {
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            let receipt = try await fill(players, count)
            try await store.wait(for: .durable, receipt)
            let start = nanoseconds()
            try await store.wait(for: .materialized, receipt)
            figures[isProjected ? "projected" : "plain"] =
                Double(nanoseconds() - start) / Double(count)
            try await store.close(deadline: .zero)
        }
        var result = clock.stop(operations: 2 * count)
        result.more = figures
        return result
    }

    private static func project(_ players: StoredTable<Player>, of store: Store) throws {
        try store.project("sums", version: 1, of: players) { db in
            try db.execute(
                sql: """
                    CREATE TABLE score_sum (part INTEGER PRIMARY KEY, count INTEGER, score INTEGER)
                    """)
        } apply: { change, db in
            let add = try db.cachedStatement(
                sql: """
                    INSERT INTO score_sum VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                    SET count = count + excluded.count, score = score + excluded.score
                    """)
            for (player, sign) in [(change.old, -1), (change.new, 1)] {
                guard let player else { continue }
                try add.execute(arguments: [player.score % 100, sign, sign * player.score])
            }
        }
    }

    private static func fill(_ players: StoredTable<Player>, _ count: Int) async throws -> Receipt {
        var receipt = try players.put(Player(1))
        for number in 1..<count {
            do {
                receipt = try players.put(Player(number))
            } catch StoreError.backlogFull {
                throw PeerError("put", "the bench's limits are too small")
            }
        }
        return receipt
    }
}
