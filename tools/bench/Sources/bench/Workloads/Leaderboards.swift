import WriteBehind

/// A row of a leaderboard.
struct BoardRow: TableRow {
    typealias Key = Int
    static let schema = TableSchema(
        "board", [.key("id", .integer), .column("points", .integer)],
        indices: [IndexDefinition("points")])
    var id: Int, points: Int

    init(_ id: Int, _ points: Int) { (self.id, self.points) = (id, points) }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(points)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        points = try decoder.decode()
    }
}

extension Workload {
    /// The calls that a leaderboard makes.
    enum BoardCall { case put, top, rank }

    // P14: a leaderboard of all records, in random order, beside a sorted set of Redis. The store returns whole rows, Redis
    // members and scores.
    static let boardPuts = board("P14w", "leaderboard: a new score of a random member", .put)
    static let boardTops = board("P14t", "leaderboard: the best 20", .top)
    static let boardRanks = board("P14r", "leaderboard: the rank of a random member", .rank)

    private static func board(_ id: String, _ title: String, _ call: BoardCall) -> Workload {
        Workload(
            id: id, title: title, contenders: [.writebehind, .redisPipeline],
            survives: "kill -9"
        ) { contender, setting in
            #if canImport(CHiredis)
                if contender == .redisPipeline { return try redis(call, setting) }
            #endif
            return try await store(call, setting)
        }
    }

    private static func store(_ call: BoardCall, _ setting: Setting) async throws -> Measurement {
        let store = try await Store(
            at: setting.directory + "/store", configuration: StorePeer.configuration(false))
        let board = try store.table(BoardRow.self)
        var random = SplitMix(state: 5)
        for id in 0..<setting.count {
            try board.put(BoardRow(id, Int(random.next() >> 40)))
        }
        _ = try await board.top(1, by: "points")
        let clock = Stopwatch()
        var (operations, found) = (0, 0)
        let end = nanoseconds() + UInt64(setting.seconds * 1e9)
        while operations % 64 != 0 || nanoseconds() < end {
            let id = Int(random.next() % UInt64(setting.count))
            switch call {
            case .put: try board.put(BoardRow(id, Int(random.next() >> 40)))
            case .top: found += try await board.top(20, by: "points").count
            case .rank: found += try await board.rank(of: id, by: "points") ?? 0
            }
            operations += 1
        }
        var result = clock.stop(operations: operations, latencies: [])
        if let index = store.health.indices.first, index.rows > 0 {
            result.more["bytes a row"] = Double(index.bytes) / Double(index.rows)
        }
        try await store.close(deadline: .zero)
        return result
    }

    #if canImport(CHiredis)
        private static func redis(
            _ call: BoardCall, _ setting: Setting
        ) throws -> Measurement {
            let server = try Redis(setting.directory, .everySecond)
            defer { server.close() }
            let requests = try server.requests(pipeline: 32)
            var random = SplitMix(state: 5)
            for id in 0..<setting.count {
                try requests.send(["ZADD", "board", "\(random.next() >> 40)", "\(id)"])
            }
            try requests.finish()
            let clock = Stopwatch()
            var operations = 0
            let end = nanoseconds() + UInt64(setting.seconds * 1e9)
            while operations % 64 != 0 || nanoseconds() < end {
                let id = random.next() % UInt64(setting.count)
                switch call {
                case .put: try requests.send(["ZADD", "board", "\(random.next() >> 40)", "\(id)"])
                case .top: try requests.send(["ZREVRANGE", "board", "0", "19", "WITHSCORES"])
                case .rank: try requests.send(["ZREVRANK", "board", "\(id)"])
                }
                operations += 1
            }
            try requests.finish()
            return clock.stop(operations: operations, latencies: [])
        }
    #endif
}
