import Foundation
import Synchronization
import WriteBehind

extension Workload {
    /// P1: writes that survive a killed process once they return.
    static func puts(
        _ id: String, _ title: String, hot: Bool, widths: [Int] = [1],
        _ contenders: [Contender] = [
            .writebehind, .writebehindLive, .rocksdb, .rocksdbZstd, .leveldb, .lmdb, .sqlite,
            .redis, .redisPipeline, .staging, .map, .zstd,
        ]
    ) -> Workload {
        Workload(id: id, title: title, contenders: contenders, widths: widths) {
            contender, setting in
            let dataset = Dataset(count: setting.count)
            let order = dataset.order(hot: hot)
            let peer = try contender.open(setting.directory, durable: false, keys: setting.count)
            let result = measurePuts(peer, dataset, order, setting)
            try await peer.close()
            return result.with(diskIn: setting.directory)
        }
    }

    /// P1r: a row of six columns through the typed interface.
    static let typedRows = Workload(
        id: "P1r", title: "put, typed row of six columns, distinct keys",
        contenders: [.writebehind, .writebehindLive]
    ) { contender, setting in
        let store = try await Store(
            at: setting.directory + "/store",
            configuration: StorePeer.configuration(contender == .writebehindLive))
        let players = try store.table(Player.self)
        let numbers = (0..<setting.count).shuffled()
        let clock = Stopwatch()
        var latencies = Latencies()
        for (index, number) in numbers.enumerated() {
            try latencies.time(index) { try players.put(Player(number)) }
        }
        let result = clock.stop(operations: numbers.count, latencies: latencies.all)
        try await store.close(deadline: .zero)
        return result.with(diskIn: setting.directory)
    }
}

/// Measures puts from `setting.width` threads. Each makes its share of the operations.
func measurePuts(
    _ peer: any Peer, _ dataset: Dataset, _ order: [Int32], _ setting: Workload.Setting,
    durable: Bool = false, every: Int = 16
) -> Measurement {
    let gathered = Mutex<(latencies: [UInt32], operations: Int)>(([], 0))
    let share = order.count / setting.width
    let clock = Stopwatch()
    concurrently(setting.width) { number in
        let range = number * share..<(number + 1) * share
        do {
            let session = try peer.session(durable: durable)
            let (latencies, operations) = try putAll(
                session, dataset, order[range], setting, every: durable ? 1 : every)
            gathered.withLock {
                $0.latencies += latencies
                $0.operations += operations
            }
        } catch {
            end(error)
        }
    }
    return gathered.withLock {
        clock.stop(operations: $0.operations, latencies: $0.latencies)
    }
}

private func putAll(
    _ session: any Session, _ dataset: Dataset, _ order: ArraySlice<Int32>,
    _ setting: Workload.Setting, every: Int
) throws -> ([UInt32], Int) {
    var latencies = Latencies(every: every)
    let end = nanoseconds() + UInt64(setting.seconds * 1e9)
    var operations = 0
    for number in order {
        let key = dataset.key(Int(number))
        let value = dataset.value(operations % dataset.count)
        let now = try latencies.time(operations) { try session.put(key, value) }
        operations += 1
        if now > end { break }
    }
    try session.finish()
    return (latencies.all, operations)
}

/// The time of single operations. Only some are timed, because reading the clock takes as long as a short
/// operation.
struct Latencies {
    private(set) var all: [UInt32] = []
    private let every: Int

    init(every: Int = 16) {
        self.every = every
        all.reserveCapacity(1 << 17)
    }

    mutating func note(_ nanoseconds: UInt64) { all.append(UInt32(clamping: nanoseconds)) }

    /// Returns the time after the operation; 0 if it was not timed.
    @inline(__always)
    @discardableResult
    mutating func time<R>(_ index: Int, _ body: () throws -> R) rethrows -> UInt64 {
        guard index % every == 0 else {
            _ = try body()
            return 0
        }
        let start = nanoseconds()
        _ = try body()
        let end = nanoseconds()
        all.append(UInt32(clamping: end - start))
        return end
    }
}

extension Measurement {
    func with(diskIn directory: String) -> Measurement {
        var result = self
        result.diskBytes = Usage.disk(directory)
        return result
    }
}

/// Six columns of several types.
@Table struct Player {
    var id: Int
    var name = "player number"
    var score = 0
    var team: String? = "red"
    var rating = 1.5
    var seen = 0

    init(_ number: Int) {
        id = number
        score = number % 100_000
        seen = 1_700_000_000 + number
    }
}
