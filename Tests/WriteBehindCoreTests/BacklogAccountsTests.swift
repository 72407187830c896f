import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// The accounts of a backlog in memory, which must not grow with it (I8).
@Suite struct BacklogAccountsTests {
    @Test func theAccountsStaySmallHoweverFarTheDatabaseIsBehind() {
        var dirty = DirtyBytes(watermark: 0)
        // A few rows, written again and again.
        var rows = [UInt64](repeating: 0, count: 100)
        for sequence in stride(from: UInt64(1), through: 200_000_000, by: 64) {
            let row = Int(sequence / 64 % 100)
            if rows[row] > 0 { dirty.remove(100, sequence: rows[row]) }
            dirty.add(100, sequence: sequence)
            rows[row] = sequence
        }
        #expect(dirty.total == 10_000)
        #expect(dirty.bucketCount <= DirtyBytes.bucketLimit)
        dirty.advance(to: 200_000_000)
        #expect(dirty.total == 0)
    }

    /// Never too few bytes, for rows could leave memory that the database does not hold.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func neverFewerBytesCountThanThereAre(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var dirty = DirtyBytes(watermark: 0)
        var (sequence, watermark) = (UInt64(0), UInt64(0))
        var rows: [Int: (sequence: UInt64, bytes: Int)] = [:]
        for _ in 0..<20_000 {
            sequence += .random(in: 1...9000, using: &random)
            let row = Int.random(in: 0..<50, using: &random)
            let bytes = Int.random(in: 1...500, using: &random)
            if let old = rows[row] { dirty.remove(old.bytes, sequence: old.sequence) }
            dirty.add(bytes, sequence: sequence)
            rows[row] = (sequence, bytes)
            if Int.random(in: 0..<100, using: &random) == 0 {
                watermark = .random(in: watermark...sequence, using: &random)
                dirty.advance(to: watermark)
            }
            let exact = rows.values.reduce(0) { $0 + ($1.sequence > watermark ? $1.bytes : 0) }
            #expect(dirty.total >= exact)
        }
        dirty.advance(to: sequence)
        #expect(dirty.total == 0 && dirty.bucketCount == 0)
    }

    /// Deleted and put again and again, a row leaves nothing behind but itself.
    @Test func deletesOfTheSameRowsTakeNoMemoryOfTheirOwn() throws {
        let view = try CacheView(limit: 8 << 20, dirtyLimit: 4 << 20, watermark: 0, seed: 1)
        let row: [UInt8] = [0]
        var sequence: UInt64 = 0
        for round in 0..<200_000 {
            let key = [UInt8(truncatingIfNeeded: round % 100)]
            let hash = view.hash(table: 1, key: key.span)
            view.withShard(of: hash) { shard in
                shard.delete(hash, 1, key.span, sequence: sequence + 1)
                if round % 3 > 0 { shard.put(hash, 1, key.span, row.span, sequence: sequence + 2) }
            }
            sequence += 2
        }
        var count = 0
        view.forEachShard { count += $0.tombstoneCount }
        #expect(count < 5000)
        view.advance(to: sequence)
        // Tombstones at the end are found, and go.
        view.forEachShard { #expect($0.tombstoneCount == 0) }
        #expect(view.statistics().dirtyBytes == 0)
        for key in UInt8(0)..<100 {
            let hash = view.hash(table: 1, key: [key].span)
            let state = view.withShard(of: hash) { $0.peek(hash, 1, [key].span).state }
            #expect(state != .tombstone)
        }
    }

    /// Each commit that a caller waits for is a block of its own. The count is never less than the truth.
    @Test func aBacklogOfLoneCommitsTakesNoMemoryOfItsOwn() {
        let meter = BacklogMeter(watermark: 0, limit: .max)
        let count: UInt64 = 100_000
        for sequence in 1...count {
            meter.didWrite(
                BlockHeader(
                    kind: .block, firstSequence: sequence, count: 1, flags: [], unsyncedBefore: 0,
                    packedLength: 112, rawLength: 60, span: 0, time: sequence * 1000, content: 0,
                    chain: 0))
        }
        #expect(meter.blockCount <= BacklogMeter.blockLimit)
        let each = BlockHeader.byteCount + 112
        #expect(meter.lag.byteCount == Int(count) * each && meter.lag.oldestTime == 1)
        for watermark in stride(from: UInt64(1), to: count, by: 997) {
            meter.advance(to: watermark)
            #expect(meter.lag.byteCount >= Int(count - watermark) * each)
        }
        meter.advance(to: count)
        #expect(meter.lag.byteCount == 0 && meter.lag.oldestTime == nil)
    }
}
