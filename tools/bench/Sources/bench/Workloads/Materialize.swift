import CBase
import Foundation
import WriteBehind

extension Workload {
    /// P5: how fast a backlog reaches SQL, against a bare loop over the same rows in the same
    /// order.
    static let materialize = Workload(
        id: "P5", title: "backlog into SQLite, distinct keys",
        contenders: [.writebehind, .upserts],
        survives: "-"
    ) { contender, setting in
        try await measureMaterializing(contender, setting, hot: false)
    }

    /// P5h: log records a second if most of them overwrite each other.
    static let materializeHot = Workload(
        id: "P5h", title: "backlog into SQLite, hot keys (log records)",
        contenders: [.writebehind, .upserts], survives: "-"
    ) { contender, setting in
        try await measureMaterializing(contender, setting, hot: true)
    }

    private static func measureMaterializing(
        _ contender: Contender, _ setting: Setting, hot: Bool
    ) async throws -> Measurement {
        let dataset = Dataset(count: setting.count)
        let order = dataset.order(hot: hot)
        if contender == .upserts { return try upsert(dataset, order, setting) }
        return try await drain(dataset, order) {
            try StorePeer(setting.directory, materializes: $0)
        }.with(diskIn: setting.directory)
    }

    /// Puts all rows while the database does not follow, then measures how fast it takes them.
    ///
    /// - Parameter open: opens the store; its argument is whether the database follows.
    static func drain(
        _ dataset: Dataset, _ order: [Int32], open: (Bool) async throws -> StorePeer
    ) async throws -> Measurement {
        let loading = try await open(false)
        let session = loading.session(durable: false)
        for (index, number) in order.enumerated() {
            try session.put(dataset.key(Int(number)), dataset.value(index))
        }
        try await loading.close()
        let peer = try await open(true)
        let before = peer.store.health.lag.materialized
        let clock = Stopwatch()
        try await peer.store.waitForAll(.materialized)
        let after = peer.store.health.lag.staged
        let result = clock.stop(operations: Int(after - min(before, after)))
        try await peer.close()
        return result
    }

    /// One prepared upsert for each row, in transactions of 200,000 sorted rows, like those of the store.
    static func upsert(
        _ dataset: Dataset, _ order: [Int32], _ setting: Setting
    ) throws -> Measurement {
        let peer = try SQLite(setting.directory, .normal)
        let session = try SQLiteSession(peer)
        let batches = sortedBatches(dataset, order)
        let clock = Stopwatch()
        for batch in batches {
            try peer.execute("BEGIN IMMEDIATE")
            for row in batch {
                try session.put(dataset.key(Int(row.key)), dataset.value(row.value))
            }
            try peer.execute("COMMIT")
        }
        let result = clock.stop(operations: order.count)
        peer.close()
        return result.with(diskIn: setting.directory)
    }

    /// The last value of each key in 200,000 records at a time, by key.
    static func sortedBatches(
        _ dataset: Dataset, _ order: [Int32]
    ) -> [[(key: Int32, value: Int)]] {
        stride(from: 0, to: order.count, by: 200_000).map { start in
            var last: [Int32: Int] = [:]
            for index in start..<min(order.count, start + 200_000) { last[order[index]] = index }
            return last.map { (key: $0.key, value: $0.value) }
                .sorted {
                    dataset.key(Int($0.key)).lexicographicallyPrecedes(dataset.key(Int($1.key)))
                }
        }
    }
}
