import EventLog
import Testing

/// A claim about a table's lost records must hold for every content that the headers allow.
@Suite struct LostTablesTests {
    private func block(_ count: UInt32, _ tables: [UInt32]) -> LostTables {
        var set = TableSet()
        for table in tables { set.insert(table) }
        return LostTables(
            of: BlockHeader(
                kind: .block, firstSequence: 1, count: count, flags: [], unsyncedBefore: 0,
                packedLength: 0, rawLength: 0, span: 0, time: 0, content: 0, chain: 0, tables: set))
    }

    /// All contents of a block: for each record its table.
    private func contents(_ count: Int, of tables: [UInt32]) -> [[UInt32]] {
        var all: [[UInt32]] = [[]]
        for _ in 0..<count { all = all.flatMap { head in tables.map { head + [$0] } } }
        return all.filter { Set($0) == Set(tables) }
    }

    private func bounds(_ counts: [Int]) -> ClosedRange<UInt64>? {
        guard let least = counts.min(), let most = counts.max() else { return nil }
        return UInt64(least)...UInt64(most)
    }

    @Test(arguments: 1...6, [[1], [1, 2], [1, 2, 3]] as [[UInt32]])
    func boundsAreThoseOfAllPossibleContents(count: Int, tables: [UInt32]) {
        let possible = contents(count, of: tables)
        guard !possible.isEmpty else { return }
        let lost = block(UInt32(count), tables)
        for table in tables {
            let whole = bounds(possible.map { content in content.count { $0 == table } })
            #expect(lost.count(ofBit: table) == whole)
            for left in 1...count {
                let part = bounds(
                    possible.map { content in content.suffix(left).count { $0 == table } })
                #expect(
                    lost.part(UInt64(left), of: UInt64(count)).count(ofBit: table) == part,
                    "\(left) of \(count)")
            }
        }
        #expect(lost.isComplete && lost.areCertain && lost.count(ofBit: 9) == nil)
    }

    @Test func lossesAddUp() {
        let both = block(5, [1, 2]).union(block(3, [2]))
        #expect(both.count(ofBit: 1) == 1...4 && both.count(ofBit: 2) == 4...7)
        #expect(both.isComplete && both.areCertain)
        let more = both.union(.unknown)
        #expect(more.count(ofBit: 1) == 1...4 && !more.isComplete)
        let parts = both.union(block(4, [3, 4]).part(1, of: 4))
        #expect(parts.count(ofBit: 3) == 0...1 && !parts.areCertain && parts.isComplete)
    }

    @Test func aHeaderThatClaimsMoreTablesThanRecordsTrapsNowhere() {
        #expect(block(1, [1, 2, 3]).count(ofBit: 2) == 1...1)
        #expect(block(0, [1]).count(ofBit: 1) == 1...1)
        #expect(!block(3, []).isComplete)
    }
}
