import EventLog
import TestSupport
import WriteBehindCore

/// Snapshots made of given bytes: read, searched, and written again.
enum FuzzSnapshot {
    private struct Row: Equatable {
        var row: SnapshotRow
        var key: [UInt8]
        var body: [UInt8]
    }

    static func run(file bytes: [UInt8]) throws -> Bool {
        guard bytes.count <= 1 << 16 else { return false }
        var bytes = bytes
        RightChecksums.inContainer(&bytes)
        let path = FuzzLog.layout.snapshot(1000)
        let disk = FuzzLog.emptyDisk.snapshot()
        try disk.overwrite(path, bytes)
        let environment = LogHarness(disk: disk).environment
        guard let (reader, rows) = try read(path, environment) else { return false }
        for row in rows.prefix(4) { try search(path, row, environment) }
        let copy = FuzzLog.layout.snapshot(1001)
        let writer = try SnapshotWriter(
            creating: copy, reader.head, preamble: reader.preamble, blockSize: 256,
            compressionLevel: 1, in: environment)
        for row in rows {
            try writer.append(row.row, key: row.key.span, body: row.body.span)
        }
        try writer.finish(isDurable: true)
        guard let (again, sameRows) = try read(copy, environment) else {
            throw FuzzFailure("a snapshot that was read and written again is refused")
        }
        try require(
            again.head == reader.head && again.preamble == reader.preamble && sameRows == rows,
            "a snapshot that was read and written again holds something else")
        return true
    }

    /// All of a file; nil if it is refused.
    private static func read(
        _ path: String, _ environment: LogEnvironment
    ) throws -> (SnapshotReader, [Row])? {
        do throws(SnapshotError) {
            let reader = try SnapshotReader(opening: path, in: environment)
            var rows: [Row] = []
            while try reader.next() {
                rows.append(
                    Row(
                        row: reader.row, key: reader.withKey(bytes), body: reader.withBody(bytes)))
            }
            try checkCount(UInt64(rows.count) == reader.rowCount)
            return (reader, rows)
        } catch {
            if case .system(let cause) = error { throw FuzzFailure("\(cause)") }
            return nil
        }
    }

    /// The footer counts the rows, and the blocks before it must be as many.
    private static func checkCount(_ holds: Bool) throws(SnapshotError) {
        if !holds {
            throw .system(SystemError(call: "count rows", path: "snapshot", code: 5))
        }
    }

    /// Looks for a row that is there. The seek table is derived and may lead astray, but not out of the file.
    private static func search(_ path: String, _ row: Row, _ environment: LogEnvironment) throws {
        do throws(SnapshotError) {
            let reader = try SnapshotReader(opening: path, in: environment)
            _ = try reader.find(row.row.table, row.key.span)
        } catch {
            if case .system(let cause) = error { throw FuzzFailure("\(cause)") }
        }
    }

    static func run(rows bytes: [UInt8]) throws -> Bool {
        guard bytes.count >= 2, bytes.count <= 1 << 15 else { return false }
        return try run(file: snapshot(of: bytes))
    }

    /// A snapshot of one block of rows.
    private static func snapshot(of input: [UInt8]) -> [UInt8] {
        let header = SegmentHeader(
            kind: .snapshot, storeID: LogHarness.storeID, salt: 7, base: 1000, chain: 5,
            other: 0, created: 1_700_000_000_000_000, rawBlockBound: 1 << 20, epoch: 0)
        let define = FuzzSeeds.define
        var schemas: [UInt8] = [Operation.preamble.rawValue, 0, 0]
        schemas.append(varint: UInt64(define.count))
        schemas += define
        let count = UInt32(input[0])
        var bytes = header.encoded()
        var table = SeekTable()
        table.append(compressed: bytes.count, decompressed: 0)
        func append(_ raw: [UInt8], first: UInt64, count: UInt32, flags: LogFlags) {
            let packed = RightChecksums.pack(raw)
            let block = BlockHeader(
                kind: .block, firstSequence: first, count: count, flags: flags, unsyncedBefore: 0,
                packedLength: UInt32(packed.count), rawLength: UInt32(raw.count), span: 0,
                time: 1_700_000_000_000_000, content: 0, chain: 0)
            bytes += block.encoded(salt: header.salt) + packed
            table.append(compressed: BlockHeader.byteCount, decompressed: 0)
            table.append(compressed: packed.count, decompressed: raw.count)
        }
        append(schemas, first: 1, count: 1, flags: .preamble)
        append(Array(input.dropFirst()), first: 2, count: max(1, count), flags: [])
        table.append(compressed: BlockHeader.byteCount, decompressed: 0)
        let seek = table.encoded()
        let footer = BlockHeader(
            kind: .footer, firstSequence: 2 + UInt64(max(1, count)), count: 2, flags: .footer,
            unsyncedBefore: 0, packedLength: UInt32(seek.count), rawLength: 0, span: 0,
            time: 1_700_000_000_000_000, content: 0, chain: 0)
        return bytes + footer.encoded(salt: header.salt) + seek
    }
}

/// A copy.
func bytes(_ span: Span<UInt8>) -> [UInt8] { span.withUnsafeBufferPointer { Array($0) } }
