import WriteBehind

extension Workload {
    // P3a, P3i, P3u: calls for rows in memory from an actor, as services make them.
    static let actorGets = calls("P3a", "get of a resident row, from an actor", .get)
    static let actorIncrements = calls(
        "P3i", "increment of a resident row, from an actor", .increment)
    static let actorUpdates = calls("P3u", "update of a resident row, from an actor", .update)

    private static func calls(_ id: String, _ title: String, _ call: Caller.Call) -> Workload {
        Workload(id: id, title: title, contenders: [.writebehind]) { _, setting in
            let store = try await Store(
                at: setting.directory + "/store", configuration: StorePeer.configuration(false))
            let players = try store.table(Player.self)
            for number in 0..<setting.count { try players.put(Player(number)) }
            var random = SplitMix(state: 3)
            let order = (0..<setting.count).shuffled(using: &random)
            let result = try await Caller().run(call, players, order, setting)
            try await store.close(deadline: .zero)
            return result
        }
    }
}

/// An actor that uses the store, as in a service.
private actor Caller {
    enum Call { case get, increment, update }

    private var last = 0

    func run(
        _ call: Call, _ players: StoredTable<Player>, _ order: [Int],
        _ setting: Workload.Setting
    ) async throws -> Measurement {
        let clock = Stopwatch()
        var latencies = Latencies()
        var operations = 0
        let end = nanoseconds() + UInt64(setting.seconds * 1e9)
        for number in order {
            let start = operations % 16 == 0 ? nanoseconds() : 0
            switch call {
            case .get: last = try await players.get(number)?.score ?? last
            case .increment: last = try await players.increment(number, "score").value
            case .update: try await players.update(number) { $0.score += 1 }
            }
            operations += 1
            guard start > 0 else { continue }
            let now = nanoseconds()
            latencies.note(now - start)
            if now > end { break }
        }
        return clock.stop(operations: operations, latencies: latencies.all)
    }
}
