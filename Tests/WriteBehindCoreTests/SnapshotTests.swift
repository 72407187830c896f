import EventLog
import TestSupport
import Testing
import WriteBehindCore

@Suite struct SnapshotTests {
    /// For every k, the fold of the log up to k, with any snapshots, is the model.
    @Test(arguments: 0..<12)
    func everyPastStateIsTheFoldOfSnapshotAndLog(seed: Int) throws {
        let harness = PastHarness(seed: UInt64(seed) + 1)
        if seed % 2 == 1 { harness.memory = 600 }
        try harness.open()
        try harness.define()
        for round in 0..<120 {
            try harness.appendRandom()
            if round == 30 || round == 31 || round == 75 { try harness.snapshot() }
            if round == 50 { harness.makeDurable() }
            if round == 90 {
                try harness.close()
                try harness.open()
            }
        }
        harness.makeDurable()
        #expect(harness.events.state.withLock { $0.failures } == [])
        #expect(harness.events.state.withLock { $0.taken.count } == 3)
        #expect(harness.snapshots.count == 2, "seed \(seed)")
        for (sequence, rows) in harness.states {
            let found = try PastHarness.all(harness.history.fold(to: .sequence(sequence)))
            #expect(found == rows, "seed \(seed), sequence \(sequence)")
        }
        #expect(try harness.fault() == nil)
    }

    @Test func aPointInTimeIsTheLastCommitOfThatTimeOrBefore() throws {
        let harness = PastHarness(seed: 5)
        try harness.open()
        try harness.define()
        for round in 0..<60 {
            try harness.appendRandom()
            if round == 30 { try harness.snapshot() }
        }
        harness.makeDurable()
        for time in Set(harness.times.values) {
            let last = try #require(harness.times.filter { $0.value <= time }.keys.max())
            let found = try harness.history.fold(to: .time(time))
            #expect(found.position.sequence == last)
            #expect(try PastHarness.all(found) == harness.states[last])
        }
        #expect(try PastHarness.all(harness.history.fold(to: .time(1))).isEmpty)
    }

    @Test func aMarkNamesAPastState() throws {
        let harness = PastHarness(seed: 6)
        try harness.open()
        try harness.define()
        for _ in 0..<20 { try harness.appendRandom() }
        try harness.mark("before deploy")
        let marked = harness.last
        for _ in 0..<20 { try harness.appendRandom() }
        try harness.snapshot()
        let mark = try #require(try harness.history.marks().first)
        #expect(mark.name == "before deploy" && mark.sequence == marked)
        let found = try harness.history.fold(to: .mark("before deploy"))
        #expect(try PastHarness.all(found) == harness.states[marked])
        #expect(throws: HistoryError.self) { try harness.history.fold(to: .mark("nowhere")) }
        #expect(throws: HistoryError.self) {
            try harness.history.fold(to: .sequence(harness.last + 1))
        }
    }

    @Test func aRowAsOfASequenceIsTheOneInTheFold() throws {
        let harness = PastHarness(seed: 7)
        try harness.open()
        try harness.define()
        for round in 0..<80 {
            try harness.appendRandom()
            if round % 25 == 24 { try harness.snapshot() }
        }
        harness.makeDurable()
        for (sequence, rows) in harness.states {
            for number in 0..<12 {
                let key = Array("k\(number)".utf8)
                let found = try harness.history.row(
                    of: key, in: PastHarness.definition, asOf: .sequence(sequence))
                #expect(found?.body == rows[key].map { Bodies.row($0.values) })
                #expect(found?.row.sequence == rows[key]?.sequence)
                #expect(found?.row.time == rows[key]?.time)
            }
        }
    }

    @Test func historyTellsEveryVersionOfARow() throws {
        let harness = PastHarness(seed: 8)
        try harness.open()
        try harness.define()
        for round in 0..<80 {
            try harness.appendRandom()
            if round == 40 { try harness.snapshot() }
        }
        harness.makeDurable()
        for number in 0..<12 {
            let key = Array("k\(number)".utf8)
            let versions = try harness.history.history(of: key, in: PastHarness.definition)
            for (sequence, rows) in harness.states {
                let version = versions.last { $0.sequence <= sequence }
                #expect(version?.row == rows[key].map { Bodies.row($0.values) })
            }
        }
    }

    @Test func changesBeyondTheMemoryLimitGoThroughTemporaryFiles() throws {
        let harness = PastHarness(seed: 9)
        harness.memory = 4096
        try harness.open()
        try harness.define()
        for number in 0..<400 {
            try harness.put("key \(number % 97)", Int64(number), blob: 50)
            if number % 10 == 0 { harness.makeDurable() }
        }
        harness.disk.clearOperations()
        try harness.snapshot()
        let runs = harness.disk.operations.filter { $0.kind == .open && $0.path.contains("/run-") }
        #expect(runs.count > 4)
        #expect(try harness.fault() == nil)
        #expect(harness.disk.allFiles.allSatisfy { !$0.hasSuffix(".tmp") })
    }

    @Test(arguments: [true, false])
    func aDamagedSnapshotIsPassedOverAndNotDeleted(isBeforeOpening: Bool) throws {
        let harness = PastHarness(seed: 10)
        try harness.open()
        try harness.define()
        for _ in 0..<3 {
            for _ in 0..<20 { try harness.appendRandom() }
            try harness.snapshot()
        }
        let newest = try #require(harness.snapshots.last)
        if isBeforeOpening { harness.drop() }
        try harness.disk.flip(PastHarness.layout.snapshot(newest), at: 300)
        if isBeforeOpening {
            harness.crash(.process)
            try harness.open()
        }
        #expect(try harness.fault() == nil)
        for _ in 0..<20 { try harness.appendRandom() }
        try harness.snapshot()
        harness.time.advance(milliseconds: 60_000)
        try harness.snapshot()
        #expect(harness.snapshots.contains(newest))
        #expect(harness.snapshots.last == harness.log?.readable)
        #expect(
            try SnapshotReader(of: harness.log!.readable, in: harness.environment).head.previous
                < newest)
        #expect(try harness.fault() == nil)
    }

    @Test func aSnapshotProvesThatItsSequencesWereDurable() throws {
        let harness = PastHarness(seed: 11)
        try harness.open()
        try harness.define()
        for _ in 0..<20 { try harness.appendRandom() }
        try harness.snapshot()
        harness.drop()
        for path in harness.disk.allFiles where path.contains("/log/") {
            try harness.disk.erase(path)
        }
        try harness.disk.erase(PastHarness.layout.staging)
        harness.crash(.process)
        let log = try harness.open()
        let corruption = try #require(log.recovery.corruption)
        guard case .appliedBy(_, let sequence) = corruption.evidence else {
            Issue.record("the evidence is \(corruption.evidence)")
            return
        }
        #expect(sequence == harness.last)
    }

    @Test func aSnapshotOfAnotherHistoryIsNotUsed() throws {
        let harness = PastHarness(seed: 12)
        try harness.open()
        try harness.define()
        for _ in 0..<20 { try harness.appendRandom() }
        harness.makeDurable()
        let other = PastHarness(seed: 13)
        try other.open()
        try other.define()
        for _ in 0..<5 { try other.appendRandom() }
        while !(other.last < harness.last && harness.states[other.last] != nil) {
            try other.appendRandom()
        }
        try other.snapshot()
        let path = PastHarness.layout.snapshot(other.last)
        try harness.disk.overwrite(path, try #require(other.disk.readAll(path)))
        #expect(try harness.fault() == nil)
    }
}
