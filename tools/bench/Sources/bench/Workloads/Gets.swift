import Foundation
import Synchronization

extension Workload {
    /// P3: reads of what is in memory.
    static let gets = Workload(
        id: "P3", title: "get of a resident key, random order",
        contenders: [.writebehind, .rocksdb, .leveldb, .lmdb, .sqlite, .redis],
        widths: [1, 2]
    ) { contender, setting in
        let dataset = Dataset(count: setting.count)
        let peer = try contender.open(setting.directory, durable: false, keys: setting.count)
        let loading = try peer.session(durable: false)
        for index in 0..<dataset.count { try loading.put(dataset.key(index), dataset.value(index)) }
        try loading.finish()
        var random = SplitMix(state: 3)
        let order = (0..<Int32(dataset.count)).shuffled(using: &random)
        let result = measureGets(peer, dataset, order, setting)
        try await peer.close()
        return result
    }
}

private func measureGets(
    _ peer: any Peer, _ dataset: Dataset, _ order: [Int32], _ setting: Workload.Setting
) -> Measurement {
    let gathered = Mutex<(latencies: [UInt32], operations: Int)>(([], 0))
    let clock = Stopwatch()
    concurrently(setting.width) { number in
        do {
            let session = try peer.session(durable: false)
            var latencies = Latencies()
            var operations = 0
            let deadline = nanoseconds() + UInt64(setting.seconds * 1e9)
            // Each thread reads all keys, from a place of its own on.
            let start = number * order.count / setting.width
            for index in 0..<order.count {
                let key = dataset.key(Int(order[(start + index) % order.count]))
                let now = try latencies.time(index) {
                    guard try session.get(key) == 100 else {
                        throw PeerError("get", "the value is not there")
                    }
                }
                operations += 1
                if now > deadline { break }
            }
            gathered.withLock {
                $0.latencies += latencies.all
                $0.operations += operations
            }
        } catch {
            end(error)
        }
    }
    return gathered.withLock { clock.stop(operations: $0.operations, latencies: $0.latencies) }
}
