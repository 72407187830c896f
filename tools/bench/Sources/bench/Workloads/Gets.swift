import Foundation
import Synchronization

extension Workload {
    /// P3: reads of rows in memory.
    static let gets = gets("P3", "get of a resident key, random order", widths: [1, 2])

    /// P3d: the same, but the processor cannot begin one read before it has ended the last.
    static let dependentGets = gets(
        "P3d", "get of a resident key that the get before decides", areDependent: true)

    private static func gets(
        _ id: String, _ title: String, widths: [Int] = [1], areDependent: Bool = false
    ) -> Workload {
        Workload(
            id: id, title: title,
            contenders: [.writebehind, .rocksdb, .leveldb, .lmdb, .map],
            widths: widths
        ) { contender, setting in
            let dataset = Dataset(count: setting.count)
            let peer = try contender.open(setting.directory, durable: false, keys: setting.count)
            let loading = try peer.session(durable: false)
            for index in 0..<dataset.count {
                try loading.put(dataset.key(index), dataset.value(index))
            }
            try loading.finish()
            var random = SplitMix(state: 3)
            let order = (0..<Int32(dataset.count)).shuffled(using: &random)
            let result = measureGets(peer, dataset, order, setting, areDependent)
            try await peer.close()
            return result
        }
    }
}

private func measureGets(
    _ peer: any Peer, _ dataset: Dataset, _ order: [Int32], _ setting: Workload.Setting,
    _ areDependent: Bool
) -> Measurement {
    let gathered = Mutex<(latencies: [UInt32], operations: Int)>(([], 0))
    let clock = Stopwatch()
    concurrently(setting.width) { number in
        do {
            let session = try peer.session(durable: false)
            var latencies = Latencies()
            var operations = 0
            let deadline = nanoseconds() + UInt64(setting.seconds * 1e9)
            // Each thread reads all keys, from its own start.
            let start = number * order.count / setting.width
            // Always 0, but compiler and processor cannot compute that before the length is known.
            var offset = 0
            for index in 0..<order.count {
                let key = dataset.key(Int(order[(start + index + offset) % order.count]))
                let now = try latencies.time(index) {
                    guard let length = try session.get(key), length <= 100 else {
                        throw PeerError("get", "the value is not there")
                    }
                    if areDependent { offset = 100 - length }
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
