import EventLog
import TestSupport
import Testing

/// A block's header names the tables of its records, since it is all that is left if the content is damaged.
@Suite struct BlockTablesTests {
    private func put(_ table: UInt64) -> [UInt8] {
        var record = [Operation.put.rawValue]
        record.append(varint: table)
        return record + [1, 7, 1, ValueTag.null.rawValue]
    }

    private func append(_ tables: [UInt64], to harness: LogHarness) throws {
        _ = try tables.flatMap(put).withUnsafeBytes {
            try harness.log?.append(
                $0, count: UInt32(tables.count),
                flags: Set(tables).count > 1 ? .severalTables : [],
                time: harness.time.wallMilliseconds())
        }
    }

    private func tables(_ harness: LogHarness) throws -> [TableSet] {
        try harness.segments.flatMap { path -> [TableSet] in
            guard case .opened(let segment) = try SegmentReader.open(path, on: harness.disk)
            else { return [] }
            let found = try segment.tablesOfBlocks()
            #expect(found.allSatisfy { $0.said == $0.held })
            return found.map(\.said)
        }
    }

    private func set(_ tables: UInt32...) -> TableSet {
        var set = TableSet()
        for table in tables { set.insert(table) }
        return set
    }

    @Test func everyBlockHasItsOwn() throws {
        let harness = LogHarness()
        try harness.open()
        for commits in [[[1]], [[2, 3], [2]], [[1, 200, 1]]] as [[[UInt64]]] {
            for commit in commits { try append(commit, to: harness) }
            harness.makeDurable()
        }
        #expect(try tables(harness) == [set(1), set(2, 3), set(1, 200)])
        #expect(set(200).contains(8) && !set(200).contains(9), "modulo 64")
    }

    /// Good blocks are copied, staged commits become blocks.
    @Test func recoveryKeepsThemAndNamesThoseOfStagedCommits() throws {
        let harness = LogHarness()
        try harness.open()
        try append([1, 2], to: harness)
        harness.makeDurable()
        try append([3], to: harness)
        harness.crash(.process)
        try harness.open()
        #expect(try tables(harness) == [set(1, 2), set(3)])
    }

    /// The log takes any bytes.
    @Test func ofWhatIsNoRecordTheHeaderSaysNothing() throws {
        let harness = LogHarness()
        try harness.open()
        try append([1], to: harness)
        _ = try ([0xFF, 0xFF] as [UInt8]).withUnsafeBytes {
            try harness.log?.append($0, count: 2, flags: [], time: harness.time.wallMilliseconds())
        }
        harness.makeDurable()
        try append([1], to: harness)
        harness.makeDurable()
        let path = try #require(harness.segments.first)
        guard case .opened(let segment) = try SegmentReader.open(path, on: harness.disk) else {
            return
        }
        let count = try segment.byteCount()
        guard case .block(let first) = try segment.item(at: 128, fileByteCount: count) else {
            return
        }
        #expect(first.count == 3 && first.tables.isEmpty)
        let next = 128 + BlockHeader.byteCount + Int(first.packedLength)
        guard case .block(let second) = try segment.item(at: next, fileByteCount: count) else {
            return
        }
        #expect(second.tables == set(1), "the next block starts anew")
    }

    /// Of the blocks behind the durable one, the first is damaged in its content or in its header.
    @Test(arguments: [false, true])
    func aTornEndNamesTheTablesThatItLosesIfTheHeadersDo(isHeaderDamaged: Bool) throws {
        let harness = LogHarness()
        try harness.open()
        try append([1], to: harness)
        harness.makeDurable()
        let many = harness.options.blockSize / 6 + 1
        for table: UInt64 in 2...3 {
            try append([UInt64](repeating: table, count: many), to: harness)
        }
        harness.makeDurable()
        let path = try #require(harness.segments.first)
        guard case .opened(let segment) = try SegmentReader.open(path, on: harness.disk),
            case .block(let first) = try segment.item(
                at: SegmentHeader.byteCount, fileByteCount: try segment.byteCount())
        else { return }
        #expect(try tables(harness) == [set(1), set(2), set(3)])
        harness.crash(.process)
        let second = SegmentHeader.byteCount + BlockHeader.byteCount + Int(first.packedLength)
        try harness.disk.flip(
            path, at: second + (isHeaderDamaged ? 20 : BlockHeader.byteCount + 8))
        try harness.eraseStagedCommits()
        let judgement = try LogInspection(
            harness.environment, witnesses: [], believesSegments: true
        ).judgement
        let loss = try #require(judgement.findings.first { $0.severity == .torn }?.loss)
        #expect(loss.sequences == 2...UInt64(2 * many + 1))
        let each = UInt64(many)...UInt64(many)
        #expect(loss.tables.count(ofBit: 2) == (isHeaderDamaged ? nil : each))
        #expect(loss.tables.count(ofBit: 3) == each && loss.tables.count(ofBit: 1) == nil)
        #expect(loss.tables.isComplete == !isHeaderDamaged && loss.tables.areCertain)
    }
}
