import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehindCore

/// The disk stops at every single operation of taking a snapshot, deleting and merging; then power is lost, or
/// the process dies. After that, opening finds all that was durable, and the same work succeeds.
@Suite struct SnapshotCrashTests {
    enum Work: String, CaseIterable {
        case snapshot, deletion, merging
    }

    /// A closed store on a disk with several small segments and, but for merging, two snapshots.
    private func prepare(_ work: Work, seed: UInt64) throws -> PastHarness {
        let harness = PastHarness(seed: seed)
        harness.mergeCount = .max
        harness.memory = work == .snapshot ? 300 : 64 << 20
        try harness.open()
        try harness.define()
        for round in 0..<4 {
            for _ in 0..<6 { try harness.appendRandom() }
            if work != .merging, round >= 2 { try harness.snapshot() }
            if work == .snapshot, round == 3 { for _ in 0..<8 { try harness.appendRandom() } }
            try harness.close()
            try harness.open()
        }
        try harness.close()
        return harness
    }

    private func configure(_ harness: PastHarness, for work: Work) {
        switch work {
        case .snapshot: break
        case .deletion: harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: .max)
        case .merging: harness.mergeCount = 2
        }
    }

    private func run(_ harness: PastHarness) throws {
        let snapshotter = try #require(harness.snapshotter)
        snapshotter.request(try #require(harness.log).readable)
        while case .stepAgain = snapshotter.step() {}
    }

    @Test(arguments: Work.allCases, [SimulatedDisk.Crash.power, .process])
    func stoppingAnywhereLosesNothing(work: Work, crash: SimulatedDisk.Crash) throws {
        let harness = try prepare(work, seed: 21)
        let base = harness.disk
        configure(harness, for: work)
        harness.disk = base.snapshot()
        try harness.open()
        let start = harness.disk.operationCount
        try run(harness)
        let count = harness.disk.operationCount - start
        switch work {
        case .snapshot: #expect(harness.snapshots.last == harness.last)
        case .deletion: #expect(harness.segments.count < 4)
        case .merging: #expect(harness.segments.count == 2)
        }
        // Every operation of merging and deleting for power loss, else a third, unless EXHAUSTIVE is set.
        let isExhaustive = ProcessInfo.processInfo.environment["EXHAUSTIVE"] != nil
        let losesNames = work != .snapshot && crash == .power
        let stride = losesNames || isExhaustive ? 1 : 3
        for n in 1...count where (n + (crash == .power ? 1 : 0)) % stride == 0 {
            // Chance decides which of the unsynced names are lost.
            for _ in 0..<(losesNames ? 12 : 1) {
                harness.drop()
                harness.disk = base.snapshot()
                try harness.open()
                harness.disk.fail(at: n, with: .errno(5), permanently: true)
                try run(harness)
                harness.disk.stopFailing()
                harness.crash(crash)
                try check(harness, work, n)
            }
        }
    }

    private func check(_ harness: PastHarness, _ work: Work, _ n: Int) throws {
        let log = try harness.open()
        try #require(log.readable == harness.last, "\(work), operation \(n)")
        try #require(try harness.fault() == nil, "\(work), operation \(n)")
        try run(harness)
        #expect(harness.events.state.withLock { $0.failures.isEmpty } || n > 0)
        try #require(try harness.fault() == nil, "\(work), operation \(n), done again")
        #expect(harness.disk.allFiles.allSatisfy { !$0.hasSuffix(".tmp") })
        if work != .deletion { #expect(harness.segments.first == 1) }
        if work == .merging { #expect(harness.segments.count == 2, "operation \(n)") }
        #expect(harness.snapshots.last == harness.last, "\(work), operation \(n)")
        if work == .merging {
            for (sequence, rows) in harness.states where sequence % 20 == 0 {
                let found = try PastHarness.all(harness.history.fold(to: .sequence(sequence)))
                #expect(found == rows)
            }
        }
    }

    /// Log that was deleted would come back after power loss without what comes before it, or with the older `log-start`.
    @Test(arguments: ["/store", "/log"], 0..<8)
    func noSegmentIsDeletedAfterADirectoryCouldNotBeSynced(directory: String, seed: Int) throws {
        let harness = PastHarness(seed: UInt64(seed) + 900)
        harness.rule = RetentionRule(snapshots: 2, age: 0, bytes: 0)
        harness.mergeCount = .max
        try harness.open()
        try harness.define()
        for _ in 0..<4 {
            for _ in 0..<3 { try harness.appendRandom() }
            try harness.close()
            try harness.open()
        }
        try harness.snapshot()
        try harness.appendRandom()
        harness.makeDurable()
        let before = harness.segments.count
        harness.disk.fail(.synchronizeDirectory, onFileNamed: directory, times: 1000)
        for _ in 0..<5 {
            try harness.snapshot()
            harness.time.advance(milliseconds: 60_000)
        }
        let gone = directory == "/log" ? 1 : 0
        #expect(harness.snapshots.count == 2)
        #expect(harness.segments.count == before - gone)
        #expect(harness.events.state.withLock { $0.failures.count } == 1)
        harness.crash(.power)
        harness.disk.stopFailing()
        try harness.open()
        #expect(try harness.fault() == nil)
        try harness.appendRandom()
        try harness.snapshot()
        #expect(harness.segments.count == 1)
        #expect(try harness.fault() == nil)
    }
}
