import CAllocations
import WriteBehind

extension Workload {
    /// PA: how often the caller's thread allocates memory. The cache takes its memory in pages from the system, which does
    /// not count.
    static let allocations = Workload(
        id: "PA", title: "allocations a put; gets and typed rows below",
        contenders: [.writebehind], survives: "-", result: .figure("a put", "calls")
    ) { _, setting in
        let count = 100_000
        let dataset = Dataset(count: count)
        let peer = try StorePeer(setting.directory)
        let players = try peer.store.table(Player.self)
        let session = peer.session(durable: false)
        let clock = Stopwatch()
        var figures: [String: Double] = [:]
        func measure(_ name: String, _ body: (Int) throws -> Void) rethrows {
            let before = allocations_of_this_thread()
            for index in 0..<count { try body(index) }
            figures[name] = Double(allocations_of_this_thread() - before) / Double(count)
        }
        try measure("a put") { try session.put(dataset.key($0), dataset.value($0)) }
        try measure("a put again") { try session.put(dataset.key($0), dataset.value($0)) }
        try measure("a get") { _ = try session.get(dataset.key($0)) }
        try measure("a typed put") { try players.put(Player($0)) }
        var result = clock.stop(operations: 4 * count)
        result.more = figures
        try await peer.close()
        return result
    }
}
