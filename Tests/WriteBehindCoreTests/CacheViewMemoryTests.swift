import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// The last sequence that was given out.
private final class Sequencer: Sendable {
    private let last = Lock<UInt64>(0)
    var value: UInt64 { last.withLock { $0 } }

    func take(_ count: UInt64) -> UInt64 {
        last.withLock { value in
            value += count
            return value - count + 1
        }
    }
}

@Suite struct CacheViewMemoryTests {
    private static func key(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: UInt64(number))
        bytes.append(integer: UInt64(number).byteSwapped)
        return bytes
    }

    /// Writes a row if it is admitted, as a store does.
    private static func put(
        _ view: CacheView, _ number: Int, _ row: [UInt8], _ sequence: UInt64
    ) -> Bool {
        let key = key(number)
        let hash = view.hash(table: 1, key: key.span)
        let cost = Shard.cost(keyLength: key.count, bodyLength: row.count)
        return view.withShard(of: hash) { shard in
            guard shard.admits(cost, largest: cost) else { return false }
            shard.put(hash, 1, key.span, row.span, sequence: sequence)
            return true
        }
    }

    /// From small rows to pages of others and back, with one row in `dirtyEvery` left dirty: sparse
    /// dirty rows must not keep the pages of the old size, and none of them may leave.
    @Test(arguments: [
        (0, [100, 4_000, 100]), (50, [100, 4_000, 30]), (50, [40_000, 60, 200_000]),
    ])
    func memoryKeepsToItsLimitWhenSizesChange(dirtyEvery: Int, sizes: [Int]) throws {
        let limit = 16 << 20
        let view = try CacheView(limit: limit, dirtyLimit: 12 << 20, watermark: 0, seed: 7)
        var sequence: UInt64 = 0
        var held: Set<Int> = []
        for size in sizes {
            let row = [UInt8](repeating: 1, count: size)
            var refused = 0
            let count = 3 * limit / (size + 100)
            for number in 0..<count {
                sequence += 1
                let isHeld = dirtyEvery > 0 && number % dirtyEvery == 0 && number < count / 4
                if !Self.put(view, number, row, sequence) { refused += 1 }
                // A pinned row is an example of one that stays dirty while the watermark passes.
                let key = Self.key(number)
                let hash = view.hash(table: 1, key: key.span)
                if isHeld {
                    held.insert(number)
                    _ = view.withShard(of: hash) { $0.pin(hash, 1, key.span) }
                }
                view.advance(to: sequence)
                let resident = view.statistics().residentBytes
                if resident > limit { Issue.record("\(resident) bytes of \(limit)") }
            }
            #expect(refused == 0, "rows of \(size)")
        }
        #expect(view.statistics().evictions > 0)
        let missing = held.count { number in
            let key = Self.key(number)
            let hash = view.hash(table: 1, key: key.span)
            return view.withShard(of: hash) { $0.lookup(hash, 1, key.span, now: 0).state } != .full
        }
        #expect(missing == 0 && held.isEmpty == (dirtyEvery == 0))
    }

    @Test func writesAreRefusedAtTheDirtyLimitAndAdmittedOnceClean() throws {
        let view = try CacheView(limit: 16 << 20, dirtyLimit: 4 << 20, watermark: 0, seed: 7)
        let row = [UInt8](repeating: 1, count: 100)
        var sequence: UInt64 = 0
        while Self.put(view, Int(sequence), row, sequence + 1) { sequence += 1 }
        let full = view.statistics()
        #expect(full.dirtyBytes <= 4 << 20 && full.dirtyBytes > 4 << 19)
        #expect(full.evictions == 0)
        view.advance(to: sequence)
        #expect(view.statistics().dirtyBytes == 0)
        #expect(Self.put(view, 0, row, sequence + 1))
    }

    @Test func aUsedRowOutlivesUnusedOnes() throws {
        let view = try CacheView(limit: 8 << 20, dirtyLimit: 6 << 20, watermark: 0, seed: 7)
        let row = [UInt8](repeating: 1, count: 100)
        for number in 0..<300_000 {
            #expect(Self.put(view, number, row, UInt64(number) + 1))
            view.advance(to: UInt64(number) + 1)
            guard number % 1_000 == 0 else { continue }
            for hot in 0..<100 {
                let key = Self.key(hot)
                let hash = view.hash(table: 1, key: key.span)
                let state = view.withShard(of: hash) { $0.lookup(hash, 1, key.span, now: 0).state }
                #expect(number < 100 || state == .full)
            }
        }
    }

    @Test func threadsSeeWhatTheyWrote() async throws {
        let view = try CacheView(limit: 512 << 20, dirtyLimit: 256 << 20, watermark: 0)
        #expect(view.shardCount > 1)
        let sequencer = Sequencer()
        await withTaskGroup(of: Int.self) { group in
            for thread in 0..<8 {
                group.addTask { Self.hammer(view, thread, sequencer) }
            }
            for await wrong in group { #expect(wrong == 0) }
        }
        view.advance(to: sequencer.value)
        #expect(view.statistics().dirtyBytes == 0)
    }

    /// Commits of two rows over two shards; counts rows that are not what this thread wrote last.
    private static func hammer(
        _ view: CacheView, _ thread: Int, _ sequencer: Sequencer
    ) -> Int {
        var wrong = 0
        for round in 0..<2_000 {
            let row = [UInt8(round & 255), UInt8(thread)]
            let keys = [key(thread * 1_000 + round % 50), key(thread * 1_000 + 500 + round % 7)]
            let hashes = keys.map { view.hash(table: 1, key: $0.span) }
            view.withShards(of: hashes.span) { shards in
                let first = sequencer.take(2)
                for (index, key) in keys.enumerated() {
                    shards.withShard(of: hashes[index]) {
                        $0.put(
                            hashes[index], 1, key.span, row.span,
                            sequence: first + UInt64(index))
                    }
                }
            }
            for (index, key) in keys.enumerated() {
                let isMine = view.withShard(of: hashes[index]) { shard in
                    let found = shard.lookup(hashes[index], 1, key.span, now: 0)
                    guard found.reference != 0 else { return false }
                    return shard.withBody(found.reference) { $0[0] == row[0] && $0[1] == row[1] }
                }
                if !isMine { wrong += 1 }
            }
        }
        return wrong
    }
}
