import WriteBehind

extension Workload {
    // P15: adds to a column, which read nothing, beside puts of the same rows. The database does not follow.

    static let adds = adds("P15", "add to a row in memory, each row once", hot: false, cold: false)
    static let addsHot = adds("P15h", "add to a row in memory, hot keys", hot: true, cold: false)
    static let addsCold = adds(
        "P15c", "add to a row that only the database has, each row once", hot: false, cold: true)
    static let addsColdHot = adds(
        "P15ch", "add to a row that only the database has, hot keys", hot: true, cold: true)

    private static func adds(_ id: String, _ title: String, hot: Bool, cold: Bool) -> Workload {
        Workload(id: id, title: title, contenders: [.writebehind, .put]) { contender, setting in
            let keys = hot ? min(Dataset.hotKeys, setting.count) : setting.count
            var random = SplitMix(state: 6)
            let order =
                hot
                ? Zipf(keys: keys).draw(setting.count).map { Int($0) }
                : (0..<keys).shuffled(using: &random)
            let store = try await filled(setting, keys, cold: cold)
            let players = try store.table(Player.self)
            let isAdd = contender == .writebehind
            let clock = Stopwatch()
            var latencies = Latencies()
            for (index, number) in order.enumerated() {
                try latencies.time(index) {
                    if isAdd {
                        try players.add(1, to: \.score, of: number)
                    } else {
                        try players.put(Player(number))
                    }
                }
            }
            let result = clock.stop(operations: order.count, latencies: latencies.all)
            try await store.close(deadline: .zero)
            return result
        }
    }

    /// A store with all rows in memory or, if `cold`, in the database alone.
    private static func filled(
        _ setting: Setting, _ keys: Int, cold: Bool
    ) async throws -> Store {
        let path = setting.directory + "/store"
        let store = try await Store(at: path, configuration: StorePeer.configuration(cold))
        let players = try store.table(Player.self)
        for number in 0..<keys { try players.put(Player(number)) }
        try await store.waitForAll(.durable)
        guard cold else { return store }
        try await store.waitForAll(.materialized)
        try await store.close()
        let opened = try await Store(at: path, configuration: StorePeer.configuration(false))
        guard try opened.table(Player.self).cached(0) == nil else {
            throw PeerError("adds", "a row is in memory that should not be")
        }
        return opened
    }
}
