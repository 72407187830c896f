import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehindCore

@Suite struct SnapshotFileTests {
    private static let path = "/store/snapshots/00000000000000000900.zst"

    /// A disk with one snapshot of 60 rows in two tables, in blocks of about 100 bytes.
    static func write(
        rows: Int = 60, firstValue: Int = 0, on disk: SimulatedDisk = SimulatedDisk(seed: 1)
    ) throws -> LogEnvironment {
        try write(Array(0..<rows), firstValue: firstValue, blockSize: 100, on: disk)
    }

    private static func write(
        _ numbers: [Int], firstValue: Int = 0, blockSize: Int,
        on disk: SimulatedDisk = SimulatedDisk(seed: 1)
    ) throws -> LogEnvironment {
        let layout = PastHarness.layout
        for path in [layout.root, layout.snapshots] { try disk.createDirectory(path) }
        let environment = LogEnvironment(
            disk: disk, layout: layout, storeID: PastHarness.storeID, time: ManualTime(),
            random: { 0x0123_4567_89AB_CDEF })
        let head = SnapshotHead(
            sequence: 900, chain: 0xFEED, time: 1_700_000_000_500, created: 1_700_000_001_000,
            previous: 300)
        let define = Catalog.defineRecord(PastHarness.definition)
        let writer = try SnapshotWriter(
            creating: path, head, preamble: try Preamble(decoding: define.span),
            blockSize: blockSize, compressionLevel: 1, in: environment)
        for number in numbers {
            let row = SnapshotRow(
                operation: .put, table: number < 40 ? 1 : 7, sequence: UInt64(number * 15 + 1),
                time: 1_700_000_000_000 + UInt64(number))
            let body = Bodies.row([Bodies.integer(Int64(firstValue + number)), Bodies.null])
            try writer.append(row, key: key(number).span, body: body.span)
        }
        try writer.finish(isDurable: true)
        return environment
    }

    private static func key(_ number: Int) -> [UInt8] { Array("key \(100 + number * 2)".utf8) }

    private func readAll(_ environment: LogEnvironment) throws -> Int {
        let reader = try SnapshotReader(of: 900, in: environment)
        var count = 0
        while try reader.next() {
            #expect(reader.row.sequence == UInt64(count * 15 + 1))
            #expect(reader.row.time == 1_700_000_000_000 + UInt64(count))
            #expect(reader.row.table == (count < 40 ? 1 : 7))
            count += 1
        }
        return count
    }

    @Test(arguments: [0, 1, 60])
    func whatIsWrittenIsReadBack(rows: Int) throws {
        let environment = try Self.write(rows: rows)
        #expect(try readAll(environment) == rows)
        let reader = try SnapshotReader(of: 900, in: environment)
        #expect(reader.rowCount == UInt64(rows))
        #expect(reader.head.previous == 300 && reader.head.chain == 0xFEED)
    }

    @Test func aRowIsFoundByItsKey() throws {
        let environment = try Self.write()
        for number in 0..<60 {
            let reader = try SnapshotReader(of: 900, in: environment)
            let isFound = try reader.find(number < 40 ? 1 : 7, Self.key(number).span)
            #expect(isFound && reader.row.sequence == UInt64(number * 15 + 1))
            let other = try SnapshotReader(of: 900, in: environment)
            let absent = Array("key \(101 + number * 2)".utf8)
            #expect(try other.find(1, absent.span) == false)
            #expect(try other.find(number < 40 ? 7 : 1, Self.key(number).span) == false)
        }
    }

    /// One row a block, some of them, or all in one; 40 and above are in another table.
    @Test(
        arguments: [1, 40, 10_000],
        [[5, 5], [5, 4], [3, 4, 5, 6, 4], [38, 39, 40, 40], [39, 40, 41, 39], [38, 45, 41]])
    func rowsOutOfOrderAreRefused(blockSize: Int, numbers: [Int]) throws {
        let environment = try Self.write(numbers, blockSize: blockSize)
        #expect(throws: SnapshotError.self) { try SnapshotReader.verify(900, in: environment) }
        let sorted = try Self.write(Set(numbers).sorted(), blockSize: blockSize)
        try SnapshotReader.verify(900, in: sorted)
    }

    @Test func everyChangedByteIsNoticed() throws {
        let environment = try Self.write(rows: 25)
        let disk = try #require(environment.disk as? SimulatedDisk)
        let bytes = try #require(disk.readAll(Self.path))
        for offset in bytes.indices {
            for mask: UInt8 in [0x01, 0x80, 0xFF] {
                var changed = bytes
                changed[offset] ^= mask
                try disk.overwrite(Self.path, changed)
                #expect(throws: SnapshotError.self, "byte \(offset)") {
                    try SnapshotReader.verify(900, in: environment)
                }
            }
        }
    }

    @Test func everyCutIsNoticed() throws {
        let environment = try Self.write(rows: 25)
        let disk = try #require(environment.disk as? SimulatedDisk)
        let bytes = try #require(disk.readAll(Self.path))
        for length in 0..<bytes.count {
            try disk.overwrite(Self.path, Array(bytes[..<length]))
            #expect(throws: SnapshotError.self, "length \(length)") {
                try SnapshotReader.verify(900, in: environment)
            }
        }
        try disk.overwrite(Self.path, bytes + [0])
        #expect(throws: SnapshotError.self) { try SnapshotReader.verify(900, in: environment) }
    }

    /// One with right checksums and numbers, as where a file was written over an older one and not all of it arrived.
    @Test func aBlockOfAnotherSnapshotIsNamedWhereItStands() throws {
        let environment = try Self.write()
        let disk = try #require(environment.disk as? SimulatedDisk)
        let bytes = try #require(disk.readAll(Self.path))
        let blocks = try SegmentReader.blocks(Self.path, disk)
        let otherDisk = SimulatedDisk(seed: 1)
        _ = try Self.write(firstValue: 1, on: otherDisk)
        let other = try #require(otherDisk.readAll(Self.path))
        for (block, otherBlock) in zip(blocks, try SegmentReader.blocks(Self.path, otherDisk))
            .dropFirst(2)  // the head, and a block that may well follow on it
        {
            var changed = bytes
            changed.replaceSubrange(block, with: other[otherBlock])
            try disk.overwrite(Self.path, changed)
            #expect {
                try SnapshotReader.verify(900, in: environment)
            } throws: { error in
                guard case SnapshotError.damaged(_, block.lowerBound, _) = error else {
                    return false
                }
                return true
            }
        }
        #expect(blocks.count > 5)
    }

    /// Only the footer shows that blocks are missing before it, and which ones belong there.
    @Test func aFooterOfAnotherSnapshotIsNoticed() throws {
        let environment = try Self.write()
        let disk = try #require(environment.disk as? SimulatedDisk)
        let bytes = try #require(disk.readAll(Self.path))
        let blocks = try SegmentReader.blocks(Self.path, disk)
        for dropped in 1...3 {
            let last = blocks[blocks.count - dropped]
            var changed = bytes
            changed.removeSubrange(last.lowerBound..<blocks[blocks.count - 1].upperBound)
            try disk.overwrite(Self.path, changed)
            #expect(throws: SnapshotError.self) { try SnapshotReader.verify(900, in: environment) }
        }
        let otherDisk = SimulatedDisk(seed: 1)
        _ = try Self.write(firstValue: 1, on: otherDisk)
        let other = try #require(otherDisk.readAll(Self.path))
        let end = try #require(SegmentReader.blocks(Self.path, otherDisk).last).upperBound
        let own = Array(bytes[..<blocks[blocks.count - 1].upperBound])
        try disk.overwrite(Self.path, own + other[end...])
        #expect(throws: SnapshotError.self) { try SnapshotReader.verify(900, in: environment) }
    }

    @Test(arguments: [["b", "a"], ["a", "a"]])
    func rowsThatDoNotAscendAreNoticed(keys: [String]) throws {
        let environment = try Self.write(rows: 1)
        let path = Self.path + ".tmp"
        let head = SnapshotHead(sequence: 900, chain: 1, time: 5, created: 6, previous: 0)
        let writer = try SnapshotWriter(
            creating: path, head, preamble: Preamble(), blockSize: 100, compressionLevel: 1,
            in: environment)
        for key in keys {
            let row = SnapshotRow(operation: .put, table: 1, sequence: 1, time: 1)
            try writer.append(row, key: Array(key.utf8).span, body: Bodies.row([]).span)
        }
        try writer.finish(isDurable: true)
        let reader = try SnapshotReader(opening: path, in: environment)
        #expect(try reader.next())
        #expect(throws: SnapshotError.self) { try reader.next() }
    }

    @Test func anotherStoresSnapshotIsRefused() throws {
        var environment = try Self.write(rows: 3)
        environment.storeID = StoreID(low: 1, high: 2)
        #expect(throws: SnapshotError.self) { try SnapshotReader(of: 900, in: environment) }
    }

    /// A file of format version 1 that must be readable for ever. Today's writer makes the same raw content:
    /// the footer's chain is over just that, with any version of zstd.
    @Test func aSnapshotOfVersionOneIsReadForEver() throws {
        let golden = try #require(
            Data(base64Encoded: Self.golden, options: .ignoreUnknownCharacters))
        let environment = try Self.write(rows: 3)
        let disk = try #require(environment.disk as? SimulatedDisk)
        let written = try #require(disk.readAll(Self.path))
        if ProcessInfo.processInfo.environment["PRINT_GOLDEN"] != nil {
            print("golden:", Data(written).base64EncodedString())
        }
        try disk.overwrite(Self.path, Array(golden))
        #expect(try readAll(environment) == 3)
        #expect(try SegmentReader.footerChain(Self.path, disk) == Self.goldenChain)
        try disk.overwrite(Self.path, written)
        #expect(try SegmentReader.footerChain(Self.path, disk) == Self.goldenChain)
    }

    private static let goldenChain: UInt64 = 0x629A_7159_8B6B_F37E
    private static let golden = """
        VypNGHgAAABXQk4x10C3CAgHBgUEAwIBGBcWFRQTEhHvzauJZ0UjAYQDAAAAAAAA7f4AAAAAAAAsAQAAAAAAAECCLRgk
        CgYAAAABAAAAAAAAAAAArQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABXKk0YSAAAAFdC
        QjEsbwmnAQAAAAAAAAABAAAACAAAAAAAAAB8AAAArQAAAAAAAAAg4SUYJAoGAErQ0Pz7ww1RyycjkHZIDoMAAAAAAAAA
        ACi1L/0krX0DACIGFh6gN40B6P+3qQO7+yxJYmE1EfIvsyrDOAlQKX/u3gHNxy4DOwFurI+glDyS7UpVSbXtd2KuWSWq
        xhOxsG9jjSeS9sumMHzJw8wATyzSNCnMIMVBALQ4JxAHAGOQ48IAwL5RcXMqA61I8icmFCJuOuFXKk0YSAAAAFdCQjHo
        1M4OAgAAAAAAAAADAAAAAAAAAAAAAAA4AAAANgAAAAAAAAAg4SUYJAoGAJRL0fLCigtVfvNri1lxmmIAAAAAAAAAACi1
        L/0kNl0BACQCgwf0AwEBB2tleSAxMDACAQAA9AbzMgIBAgDlBvI0AgEEAAIAYPO1TSbBUrptVypNGEgAAABXQkYxWfH1
        rQUAAAAAAAAAAgAAAAEAAAAAAAAAQQAAAAAAAAAAAAAAIOElGCQKBgAs/sJHrw6FuH7za4tZcZpiAAAAAAAAAABeKk0Y
        OQAAAIAAAAAAAAAAUAAAAAAAAAB8AAAArQAAAFAAAAAAAAAAOAAAADYAAABQAAAAAAAAAAYAAAAAseqSjw==
        """

    @Test func zstdAcceptsASnapshot() throws {
        let environment = try Self.write()
        let disk = try #require(environment.disk as? SimulatedDisk)
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "snapshot-\(UUID().uuidString).zst")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(try #require(disk.readAll(Self.path))).write(to: file)
        let zstd = Process()
        zstd.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        zstd.arguments = ["zstd", "-q", "-t", file.path]
        try zstd.run()
        zstd.waitUntilExit()
        #expect(zstd.terminationStatus == 0)
    }
}

extension SegmentReader {
    /// The places of the blocks of a file.
    fileprivate static func blocks(_ path: String, _ disk: SimulatedDisk) throws -> [Range<Int>] {
        guard case .opened(let reader) = try SegmentReader.open(path, on: disk) else { return [] }
        let byteCount = try #require(disk.readAll(path)).count
        var found: [Range<Int>] = []
        var offset = SegmentHeader.byteCount
        while case .block(let block) = try reader.item(at: offset, fileByteCount: byteCount) {
            let end = offset + BlockHeader.byteCount + Int(block.packedLength)
            found.append(offset..<end)
            offset = end
        }
        return found
    }

    fileprivate static func footerChain(_ path: String, _ disk: any Disk) throws -> UInt64? {
        guard case .opened(let reader) = try SegmentReader.open(path, on: disk) else { return nil }
        return try reader.footer()?.header.chain
    }
}
