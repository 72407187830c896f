import Foundation
import Synchronization
import WriteBehind

extension Workload {
    /// P9: everything at once: a writer at full speed over a million keys, the database behind it,
    /// a reader.
    static let soak = Workload(
        id: "P9", title: "writer, reader and database at once", contenders: [.writebehindLive]
    ) { _, setting in
        let dataset = Dataset(count: setting.count)
        var configuration = StorePeer.configuration(true)
        configuration.cacheLimit = 1 << 30
        let peer = try StorePeer(setting.directory, configuration)
        let isOver = Atomic<Bool>(false)
        let reads = Atomic<Int>(0)
        let written = Mutex<(latencies: [UInt32], operations: Int, refused: Int)>(([], 0, 0))
        let samples = Mutex<[Sample]>([])
        let clock = Stopwatch()
        let start = nanoseconds()
        concurrently(3) { number in
            switch number {
            case 0:
                written.withLock { $0 = write(peer, dataset, setting.seconds) }
                isOver.store(true, ordering: .relaxed)
            case 1:
                while !isOver.load(ordering: .relaxed) {
                    let key = dataset.key(reads.load(ordering: .relaxed) &* 7919 % dataset.count)
                    _ = try? peer.table.withCached(key.span) { $0.count }
                    reads.add(1, ordering: .relaxed)
                    usleep(10)
                }
            default:
                while !isOver.load(ordering: .relaxed) {
                    let sample = Sample(
                        seconds: Double(nanoseconds() - start) / 1e9,
                        lag: Double(peer.store.health.lag.records),
                        memory: Double(Usage.memory("RssAnon")))
                    samples.withLock { $0.append(sample) }
                    usleep(200_000)
                }
            }
        }
        let (latencies, operations, refused) = written.withLock { $0 }
        var result = clock.stop(operations: operations, latencies: latencies)
        let drain = nanoseconds()
        try await peer.store.waitForAll(.materialized)
        result.more["seconds to drain"] = Double(nanoseconds() - drain) / 1e9
        result.more["refused"] = Double(refused)
        result.more["reads"] = Double(reads.load(ordering: .relaxed))
        samples.withLock { samples in
            result.samples = samples
            result.more["lag, most records"] = samples.map(\.lag).max()
            result.more["memory, most MB"] = (samples.map(\.memory).max() ?? 0) / 1e6
        }
        try await peer.close()
        return result.with(diskIn: setting.directory)
    }

    private static func write(
        _ peer: StorePeer, _ dataset: Dataset, _ seconds: Double
    ) -> (latencies: [UInt32], operations: Int, refused: Int) {
        var latencies = Latencies()
        var (operations, refused) = (0, 0)
        let end = nanoseconds() + UInt64(seconds * 1e9)
        while true {
            let index = operations % dataset.count
            let (key, value) = (dataset.key(index), dataset.value(index))
            do {
                let now = try latencies.time(operations) {
                    try peer.table.put(value.span, for: key.span)
                }
                operations += 1
                if now > end { return (latencies.all, operations, refused) }
            } catch {
                // The backlog is at its limit: the store refuses the write, and the writer waits.
                refused += 1
                usleep(1000)
                if nanoseconds() > end { return (latencies.all, operations, refused) }
            }
        }
    }
}
