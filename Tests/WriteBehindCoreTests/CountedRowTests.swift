import EventLog
import TestSupport
import Testing

@testable import WriteBehindCore

/// A shard of the view, the log and the database of one row, each stepped by hand. Rows are single integers.
private struct Counter {
    static let table: UInt16 = 1
    static let row = Array("post-1".utf8)
    let view: CacheView
    let hash: UInt64
    private(set) var last: UInt64 = 0
    /// The row after each sequence; nil where there is none.
    private(set) var rows: [Int64?]
    /// How far the database has come, and how far the view knows of it.
    private(set) var database: UInt64 = 0

    init(startingWith value: Int64?) throws {
        view = try CacheView(limit: 8 << 20, dirtyLimit: 4 << 20, watermark: 0, seed: 1)
        hash = view.hash(table: Self.table, key: Self.row.span)
        rows = [value]
    }

    static func body(_ value: Int64) -> [UInt8] { Bodies.row([Bodies.integer(value)]) }

    var now: Int64? { rows[Int(last)] }

    func onShard<R>(_ body: (inout Shard) throws -> R) throws -> R {
        try view.withShard(of: hash, body)
    }

    mutating func add(_ amount: Int64, makesRow: Bool = false) throws {
        rows.append(now.map { $0 + amount } ?? (makesRow ? amount : nil))
        last += 1
        let add = RowCodec.encodeAdd(
            [ColumnAmount(column: 0, amount: amount)], makesRow: makesRow)
        let sequence = last
        try onShard { shard in
            try shard.add(hash, Self.table, Self.row.span, add.span, sequence: sequence)
        }
    }

    mutating func put(_ value: Int64) throws {
        last += 1
        rows.append(value)
        let sequence = last
        try onShard { shard in
            shard.put(
                hash, Self.table, Self.row.span, Self.body(value).span, sequence: sequence)
        }
    }

    mutating func delete() throws {
        last += 1
        rows.append(nil)
        let sequence = last
        try onShard { $0.delete(hash, Self.table, Self.row.span, sequence: sequence) }
    }

    /// The database takes everything through `sequence`.
    mutating func materialize(through sequence: UInt64) { database = sequence }

    /// The view is told how far the database has come.
    func publish() throws {
        let database = database
        try onShard { $0.advance(to: database) }
    }

    func evict() throws -> Bool {
        try onShard { $0.evict(hash, Self.table, Self.row.span) }
    }

    func track() throws -> UInt64? { try onShard { $0.track(hash, Self.table, Self.row) } }
    func untrack() throws { try onShard { $0.untrack(Self.table, Self.row) } }

    /// What a read of the database at `watermark` gives.
    func fill(
        asOf watermark: UInt64, generation: UInt64 = 0, isJudged: Bool = false
    ) throws -> Shard.CountedFill {
        let stored = rows[Int(watermark)].map(Self.body)
        return try onShard { shard in
            try shard.fillCounted(
                hash, Self.table, Self.row, row: stored, asOf: watermark, generation: generation,
                isJudged: isJudged, deadline: nil)
        }
    }

    /// The row in memory; nil if it is not there, or has no value.
    var resident: [UInt8]? {
        view.withShard(of: hash) { shard in
            let found = shard.peek(hash, Self.table, Self.row.span)
            guard found.state == .full else { return nil }
            return shard.withBody(found.reference) { Array(copying: $0) }
        }
    }

    var isCounted: Bool {
        view.withShard(of: hash) {
            $0.isCounted($0.peek(hash, Self.table, Self.row.span).reference)
        }
    }
}

private func row(_ value: Int64?, _ sequence: UInt64?) -> Shard.CountedFill {
    .row(value.map(Counter.body), sequence: sequence)
}

@Suite struct CountedRowTests {
    @Test func aRowInMemoryIsSummedInPlace() throws {
        var counter = try Counter(startingWith: nil)
        try counter.put(5)
        try counter.add(2)
        #expect(counter.resident == Counter.body(7))
        #expect(!counter.isCounted)
    }

    @Test func aDeletedRowStaysSoUnlessTheAddMakesIt() throws {
        var counter = try Counter(startingWith: 1)
        try counter.delete()
        try counter.add(2)
        #expect(counter.resident == nil)
        #expect(!counter.isCounted)
        try counter.add(3, makesRow: true)
        #expect(counter.resident == Counter.body(3))
    }

    @Test func whatOnlyTheDatabaseHasIsCountedAndReadThere() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        #expect(counter.isCounted)
        let since = try #require(try counter.track())
        #expect(since == 1)
        counter.materialize(through: 1)
        try counter.publish()
        #expect(try counter.fill(asOf: 1) == row(11, 1))
        #expect(counter.resident == Counter.body(11))
        try counter.add(1)
        #expect(counter.resident == Counter.body(12))
    }

    /// Otherwise an add that the database does not have yet would be missing.
    @Test func aReadFromBeforeItsLastAddIsNotTaken() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        #expect(try counter.fill(asOf: 0) == .lookAgain)
        #expect(counter.isCounted)
    }

    @Test func addsThatComeWhileItIsReadCountOnce() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        for _ in 0..<6 { try counter.add(1) }
        // The database has taken three of them by now.
        counter.materialize(through: 4)
        try counter.publish()
        #expect(try counter.fill(asOf: 4) == row(17, 7))
        #expect(counter.resident == Counter.body(17))
        let isGone = try counter.evict()
        #expect(!isGone)
    }

    /// What the database has refused up to there is pinned only then.
    @Test func aWatermarkThatTheViewDoesNotKnowYetIsWaitedFor() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        counter.materialize(through: 1)
        #expect(try counter.fill(asOf: 1) == .wait(1))
        try counter.publish()
        #expect(try counter.fill(asOf: 1) == row(11, 1))
    }

    @Test func aRowInQuarantineIsReadWithWhatWasRefused() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        try counter.onShard { shard in
            let isPinned = shard.pin(counter.hash, Counter.table, Counter.row.span)
            #expect(isPinned)
        }
        counter.materialize(through: 1)
        try counter.publish()
        #expect(try counter.fill(asOf: 1) == .isQuarantined)
        #expect(try counter.fill(asOf: 1, isJudged: true) == row(11, 1))
        // It stays, because the database does not hold it so.
        let isGone = try counter.evict()
        #expect(!isGone)
    }

    @Test func aRowOfATableInQuarantineIsReadWithWhatWasRefused() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        try counter.onShard { $0.hold(Counter.table, since: 1) }
        counter.materialize(through: 1)
        try counter.publish()
        #expect(try counter.fill(asOf: 1) == .isQuarantined)
    }

    @Test func anotherDatabaseIsAskedAgain() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        counter.materialize(through: 1)
        try counter.publish()
        try counter.onShard { $0.sinkDidChange() }
        #expect(try counter.fill(asOf: 1) == .lookAgain)
        #expect(try counter.fill(asOf: 1, generation: 1) == row(11, 1))
    }

    /// The put is not among the changes that were noted.
    @Test func aPutWhileItIsReadEndsTheNoting() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        try counter.put(100)
        counter.materialize(through: 2)
        try counter.publish()
        let isGone = try counter.evict()
        #expect(isGone)
        try counter.add(1)
        #expect(try counter.fill(asOf: 2) == .lookAgain)
        counter.materialize(through: 3)
        try counter.publish()
        #expect(try counter.fill(asOf: 3) == row(101, 3))
    }

    /// Two readers share what is noted; the last one to leave ends it.
    @Test func theNotingEndsWithItsLastReader() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        _ = try counter.track()
        try counter.add(1)
        #expect(try counter.track() == 1)
        try counter.untrack()
        try counter.add(1)
        counter.materialize(through: 2)
        try counter.publish()
        #expect(try counter.fill(asOf: 2) == row(13, 3))
        try counter.untrack()
        #expect(try counter.onShard { $0.tracked.isEmpty })
    }

    @Test func aRowThatIsNotThereIsNotThere() throws {
        var counter = try Counter(startingWith: nil)
        try counter.add(1)
        _ = try counter.track()
        try counter.add(1)
        counter.materialize(through: 1)
        try counter.publish()
        #expect(try counter.fill(asOf: 1) == row(nil, 2))
        #expect(!counter.isCounted)
        try counter.add(4, makesRow: true)
        #expect(counter.resident == Counter.body(4))
    }

    /// Nothing is kept of it but what the database holds.
    @Test func aCleanCountedRowMayLeaveMemory() throws {
        var counter = try Counter(startingWith: 10)
        try counter.add(1)
        let isDirty = try counter.evict()
        #expect(!isDirty)
        counter.materialize(through: 1)
        try counter.publish()
        let isGone = try counter.evict()
        #expect(isGone)
        #expect(!counter.isCounted)
    }

    /// Neighbours are merged. What the database has of them cannot be told apart then, so it is asked again.
    @Test(arguments: [1, 20_000, 20_001, 59_999] as [UInt64])
    func whatIsNotedIsBounded(watermark: UInt64) throws {
        var counter = try Counter(startingWith: 0)
        try counter.add(1)
        _ = try counter.track()
        for _ in 0..<60_000 { try counter.add(1) }
        let size = try counter.onShard { $0.tracked.values.reduce(0) { $0 + $1.byteCount } }
        #expect(size <= TrackedRow.limit)
        counter.materialize(through: watermark)
        try counter.publish()
        let found = try counter.fill(asOf: watermark)
        if watermark == 1 || found != .lookAgain { #expect(found == row(60_001, 60_001)) }
        guard found == .lookAgain else { return }
        counter.materialize(through: 60_001)
        try counter.publish()
        #expect(try counter.fill(asOf: 60_001) == row(60_001, 60_001))
    }

    /// Any order of writes, batches, evictions and reads: a read that is answered has the row as of its last write.
    @Test func aReadIsAsOfTheLastWrite() throws {
        var answers = 0
        for seed in 0..<40 as Range<UInt64> { answers += try answered(seed: seed) }
        #expect(answers > 100)
    }

    /// - Returns: how many reads were answered.
    private func answered(seed: UInt64) throws -> Int {
        var random = SeededRandom(seed: seed)
        var counter = try Counter(startingWith: seed % 3 == 0 ? nil : 7)
        var readings: [UInt64] = []
        var (tracks, answers) = (0, 0)
        for _ in 0..<2000 {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<6:
                try counter.add(.random(in: -5...5, using: &random), makesRow: seed % 2 == 0)
            case 6 where Int.random(in: 0..<8, using: &random) == 0:
                try counter.put(.random(in: 0...99, using: &random))
            case 7 where Int.random(in: 0..<8, using: &random) == 0: try counter.delete()
            case 8, 9:
                counter.materialize(
                    through: .random(in: counter.database...counter.last, using: &random))
            case 10..<13: try counter.publish()
            case 13, 14: _ = try counter.evict()
            case 15: if try counter.track() != nil { tracks += 1 }
            case 16 where tracks > 2:
                try counter.untrack()
                tracks -= 1
            case 17: readings.append(counter.database)
            default:
                // Reads of the database may be answered late, and in another order.
                guard let watermark = readings.suffix(3).randomElement(using: &random) else {
                    continue
                }
                guard case .row(let found, _) = try counter.fill(asOf: watermark) else { continue }
                answers += 1
                if found != counter.now.map(Counter.body) { Issue.record("seed \(seed)") }
            }
            if let resident = counter.resident, resident != counter.now.map(Counter.body) {
                Issue.record("seed \(seed)")
            }
        }
        return answers
    }
}
