import WriteBehind

extension Workload {
    /// P2: writes that survive power loss once they return; tasks for the store, threads for peers.
    static let durable = Workload(
        id: "P2", title: "put and wait for durable",
        contenders: [
            .writebehind, .rocksdb, .leveldb, .lmdb, .sqlite, .redis, .append, .overwrite,
        ],
        widths: [1, 8, 64], survives: "power loss"
    ) { contender, setting in
        let dataset = Dataset(count: min(setting.count, 200_000))
        let order = dataset.order(hot: false)
        let peer = try contender.open(setting.directory, durable: true)
        var setting = setting
        // A bare loop has only one thread; it shows the cost of one sync.
        if contender.isLimit { setting.width = 1 }
        setting.seconds = min(setting.seconds, 3)
        let result =
            if let store = peer as? StorePeer {
                try await waitForEach(store, dataset, setting)
            } else {
                measurePuts(peer, dataset, order, setting, durable: true)
            }
        try await peer.close()
        return result.with(diskIn: setting.directory)
    }
}

private func waitForEach(
    _ peer: StorePeer, _ dataset: Dataset, _ setting: Workload.Setting
) async throws -> Measurement {
    let share = dataset.count / setting.width
    let clock = Stopwatch()
    let latencies = try await withThrowingTaskGroup(of: [UInt32].self) { group in
        for task in 0..<setting.width {
            let range = task * share..<(task + 1) * share
            group.addTask { try await waitForEach(peer, dataset, range, setting.seconds) }
        }
        return try await group.reduce(into: []) { $0 += $1 }
    }
    return clock.stop(operations: latencies.count, latencies: latencies)
}

private func waitForEach(
    _ peer: StorePeer, _ dataset: Dataset, _ range: Range<Int>, _ seconds: Double
) async throws -> [UInt32] {
    var latencies: [UInt32] = []
    let end = nanoseconds() + UInt64(seconds * 1e9)
    for index in range {
        let start = nanoseconds()
        let receipt = try put(peer, dataset, index)
        try await peer.store.wait(for: .durable, receipt)
        let now = nanoseconds()
        latencies.append(UInt32(clamping: now - start))
        if now > end { break }
    }
    return latencies
}

/// A function of its own, because a span may not live across a suspension.
func put(_ peer: StorePeer, _ dataset: Dataset, _ index: Int) throws -> Receipt {
    let (key, value) = (dataset.key(index), dataset.value(index))
    return try peer.table.put(value.span, for: key.span)
}
