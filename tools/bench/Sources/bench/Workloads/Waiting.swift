import Foundation
import WriteBehind

extension Workload {
    /// P2w: very many tasks that each put and wait for durable, again and again. Then one of equally many waiting tasks is
    /// cancelled.
    static let waiting = Workload(
        id: "P2w", title: "10,000 tasks put and wait for durable",
        contenders: [.writebehind], survives: "power loss"
    ) { _, setting in
        let tasks = 10_000
        let rounds = max(1, min(20, setting.count / tasks))
        let dataset = Dataset(count: tasks)
        let peer = try StorePeer(setting.directory)
        let clock = Stopwatch()
        let latencies = try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for task in 0..<tasks {
                group.addTask { try await putAndWait(peer, dataset, task, rounds) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        var result = clock.stop(operations: latencies.count, latencies: latencies)
        result.more["µs until a cancelled wait ends"] = try await cancelOne(
            peer, dataset, setting.directory, tasks)
        try await peer.close()
        return result
    }

    private static func putAndWait(
        _ peer: StorePeer, _ dataset: Dataset, _ task: Int, _ rounds: Int
    ) async throws -> [UInt32] {
        var latencies: [UInt32] = []
        for _ in 0..<rounds {
            let start = nanoseconds()
            let receipt = try put(peer, dataset, task)
            try await peer.store.wait(for: .durable, receipt)
            latencies.append(UInt32(clamping: nanoseconds() - start))
        }
        return latencies
    }

    /// One of very many tasks that wait for a database that another connection has locked.
    private static func cancelOne(
        _ peer: StorePeer, _ dataset: Dataset, _ directory: String, _ tasks: Int
    ) async throws -> Double {
        let database = try SQLite(opening: directory + "/store/database.sqlite")
        try database.execute("BEGIN IMMEDIATE")
        let receipt = try put(peer, dataset, 0)
        let waiting = (0..<tasks).map { _ in
            Task { () -> UInt64 in
                try? await peer.store.wait(for: .materialized, receipt)
                return nanoseconds()
            }
        }
        try await Task.sleep(for: .milliseconds(200))
        let start = nanoseconds()
        waiting[tasks / 2].cancel()
        let ended = await waiting[tasks / 2].value
        guard ended > start else { throw PeerError("waiting", "a wait ended by itself") }
        for task in waiting { task.cancel() }
        for task in waiting { _ = await task.value }
        try database.execute("ROLLBACK")
        database.close()
        return Double(ended - start) / 1000
    }
}
