import EventLog
import TestSupport
import Testing
import WriteBehindCore

/// One key in a view of one shard, and short names for what a case does to it.
private struct Bench: ~Copyable {
    let view: CacheView
    let key: [UInt8]
    let hash: UInt64
    static let old = Bodies.row([Bodies.integer(1), Bodies.integer(10)])
    static let new = Bodies.row([Bodies.integer(2), Bodies.integer(20)])
    static let patch = Bodies.patch([0: Bodies.integer(3)])
    static let otherPatch = Bodies.patch([1: Bodies.integer(30)])
    static let bothPatches = Bodies.patch([0: Bodies.integer(3), 1: Bodies.integer(30)])
    static let oldPatched = Bodies.row([Bodies.integer(3), Bodies.integer(10)])

    init(watermark: UInt64 = 100) throws {
        let view = try CacheView(limit: 8 << 20, dirtyLimit: 4 << 20, watermark: watermark, seed: 1)
        let key = Array("flight-123".utf8)
        hash = view.hash(table: 1, key: key.span)
        self.view = view
        self.key = key
    }

    func perform(_ step: Step) throws {
        let key = self.key
        try view.withShard(of: hash) { shard in
            switch step {
            case .put(let sequence):
                shard.put(hash, 1, key.span, Self.new.span, sequence: sequence)
            case .putUntil(let sequence, let deadline):
                shard.put(
                    hash, 1, key.span, Self.new.span, sequence: sequence, deadline: deadline)
            case .patch(let sequence):
                try shard.patch(hash, 1, key.span, Self.patch.span, sequence: sequence)
            case .delete(let sequence): shard.delete(hash, 1, key.span, sequence: sequence)
            case .clear(let sequence): shard.clear(1, sequence: sequence)
            case .clearOther(let sequence): shard.clear(2, sequence: sequence)
            case .advance(let watermark): shard.advance(to: watermark)
            case .evict(let expected):
                let gone = shard.evict(hash, 1, key.span)
                #expect(gone == expected)
            case .pin:
                let pinned = shard.pin(hash, 1, key.span)
                #expect(pinned)
            case .unpin: shard.unpin(hash, 1, key.span)
            case .look(let now): _ = shard.lookup(hash, 1, key.span, now: now)
            }
        }
    }

    func fill(_ row: [UInt8]?, asOf watermark: UInt64) throws -> Shard.Fill {
        try view.withShard(of: hash) { shard in
            guard let row else {
                return try shard.fill(hash, 1, key.span, row: nil, asOf: watermark, generation: 0)
            }
            return try shard.fill(hash, 1, key.span, row: row.span, asOf: watermark, generation: 0)
        }
    }

    func look(now: UInt64 = 0) -> (state: RowState, sequence: UInt64, body: [UInt8]) {
        view.withShard(of: hash) { shard in
            let found = shard.lookup(hash, 1, key.span, now: now)
            guard found.reference != 0 else { return (found.state, found.sequence, []) }
            let body = shard.withBody(found.reference) { body in body.indices.map { body[$0] } }
            return (found.state, found.sequence, body)
        }
    }
}

enum Step: Sendable {
    case put(UInt64)
    case putUntil(UInt64, UInt64)
    case patch(UInt64)
    case delete(UInt64)
    case clear(UInt64)
    case clearOther(UInt64)
    case advance(UInt64)
    case evict(Bool)
    case pin
    case unpin
    case look(UInt64)
}

@Suite struct CacheViewTests {
    /// A read of the database as of a watermark, racing with what happened in the view (I5).
    @Test(
        arguments: [
            ("nothing happened", [], 100, Shard.Fill.filled),
            ("written since", [.put(101)], 100, .present),
            ("deleted since", [.delete(101)], 100, .present),
            ("deleted, materialized since", [.delete(101), .advance(101)], 100, .lookAgain),
            ("deleted, materialized before", [.delete(101), .advance(101)], 101, .filled),
            ("written, evicted since", [.put(101), .advance(101), .evict(true)], 100, .lookAgain),
            ("written, evicted before", [.put(101), .advance(105), .evict(true)], 101, .filled),
            ("expired since", [.putUntil(101, 5), .advance(101), .look(5)], 100, .lookAgain),
            ("expired before", [.putUntil(101, 5), .advance(101), .look(5)], 101, .filled),
            ("not yet expired", [.putUntil(101, 5), .advance(101), .look(4)], 101, .present),
            ("cleared since", [.clear(101)], 100, .lookAgain),
            ("cleared, materialized since", [.clear(101), .advance(101)], 100, .lookAgain),
            ("cleared before", [.clear(101), .advance(101)], 101, .filled),
            ("another table cleared since", [.clearOther(101)], 100, .filled),
            ("written and cleared since", [.put(101), .clear(102)], 101, .lookAgain),
            ("cleared, then written", [.clear(101), .put(102)], 100, .present),
            ("cleared, then patched", [.clear(101), .patch(102)], 100, .present),
            ("patched and cleared since", [.patch(101), .clear(102)], 101, .lookAgain),
            (
                "patched and cleared before", [.patch(101), .clear(102), .advance(102)], 102,
                .filled
            ),
            ("pinned and cleared before", [.put(101), .pin, .clear(102)], 102, .filled),
            ("partial", [.patch(101)], 100, .filled),
            (
                "partial since an eviction",
                [.put(101), .advance(101), .evict(true), .patch(102)], 100, .lookAgain
            ),
        ] as [(String, [Step], UInt64, Shard.Fill)])
    func fillNeverBringsBackAnOlderRow(
        what: String, steps: [Step], asOf: UInt64, expected: Shard.Fill
    ) throws {
        let bench = try Bench()
        for step in steps { try bench.perform(step) }
        let fill = try bench.fill(Bench.old, asOf: asOf)
        #expect(fill == expected, "\(what)")
    }

    @Test(
        arguments: [
            ("dirty", [.put(101), .evict(false)], RowState.full),
            ("dirty with a time to live", [.putUntil(101, 5), .look(9)], .full),
            ("clean but pinned", [.put(101), .pin, .advance(101), .evict(false)], .full),
            (
                "pinned, with a time to live", [.putUntil(101, 5), .pin, .advance(101), .look(9)],
                .full
            ),
            ("dirty tombstone", [.delete(101), .evict(false)], .tombstone),
            ("pinned tombstone", [.delete(101), .pin, .advance(200)], .tombstone),
            (
                "pinned, written again",
                [.put(101), .pin, .put(102), .advance(102), .evict(false)], .full
            ),
            ("unpinned but dirty", [.put(101), .pin, .unpin, .evict(false)], .full),
            ("cleared, not materialized", [.put(101), .clear(102)], .tombstone),
            ("cleared, then pinned", [.put(101), .clear(102), .unpin, .advance(102)], .absent),
            // The patch sets what a row needs: after the clear it makes the row.
            ("cleared, then patched", [.put(101), .clear(102), .patch(103)], .full),
            (
                "cleared and materialized, then patched",
                [.put(101), .clear(102), .advance(102), .patch(103)], .partial
            ),
            ("cleared, then deleted", [.put(101), .clear(102), .delete(103)], .tombstone),
            ("deleted, then cleared", [.delete(101), .clear(102), .advance(102)], .absent),
            (
                "unpinned and clean", [.put(101), .pin, .advance(101), .unpin, .evict(true)],
                .absent
            ),
            ("clean tombstone", [.delete(101), .advance(101)], .absent),
            ("unpinned tombstone", [.delete(101), .pin, .advance(101), .unpin], .absent),
            ("tombstone written over", [.delete(101), .put(102), .advance(101)], .full),
            ("cleared, materialized", [.put(101), .clear(102), .advance(102)], .absent),
            ("clean and expired", [.putUntil(101, 5), .advance(101)], .absent),
        ] as [(String, [Step], RowState)])
    func onlyCleanRowsLeave(what: String, steps: [Step], expected: RowState) throws {
        let bench = try Bench()
        for step in steps { try bench.perform(step) }
        #expect(bench.look(now: 9).state == expected, "\(what)")
    }

    /// Of the row that was there before, nothing is left: not in the columns that the patch does not set either.
    @Test(arguments: [Step.clear(102), .delete(102)])
    func aPatchMakesItsRowWhereThereIsNone(step: Step) throws {
        let bench = try Bench()
        for step in [.put(101), step, .patch(103)] { try bench.perform(step) }
        let found = bench.look()
        #expect(found.state == .full && found.sequence == 103)
        #expect(found.body == Bodies.row([Bodies.integer(3)]))
    }

    @Test func aPartialRowIsCompletedOverItsBase() throws {
        let bench = try Bench()
        try bench.perform(.patch(101))
        #expect(bench.look().state == .partial)
        #expect(try bench.fill(nil, asOf: 100) == .absent)
        #expect(bench.look().state == .partial)
        #expect(try bench.fill(Bench.old, asOf: 100) == .filled)
        let found = bench.look()
        #expect(found.state == .full && found.sequence == 101)
        #expect(found.body == Bench.oldPatched)
        #expect(bench.view.statistics().dirtyBytes > 0)
        try bench.perform(.advance(101))
        #expect(bench.view.statistics().dirtyBytes == 0)
    }

    @Test func whatTheDatabaseSaidBeforeItTookSomethingOutOfQuarantineIsAskedAgain() throws {
        let bench = try Bench()
        try bench.perform(.patch(101))
        bench.view.forEachShard { $0.sinkDidChange() }
        #expect(try bench.fill(Bench.old, asOf: 101) == .lookAgain)
        #expect(bench.look().state == .partial)
        try bench.perform(.put(102))
        #expect(try bench.fill(Bench.old, asOf: 101) == .present)
    }

    /// Rows in quarantine are put beneath what was written since.
    @Test(
        arguments: [
            ("gone", [], .full, 90, Bench.old),
            ("gone, a patch", [], .partial, 90, Bench.otherPatch),
            ("gone, a delete", [], .tombstone, 90, []),
            ("patched since", [.patch(101)], .full, 101, Bench.oldPatched),
            ("patch patched since", [.patch(101)], .partial, 101, Bench.bothPatches),
            ("put since", [.put(101)], .full, 101, Bench.new),
            ("deleted since", [.delete(101)], .full, 101, []),
        ] as [(String, [Step], RowState, UInt64, [UInt8])])
    func aRowInQuarantineIsBroughtBackAndStays(
        what: String, steps: [Step], state: RowState, sequence: UInt64, expected: [UInt8]
    ) throws {
        let bench = try Bench()
        for step in steps { try bench.perform(step) }
        let body = [RowState.full: Bench.old, .partial: Bench.otherPatch][state] ?? []
        try bench.view.withShard(of: bench.hash) {
            try $0.restore(bench.hash, 1, bench.key.span, state, body.span, sequence: 90)
        }
        try bench.perform(.advance(200))
        try bench.perform(.evict(false))
        #expect(bench.look().sequence == sequence && bench.look().body == expected, "\(what)")
    }

    /// A patch of an older program makes the row; the database still has the one from before the delete.
    @Test func aPatchOverADeleteInQuarantineMakesItsRow() throws {
        let bench = try Bench()
        try bench.perform(.patch(110))
        try bench.view.withShard(of: bench.hash) {
            try $0.restore(
                bench.hash, 1, bench.key.span, .tombstone, Span(), sequence: 90)
        }
        let made = Bodies.row([Bodies.integer(3)])
        #expect(bench.look().state == .full)
        #expect(bench.look().body == made)
        #expect(try bench.fill(Bench.old, asOf: 120) == .present)
    }

    @Test func aRowInQuarantineThatWasClearedSinceIsNotBroughtBack() throws {
        let bench = try Bench()
        try bench.perform(.clear(101))
        try bench.view.withShard(of: bench.hash) {
            try $0.restore(bench.hash, 1, bench.key.span, .full, Bench.old.span, sequence: 90)
        }
        #expect(bench.look().state == .tombstone && bench.look().sequence == 101)
    }

    @Test func aFilledRowHasTheWatermarkAsItsSequence() throws {
        let bench = try Bench()
        #expect(try bench.fill(Bench.old, asOf: 117) == .filled)
        #expect(bench.look().sequence == 117)
        #expect(bench.view.statistics().dirtyBytes == 0)
        try bench.perform(.put(118))
        try bench.perform(.advance(118))
        #expect(bench.view.statistics().dirtyBytes == 0)
    }

    /// Dirty bytes equal those of a model that looks at every row, as far as buckets can tell.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func dirtyBytesAreTheBytesOfDirtyRows(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let view = try CacheView(limit: 64 << 20, dirtyLimit: 48 << 20, watermark: 0, seed: seed)
        var sequence: UInt64 = 0
        var watermark: UInt64 = 0
        for _ in 0..<20_000 {
            sequence += UInt64.random(in: 1...40, using: &random)
            let key = [UInt8.random(in: 0..<200, using: &random)]
            let row = [UInt8](repeating: 0, count: Int.random(in: 1...400, using: &random))
            let hash = view.hash(table: 1, key: key.span)
            let choice = Int.random(in: 0..<100, using: &random)
            try view.withShard(of: hash) { shard in
                switch choice {
                case 0..<5: shard.delete(hash, 1, key.span, sequence: sequence)
                case 5..<10: _ = shard.pin(hash, 1, key.span)
                case 10..<20: shard.unpin(hash, 1, key.span)
                case 20..<25: shard.evict(hash, 1, key.span)
                case 25..<30:
                    _ = try shard.fill(
                        hash, 1, key.span, row: row.span, asOf: watermark, generation: 0)
                default: shard.put(hash, 1, key.span, row.span, sequence: sequence)
                }
            }
            if choice == 99 {
                watermark = UInt64.random(in: watermark...sequence, using: &random)
                view.advance(to: watermark)
            }
            #expect(view.statistics().dirtyBytes >= 0)
        }
        for key in 0..<200 as Range<UInt8> {
            let hash = view.hash(table: 1, key: [key].span)
            view.withShard(of: hash) { $0.unpin(hash, 1, [key].span) }
        }
        view.advance(to: sequence)
        #expect(view.statistics().dirtyBytes == 0, "seed \(seed)")
    }
}
