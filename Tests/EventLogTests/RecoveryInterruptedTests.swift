import EventLog
import Glibc
import TestSupport
import Testing

/// Recovery that is itself interrupted, and what earlier lives left in staging.
@Suite struct RecoveryInterruptedTests {
    /// Runs recovery up to its `n`-th operation. Returns whether it got through.
    private func recover(_ harness: LogHarness, upTo n: Int) -> Bool {
        harness.disk.fail(at: n, with: .errno(EIO), permanently: true)
        defer { harness.disk.stopFailing() }
        do {
            try harness.open()
            return true
        } catch {
            return false
        }
    }

    @Test(arguments: [StoreShape.oneBlock, .sealedAndActive, .stagedCommits, .recovered])
    func recoveryInterruptedThreeTimesFindsWhatOneFinds(shape: StoreShape) throws {
        let base = try shape.made()
        var n = 1
        while true {
            let first = base.copy(seed: UInt64(n))
            if recover(first, upTo: n) { break }
            for seed in 0..<3 as Range<UInt64> {
                let copy = first.copy(seed: UInt64(n) * 100 + seed)
                for _ in 0..<2 {
                    copy.crash(.process)
                    _ = recover(copy, upTo: Int.random(in: 1...max(n, 12), using: &copy.random))
                }
                copy.crash(.process)
                try copy.open()
                #expect(try copy.fault(mayLoseUnsynced: false) == nil, "\(n), seed \(seed)")
            }
            n += 1
        }
        #expect(n > 20)
    }

    @Test(arguments: [StoreShape.oneBlock, .sealedAndActive, .stagedCommits, .recovered])
    func powerLossDuringRecoveryTakesNothingDurable(shape: StoreShape) throws {
        let base = try shape.made()
        var n = 1
        while true {
            let first = base.copy(seed: UInt64(n))
            if recover(first, upTo: n) { break }
            for seed in 0..<4 as Range<UInt64> {
                let copy = first.copy(seed: UInt64(n) * 100 + seed)
                for _ in 0..<2 {
                    copy.crash(.power)
                    _ = recover(copy, upTo: Int.random(in: 1...max(n, 12), using: &copy.random))
                }
                copy.crash(.power)
                try copy.open()
                #expect(try copy.fault(mayLoseUnsynced: true) == nil, "\(n), seed \(seed)")
                copy.crash(.power)
                // The progress that a recovery has published stays.
                try copy.open()
                #expect(try copy.fault(mayLoseUnsynced: false) == nil, "\(n), seed \(seed)")
            }
            n += 1
        }
    }

    /// Where the disk is full, an operator tries again and again.
    @Test(arguments: ["commits behind a gap", "a torn tail", "staging of nobody", "a torn header"])
    func recoveryThatFailsAgainAndAgainTakesNoMoreRoom(kept: String) throws {
        let base = LogHarness()
        try base.open()
        try base.append(commits: 3)
        base.makeDurable()
        try base.append(commits: 6)
        base.crash(.process)
        let slot = StagingHeader.byteCount + base.options.slotSize
        let segment = try #require(base.segments.last)
        let staging = LogHarness.layout.staging
        switch kept {
        case "commits behind a gap": try base.disk.flip(staging, at: slot + 64 + 32)
        case "a torn tail":
            let bytes = base.disk.readAll(segment) ?? []
            try base.disk.overwrite(segment, bytes + [UInt8](repeating: 0xA5, count: 700))
        case "staging of nobody":
            try base.open()
            try base.close()
            try base.disk.overwrite(staging, [UInt8](repeating: 0x3C, count: 9000))
        default:
            let name = LogHarness.layout.segment(4)
            try base.disk.overwrite(name, [UInt8](repeating: 0, count: 40))
        }
        var (failed, opened) = (0, false)
        for room in stride(from: 0, through: 60_000, by: 900) where !opened {
            let harness = base.copy(seed: UInt64(room))
            let used = harness.disk.usedBytes
            harness.disk.capacity = used + room
            var left: [Int] = []
            for _ in 0..<4 {
                if logError({ try harness.open() }) == nil { opened = true }
                left.append(harness.disk.usedBytes)
                harness.crash(.process)
            }
            if !opened {
                failed += 1
                #expect(Set(left).count == 1, "with \(room) bytes of room: \(left) of \(used)")
            }
        }
        #expect(opened && failed > 0, "\(failed)")
    }

    /// Recovery has cut off commits behind a gap. Later writes come up to them, and power loss must not
    /// bring their file back.
    @Test func framesThatWereCutOffNeverComeBack() throws {
        let base = LogHarness()
        try base.open()
        try base.append(commits: 3)
        base.makeDurable()
        try base.append(commits: 1)
        let slotEnd = StagingHeader.byteCount + 2 * base.options.slotSize - 64
        let staged = try #require(base.disk.readAll(LogHarness.layout.staging)?.prefix(slotEnd))
        let end = try #require(staged.lastIndex { $0 != 0 })
        try base.append(commits: 5)
        base.crash(.process)
        try base.disk.flip(LogHarness.layout.staging, at: end)
        try base.open()
        #expect(try base.fault(mayLoseUnsynced: true) == nil)
        #expect(base.appended.count == 3)
        try base.append()
        base.makeDurable()
        for seed in 0..<60 as Range<UInt64> {
            let harness = base.copy(seed: seed)
            harness.crash(.power)
            try harness.open()
            #expect(try harness.fault(mayLoseUnsynced: true) == nil, "seed \(seed)")
            #expect(harness.appended.count == 4)
        }
    }

    @Test func everyLifeHasASaltOfItsOwn() throws {
        let harness = LogHarness()
        var salts: Set<UInt64> = []
        for _ in 0..<5 {
            try harness.open()
            let staging = try #require(harness.disk.readAll(LogHarness.layout.staging))
            salts.insert(try StagingHeader(decoding: staging.span).salt)
            harness.crash(.process)
        }
        #expect(salts.count == 5)
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func commitsOfEarlierLivesNeverComeBack(seed: UInt64) throws {
        let harness = LogHarness(seed: seed, options: .tiny)
        for life in 0..<6 {
            try harness.open()
            if life > 0 { #expect(try harness.fault(mayLoseUnsynced: true) == nil) }
            // Many, so that all slots are used several times; then few over the same slots.
            let commits = life % 2 == 0 ? 40 : 2
            for _ in 0..<commits {
                if try !harness.append() {
                    harness.disk.noteMappedBytes()
                    harness.makeDurable()
                }
            }
            if life % 2 == 0 {
                harness.crash(.power)
            } else {
                harness.crash(.process)
                try harness.open()
                #expect(try harness.fault(mayLoseUnsynced: false) == nil)
                try harness.close()
            }
        }
    }
}
