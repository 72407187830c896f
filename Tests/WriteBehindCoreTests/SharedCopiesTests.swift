import EventLog
import Testing

@testable import WriteBehindCore

@Suite struct SharedCopiesTests {
    private var copies = SharedCopies()
    private static let key: [UInt8] = [1]

    private func likes(_ count: Int64) -> [UInt8] { RowCodec.body([.integer(count)]) }

    private mutating func add(_ amount: Int64, at sequence: UInt64) {
        let add = RowCodec.encodeAdd(
            [ColumnAmount(column: 0, amount: amount)], makesRow: true)
        copies.note(1, Self.key.span, add.span, sequence, [])
    }

    private mutating func end(_ row: [UInt8]?, asOf watermark: UInt64, at time: UInt64) {
        copies.end(1, Self.key, SharedRow(body: row, watermark: watermark), at: time, [])
    }

    private mutating func row(since time: UInt64 = 0) throws -> [UInt8]? {
        try copies.row(1, Self.key, since: time, [])?.body
    }

    @Test mutating func aCopyIsTheRowAndTheAddsAboveItsWatermark() throws {
        copies.begin(1, Self.key)
        add(1, at: 5)
        add(2, at: 7)
        end(likes(10), asOf: 5, at: 3)
        #expect(try row() == likes(12))
        add(1, at: 8)
        #expect(try row(since: 3) == likes(13))
        #expect(try row(since: 4) == nil)
    }

    @Test mutating func aRowThatIsNotThereIsMadeByAnAdd() throws {
        copies.begin(1, Self.key)
        end(nil, asOf: 5, at: 3)
        #expect(try copies.row(1, Self.key, since: 0, []) != nil)
        #expect(try row() == nil)
        add(4, at: 6)
        #expect(try row() == likes(4))
    }

    @Test mutating func theReadThatBeganLastCounts() throws {
        copies.begin(1, Self.key)
        add(1, at: 5)
        copies.begin(1, Self.key)
        end(likes(2), asOf: 5, at: 2)
        add(1, at: 6)
        end(likes(1), asOf: 4, at: 1)
        #expect(try row(since: 2) == likes(3))
    }

    @Test mutating func aReadThatFailsLeavesNothing() {
        copies.begin(1, Self.key)
        add(1, at: 5)
        copies.end(1, Self.key, nil, at: 1, [])
        #expect(copies.isEmpty)
    }

    @Test mutating func copiesTakeNoMoreThanTheirLimit() throws {
        for number in 0..<5000 {
            let key = Array("\(number)".utf8)
            copies.begin(1, key)
            let row = SharedRow(body: Array(repeating: 0, count: 100), watermark: 1)
            copies.end(1, key, row, at: 1, [])
        }
        var kept = 0
        for number in 0..<5000
        where try copies.row(1, Array("\(number)".utf8), since: 0, []) != nil { kept += 1 }
        #expect(kept > 0 && kept * 350 <= 256 << 10)
    }

    @Test mutating func whatIsAddedCountsForTheLimit() throws {
        let title = Array(repeating: UInt8(ascii: "x"), count: 10_000)
        let row = RowCodec.body([.blob(title)])
        for number in 0..<100 {
            let key = Array("\(number)".utf8)
            copies.begin(1, key)
            copies.end(1, key, SharedRow(body: nil, watermark: 1), at: 1, [])
            let patch = [1, 0] + row.dropFirst()
            let add = RowCodec.encodeAdd(puttingIfAbsent: patch.span)
            copies.note(1, key.span, add.span, UInt64(number) + 2, [])
        }
        var kept = 0
        for number in 0..<100 {
            let found = try copies.row(1, Array("\(number)".utf8), since: 0, [])
            kept += found == nil ? 0 : 1
            #expect(found == nil || found?.body == row)
        }
        #expect(kept > 0 && kept * 10_000 <= 256 << 10)
    }

    @Test mutating func aCopyThatNobodyReadsIsDropped() throws {
        copies.begin(1, Self.key)
        end(likes(0), asOf: 0, at: 1)
        for sequence in 1...9000 { add(1, at: UInt64(sequence)) }
        #expect(try row() == likes(9000))
        for sequence in 9001...20_000 { add(1, at: UInt64(sequence)) }
        #expect(copies.isEmpty)
    }

    /// Other readers may have it all the time.
    @Test mutating func aRowThatIsReadAllTheTimeGetsACopyBehindDroppedNotes() throws {
        copies.begin(1, Self.key)
        copies.begin(1, Self.key)
        for sequence in 1...30_000 { add(1, at: UInt64(sequence)) }
        copies.end(1, Self.key, nil, at: 1, [])
        copies.begin(1, Self.key)
        add(1, at: 30_001)
        end(likes(30_000), asOf: 30_000, at: 2)
        #expect(try row() == likes(30_001))
    }

    @Test mutating func aRowThatChangesTooFastGetsItsCopyLater() throws {
        copies.begin(1, Self.key)
        for sequence in 1...30_000 { add(1, at: UInt64(sequence)) }
        end(likes(0), asOf: 0, at: 1)
        #expect(copies.isEmpty)
        copies.begin(1, Self.key)
        add(1, at: 30_001)
        end(likes(30_000), asOf: 30_000, at: 2)
        #expect(try row() == likes(30_001))
    }

    @Test mutating func sumsThatNothingHoldsLeaveNoCopy() throws {
        copies.begin(1, Self.key)
        end(likes(0), asOf: 1, at: 1)
        let wide = RowCodec.encodeAdd([ColumnAmount(column: 0, amount: .max)], makesRow: true)
        var added = wide
        // Doubled until it exceeds 128 bits.
        for _ in 0..<70 {
            copies.note(1, Self.key.span, added.span, 2, [])
            var next: [UInt8] = []
            do throws(MalformedRecord) {
                try RowMerge.add(
                    added.span, isAdd: true, added.span, isAdd: true, defaults: [], into: &next)
            } catch {
                break
            }
            added = next
        }
        #expect(try row() == nil)
    }
}
