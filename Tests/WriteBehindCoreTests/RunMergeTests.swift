import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// Folds of more changes than memory may hold: each block becomes a run of its own.
@Suite struct RunMergeTests {
    private func manyBlocks(_ count: Int, seed: Int, keys: Int = 12) throws -> PastHarness {
        let harness = PastHarness(seed: UInt64(seed) + 1)
        harness.memory = 1
        try harness.open()
        try harness.define()
        for _ in 0..<count {
            try harness.appendRandom(keys: keys)
            harness.makeDurable()
        }
        return harness
    }

    private func temporaries(_ harness: PastHarness) throws -> [String] {
        try harness.disk.list(PastHarness.layout.snapshots).filter(StoreLayout.isTemporary)
    }

    /// 300 runs; a third of a thousand is as good as a thousand, because only the last ones of each level are open.
    @Test func aSnapshotOfManyRunsOpensFewFilesAtOnce() throws {
        let harness = try manyBlocks(300, seed: 1, keys: 60)
        harness.disk.openFileLimit = 70
        try harness.snapshot()
        #expect(harness.events.state.withLock { $0.failures } == [])
        #expect(harness.snapshots == [harness.last])
        #expect(harness.disk.mostOpenFiles < 70)
        #expect(try temporaries(harness) == [])
        #expect(try harness.fault() == nil)
    }

    /// With several levels, and rows that were put, changed, deleted and cleared in different runs.
    @Test(arguments: 0..<6, [2, 3, 5])
    func mergedRunsHoldWhatTheLogHolds(seed: Int, mergeCount: Int) throws {
        let harness = try manyBlocks(90, seed: seed + 10)
        var spilling = LogFold.Spilling(
            directory: PastHarness.layout.snapshots, memoryLimit: 1,
            environment: harness.environment)
        spilling.mergeCount = mergeCount
        let readable = try #require(harness.log).readable
        let history = StoreHistory(harness.environment, readable: readable, spilling: spilling)
        for sequence in harness.states.keys.sorted().suffix(12) {
            let found = try PastHarness.all(history.fold(to: .sequence(sequence)))
            #expect(found == harness.states[sequence], "sequence \(sequence)")
        }
        #expect(try temporaries(harness) == [])
        // Over a snapshot, whose rows the runs change.
        harness.memory = 64 << 20
        try harness.close()
        try harness.open()
        try harness.snapshot()
        for _ in 0..<30 {
            try harness.appendRandom()
            harness.makeDurable()
        }
        let end = StoreHistory(harness.environment, readable: harness.last, spilling: spilling)
        #expect(try PastHarness.all(end.fold(to: .end)) == harness.rows)
    }

    @Test(arguments: [1, 64 << 20])
    func noFileIsLeftOfASnapshotThatFindsNoRoom(memory: Int) throws {
        let harness = try manyBlocks(40, seed: 3)
        harness.memory = memory
        try harness.close()
        try harness.open()
        for room in [0, 60, 128, 140, 260] {
            harness.disk.capacity = harness.disk.usedBytes + room
            harness.time.advance(milliseconds: 60_000)
            try harness.snapshot()
            #expect(harness.snapshots == [])
            #expect(try temporaries(harness) == [], "\(room) bytes of room")
        }
        harness.disk.capacity = nil
        harness.time.advance(milliseconds: 60_000)
        try harness.snapshot()
        #expect(harness.snapshots == [harness.last])
    }
}
