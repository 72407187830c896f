import EventLog
import TestSupport
import Testing
import WriteBehindCore
import WriteBehindInspection

@Suite struct SegmentMergeTests {
    /// A log of as many sealed segments as it was opened and closed.
    private func manySegments(_ count: Int, seed: UInt64 = 31) throws -> PastHarness {
        let harness = PastHarness(seed: seed)
        harness.mergeCount = .max
        try harness.open()
        try harness.define()
        for _ in 0..<count {
            for _ in 0..<3 { try harness.appendRandom() }
            try harness.close()
            try harness.open()
        }
        return harness
    }

    private func tidy(_ harness: PastHarness) throws {
        harness.drop()
        harness.mergeCount = 2
        try harness.open()
        let snapshotter = try #require(harness.snapshotter)
        while case .stepAgain = snapshotter.step() {}
    }

    private func checkAllStates(_ harness: PastHarness) throws {
        for (sequence, rows) in harness.states {
            let found = try PastHarness.all(harness.history.fold(to: .sequence(sequence)))
            #expect(found == rows, "sequence \(sequence)")
        }
    }

    @Test func smallSegmentsBecomeOneAndHistoryStays() throws {
        let harness = try manySegments(6)
        let chains = try harness.states.keys.map { ($0, try harness.log?.chain(at: $0)) }
        #expect(harness.segments.count == 6)
        try tidy(harness)
        #expect(harness.segments.count == 2)
        for (sequence, chain) in chains {
            #expect(try harness.log?.chain(at: sequence) == chain)
        }
        try checkAllStates(harness)
        for _ in 0..<5 { try harness.appendRandom() }
        try harness.close()
        try harness.open()
        #expect(try harness.fault() == nil)
        try checkAllStates(harness)
    }

    /// Every commit was synced alone, hence a block each.
    @Test func shortBlocksBecomeLongOnes() throws {
        let harness = PastHarness(seed: 32)
        harness.options = LogOptions()
        harness.options.slotSize = 1 << 20
        try harness.open()
        try harness.define()
        for number in 0..<2000 {
            try harness.put("key \(number % 500)", Int64(number), blob: 80)
            harness.time.advance(milliseconds: 100)
            harness.makeDurable()
            if number % 1000 == 999 {
                try harness.close()
                try harness.open()
            }
        }
        try harness.put("last", 1)
        harness.makeDurable()
        let before = try SegmentList(harness.environment).segments.reduce(0) { $0 + $1.byteCount }
        let chain = try harness.log?.chain(at: 1500)
        try tidy(harness)
        let after = try SegmentList(harness.environment).segments.reduce(0) { $0 + $1.byteCount }
        print("2000 lone commits: \(before) bytes, re-blocked \(after)")
        #expect(after * 5 < before)
        for base in harness.segments {
            guard
                case .opened(let segment) = try SegmentReader.open(
                    PastHarness.layout.segment(base), on: harness.disk)
            else { continue }
            #expect(try segment.blocksNameTheirTables(), "segment \(base)")
        }
        #expect(try harness.log?.chain(at: 1500) == chain)
        for sequence in stride(from: UInt64(1), through: harness.last, by: 199) {
            let found = try PastHarness.all(harness.history.fold(to: .sequence(sequence)))
            #expect(found == harness.states[sequence])
        }
    }

    @Test func theLastSegmentAndLongOnesAreNotMerged() throws {
        let harness = try manySegments(1)
        try tidy(harness)
        #expect(harness.segments.count == 1)
        let list = try SegmentList(harness.environment)
        #expect(SegmentMerge.group(of: list, smallerThan: 0, limit: .max, atLeast: 2).isEmpty)
    }

    @Test(arguments: 0..<6)
    func aReaderGoesOnWhereItsSegmentsAreMerged(blocks: Int) throws {
        let harness = try manySegments(6)
        let reader = try #require(harness.log).reader(from: 1)
        var last: UInt64 = 0
        let readable = try #require(harness.log).readable
        for _ in 0..<blocks where try reader.next(through: readable) {
            last = try #require(reader.block).nextSequence - 1
        }
        try tidy(harness)
        while try reader.next(through: readable) {
            let block = try #require(reader.block)
            #expect(block.firstSequence == last + 1)
            last = block.nextSequence - 1
        }
        #expect(last == readable)
    }

    /// In the end, blocks of what were two segments become one: no block starts any more where a reader of the
    /// first of them goes on.
    @Test func aWalkShowsNothingTwiceWhereSegmentsAreMergedAgain() throws {
        let harness = PastHarness(seed: 33)
        harness.mergeCount = .max
        harness.options = LogOptions()
        harness.options.slotSize = 1 << 20
        try harness.open()
        try harness.define()
        func reopen(_ count: Int) throws {
            for number in 0..<count {
                for _ in 0..<3 { try harness.put("key \(number)", 1, blob: 8) }
                try harness.close()
                try harness.open()
            }
        }
        try reopen(3)
        let walk = try LogWalk(harness.environment, from: 1)
        var shown: [UInt64] = []
        func show(through readable: UInt64) throws {
            while try walk.next(through: readable) {
                _ = try walk.records { record in
                    shown.append(record.sequence)
                    return true
                }
            }
        }
        try show(through: harness.segments[2] - 1)
        for _ in 0..<3 {
            try tidy(harness)
            try reopen(3)
        }
        let readable = try #require(harness.log).readable
        try show(through: readable)
        #expect(shown == Array(1...readable))
    }

    /// Recovery when a crash left any of the merged segments, even where no other segment follows.
    @Test(arguments: 0..<8, [true, false])
    func leftoversOfAMergeAreRemoved(subset: Int, hasFollower: Bool) throws {
        let harness = try manySegments(4)
        let disk = harness.disk
        let bases = harness.segments
        let files = bases.map { disk.readAll(PastHarness.layout.segment($0)) ?? [] }
        let bounds = harness.last
        try tidy(harness)
        #expect(harness.segments == [bases[0], bases[3]])
        try harness.close()
        for index in 1...2 where subset & (1 << (index - 1)) != 0 {
            try disk.overwrite(PastHarness.layout.segment(bases[index]), files[index])
        }
        var end = bounds
        if !hasFollower {
            try disk.erase(PastHarness.layout.segment(bases[3]))
            end = bases[3] - 1
            let chain = try #require(SegmentList(harness.environment).segments.last?.nextChain)
            let closed = LogEdge(
                .cleanEnd, of: harness.environment.storeID, at: end, chain: chain, epoch: 99)
            try disk.overwrite(PastHarness.layout.cleanEnd, closed.encoded())
        }
        let log = try harness.open()
        #expect(log.recovery.corruption == nil)
        #expect(log.readable == end)
        #expect(harness.segments == (hasFollower ? [bases[0], bases[3]] : [bases[0]]))
        #expect(try harness.fault() == nil)
    }

    /// A segment that begins where both histories were still the same, and has as many records.
    @Test func aSegmentThatOverlapsWithAForkOfItsHistoryIsDamage() throws {
        let harness = try manySegments(1)
        try harness.close()
        let fork = PastHarness(seed: 5, disk: harness.disk.snapshot())
        fork.mergeCount = .max
        for (past, name) in [(harness, "a"), (fork, "b")] {
            for number in 0..<3 as Range<Int64> {
                try past.open()
                try past.put(name, number)
                try past.close()
            }
        }
        let bases = harness.segments
        #expect(bases.count == 4 && fork.segments == bases)
        try tidy(harness)
        #expect(harness.segments.count == 2)
        try harness.close()
        let path = PastHarness.layout.segment(bases[1])
        try harness.disk.overwrite(path, try #require(fork.disk.readAll(path)))
        let log = try harness.open()
        #expect(log.recovery.corruption != nil)
        #expect(harness.disk.readAll(path) != nil)
    }

    @Test func aSegmentThatOverlapsWithAnotherHistoryIsDamage() throws {
        let harness = try manySegments(4)
        let bases = harness.segments
        let other = try manySegments(4, seed: 99)
        try tidy(harness)
        try harness.close()
        let index = try #require(
            other.segments.dropFirst().first { $0 > bases[0] && $0 < bases[3] })
        let path = PastHarness.layout.segment(index)
        try harness.disk.overwrite(path, try #require(other.disk.readAll(path)))
        let log = try harness.open()
        #expect(log.recovery.corruption != nil)
        #expect(harness.disk.readAll(path) != nil)
    }
}
