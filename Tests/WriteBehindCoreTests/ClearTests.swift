import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// A clear takes no time, and nothing that it removed is seen, or counted, or comes back.
@Suite struct ClearTests {
    private static func key(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: UInt64(number))
        return bytes
    }

    private static func put(
        _ view: CacheView, _ table: UInt16, _ number: Int, byteCount: Int = 8, sequence: UInt64
    ) {
        let key = key(number)
        let hash = view.hash(table: table, key: key.span)
        let row = Bodies.row([Bodies.blob(byteCount)])
        view.withShard(of: hash) { $0.put(hash, table, key.span, row.span, sequence: sequence) }
    }

    private static func clear(_ view: CacheView, _ table: UInt16, sequence: UInt64) {
        view.forEachShard { $0.clear(table, sequence: sequence) }
    }

    private static func look(
        _ view: CacheView, _ table: UInt16, _ number: Int
    ) -> (state: RowState, sequence: UInt64) {
        let key = key(number)
        let hash = view.hash(table: table, key: key.span)
        return view.withShard(of: hash) { shard in
            let found = shard.lookup(hash, table, key.span, now: 0)
            return (found.state, found.sequence)
        }
    }

    /// Counted in rows: none is touched under the lock, however many there are.
    @Test(arguments: [("of that table", 1), ("of another table", 2)] as [(String, UInt16)])
    func aClearFreesNoRowItselfAndAllOfThemAreAbsent(what: String, table: UInt16) throws {
        let view = try CacheView(limit: 64 << 20, dirtyLimit: 48 << 20, watermark: 0, seed: 1)
        let count = 50_000
        for number in 0..<count { Self.put(view, table, number, sequence: UInt64(number) + 1) }
        let sequence = UInt64(count) + 1
        Self.clear(view, 1, sequence: sequence)
        #expect(view.statistics().rows == count)
        for number in stride(from: 0, to: count, by: 1000) {
            let found = Self.look(view, table, number)
            if table == 1 {
                #expect(found.state == .tombstone && found.sequence == sequence)
            } else {
                #expect(found.state == .full)
            }
        }
    }

    /// The lock is released after a few rows, so that no caller waits long for it.
    @Test func clearedRowsAreFreedInSmallSteps() throws {
        let view = try CacheView(limit: 8 << 20, dirtyLimit: 4 << 20, watermark: 0, seed: 1)
        for number in 0..<10_000 { Self.put(view, 1, number, sequence: UInt64(number) + 1) }
        Self.put(view, 2, 0, sequence: 10_001)
        Self.clear(view, 1, sequence: 10_002)
        try #require(view.shardCount == 1)
        var before = view.statistics().rows
        var (steps, mayBeMore) = (0, true)
        while mayBeMore {
            view.forEachShard { mayBeMore = $0.freeCleared() }
            let rows = view.statistics().rows
            #expect(before - rows <= 128)
            before = rows
            steps += 1
        }
        #expect(before == 1 && steps >= 10_000 / 128)
        #expect(Self.look(view, 2, 0).state == .full)
        view.advance(to: 10_002)
        #expect(view.statistics().dirtyBytes == 0)
        #expect(Self.look(view, 1, 1).state == .absent)
    }

    /// Cleared rows are not applied any more, so they keep no write out.
    @Test func clearedRowsDoNotCountAsDirtyWhereRoomIsNeeded() throws {
        let view = try CacheView(limit: 8 << 20, dirtyLimit: 1 << 20, watermark: 0, seed: 1)
        try #require(view.shardCount == 1)
        let cost = Shard.cost(keyLength: 8, bodyLength: 1000)
        var sequence: UInt64 = 0
        var admits = true
        while admits {
            view.forEachShard { admits = $0.admits(cost, largest: cost) }
            guard admits else { break }
            sequence += 1
            Self.put(view, 1, Int(sequence), byteCount: 1000, sequence: sequence)
        }
        Self.clear(view, 1, sequence: sequence + 1)
        view.forEachShard { admits = $0.admits(cost, largest: cost) }
        #expect(admits)
    }

    /// Random changes, clears, evictions and steps of the walk, in little memory and many sizes of rows, held
    /// against dictionaries.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func whatAClearRemovedNeverComesBack(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let view = try CacheView(limit: 8 << 20, dirtyLimit: 6 << 20, watermark: 0, seed: seed)
        var model: [UInt16: [Int: UInt64]] = [:]
        var (sequence, watermark) = (0 as UInt64, 0 as UInt64)
        for _ in 0..<20_000 {
            sequence += 1
            let table = UInt16.random(in: 1...3, using: &random)
            let number = Int.random(in: 0..<3_000, using: &random)
            switch Int.random(in: 0..<1_000, using: &random) {
            case 0..<20:
                Self.clear(view, table, sequence: sequence)
                model[table] = [:]
            case 20..<40:
                watermark = UInt64.random(in: watermark...sequence, using: &random)
                view.advance(to: watermark)
            case 40..<200: view.forEachShard { _ = $0.freeCleared() }
            case 200..<300:
                let key = Self.key(number)
                let hash = view.hash(table: table, key: key.span)
                let isGone = view.withShard(of: hash) { $0.evict(hash, table, key.span) }
                if isGone { model[table]?[number] = nil }
            default:
                let byteCount = [10, 300, 4_000].randomElement(using: &random) ?? 0
                let cost = Shard.cost(keyLength: 8, bodyLength: byteCount + 10)
                var admits = false
                view.forEachShard { admits = $0.admits(cost, largest: cost) }
                guard admits else { continue }
                Self.put(view, table, number, byteCount: byteCount, sequence: sequence)
                model[table, default: [:]][number] = sequence
            }
        }
        try expect(view, model, watermark, seed)
        view.freeCleared()
        try expect(view, model, watermark, seed)
        view.advance(to: sequence)
        #expect(view.statistics().dirtyBytes == 0, "seed \(seed)")
    }

    /// Clean rows may have been evicted; no other row may be gone, and none be there that the model has not.
    private func expect(
        _ view: CacheView, _ model: [UInt16: [Int: UInt64]], _ watermark: UInt64, _ seed: UInt64
    ) throws {
        for table in 1...3 as ClosedRange<UInt16> {
            for number in 0..<3_000 {
                let found = Self.look(view, table, number)
                let expected = model[table]?[number]
                if found.state == .full {
                    #expect(found.sequence == expected, "seed \(seed)")
                } else {
                    #expect(expected ?? 0 <= watermark, "seed \(seed)")
                }
            }
        }
    }

    /// A batch for the database, and the fold of the log, meet clears as often as the log does.
    @Test func manyClearsAmongManyRowsCostNoWalkEach() throws {
        var table = try RowTable(reserving: 256 << 20, seed: 1)
        var sequence: UInt64 = 0
        for number in 0..<100_000 {
            sequence += 1
            let key = Self.key(number)
            _ = table.put(
                table.hash(table: 1, key: key.span), 1, key.span, [0].span, sequence: sequence)
        }
        for _ in 0..<20_000 {
            sequence += 1
            table.clear(2, sequence: sequence)
        }
        let rest = table.references().count
        #expect(rest == 100_000)
        table.clear(1, sequence: sequence + 1)
        let (all, sorted) = (table.references(), table.sortedReferences())
        #expect(all.isEmpty && sorted.isEmpty)
        let key = Self.key(5)
        let reference = table.reference(table: 1, key: key.span)
        let wasThere = table.remove(table: 1, key: key.span)
        #expect(reference == nil && !wasThere)
    }
}
