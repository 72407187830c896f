import EventLog
import TestSupport
import WriteBehindCore

/// The bytes that a store writes, as inputs of the targets.
enum FuzzSeeds {
    private static let definition = TableDefinition(id: 1, schema: FuzzRow.schema)
    static let define = Catalog.defineRecord(definition)

    /// A log with a define, a mark, puts, patches, deletes and a clear, not closed.
    private static func log(commits: Int) throws -> LogHarness {
        var options = FuzzLog.options
        options.rawBlockBound = 4096
        options.slotSize = 2048
        let harness = LogHarness(disk: FuzzLog.emptyDisk.snapshot(), seed: 5, options: options)
        let log = try harness.open()
        try append(define, flags: .define, to: log, harness)
        harness.flush()
        for number in 0..<commits {
            try append(record(number), flags: .plain, to: log, harness)
            if number % 7 == 3 { harness.makeDurable() }
        }
        try append([Operation.mark.rawValue, 0, 0, 2, 0x68, 0x69], flags: .mark, to: log, harness)
        return harness
    }

    private static func append(
        _ record: [UInt8], flags: LogFlags, to log: Log, _ harness: LogHarness
    ) throws {
        while true {
            let outcome = try record.withUnsafeBytes {
                try log.append($0, count: 1, flags: flags, time: harness.time.wallMilliseconds())
            }
            harness.time.advance(milliseconds: 3)
            if case .appended = outcome { return }
            harness.flush()
        }
    }

    private static func record(_ number: Int) throws -> [UInt8] {
        let (key, row) = try RowCodec.encode(values(number % 5), FuzzRow.schema)
        let (operation, body): (Operation, [UInt8]) =
            switch number % 6 {
            case 3: (.patch, try patch(number))
            case 4: (.add, add(.max, makesRow: number == 4))
            case 5: (.delete, [])
            default: (.put, row)
            }
        if number == 9 { return [Operation.clear.rawValue, 1, 0] }
        var record: [UInt8] = [operation.rawValue, 1]
        record.append(varint: UInt64(key.count))
        return record + key + body
    }

    private static func values(_ number: Int) -> [StoredValue] {
        [
            .text("row \(number)"), .text("a\0b"), number == 2 ? .null : .integer(-3),
            .integer(Int64(number)), .real(-1.5), .blob([9, 0]), .real(Double(number)),
            number == 1 ? .null : .text("2013-01-01 10:00:00.250"),
            .blob(Array(0..<16)), .blob([0, 255]),
        ]
    }

    private static func patch(_ number: Int) throws -> [UInt8] {
        try RowCodec.encodePatch(
            [
                ColumnChange(column: 1, value: .integer(Int64(number))),
                ColumnChange(column: 4, value: .null),
            ], FuzzRow.schema)
    }

    private static func add(_ amount: Int64, makesRow: Bool) -> [UInt8] {
        RowCodec.encodeAdd([ColumnAmount(column: 1, amount: amount)], makesRow: makesRow)
    }

    /// The row with a sum that does not fit into 64 bits.
    private static func overflown(_ row: [UInt8]) throws -> [UInt8] {
        let amounts = Array(add(.max, makesRow: false).dropFirst())
        var (once, twice): ([UInt8], [UInt8]) = ([], [])
        try RowMerge.row(row.span, patch: amounts.span, defaults: [], into: &once)
        try RowMerge.row(once.span, patch: amounts.span, defaults: [], into: &twice)
        return twice
    }

    private static func segment(_ harness: LogHarness) throws -> [UInt8] {
        guard let bytes = harness.disk.readAll(FuzzLog.layout.segment(1)) else {
            throw FuzzFailure("there is no segment to start from")
        }
        return bytes
    }

    static func segments() throws -> [[UInt8]] {
        let active = try log(commits: 6)
        active.makeDurable()
        let sealed = try log(commits: 40)
        try sealed.close()
        return [try segment(active), try segment(sealed)]
    }

    /// The first blocks' payloads.
    static func payloads() throws -> [[UInt8]] {
        try segments().map { bytes in
            let header = try SegmentHeader(decoding: bytes.span)
            let rest = bytes.span.extracting(SegmentHeader.byteCount...)
            let block = try BlockHeader(decoding: rest, salt: header.salt)
            let start = SegmentHeader.byteCount + BlockHeader.byteCount
            let packed = bytes[start..<start + Int(block.packedLength)]
            guard let raw = RightChecksums.unpack(packed, rawLength: Int(block.rawLength)) else {
                throw FuzzFailure("the first block cannot be unpacked")
            }
            return [UInt8(truncatingIfNeeded: block.flags.rawValue), UInt8(block.count)] + raw
        }
    }

    /// A store that was killed with commits that only staging holds.
    private static let killedStore = Result { () throws -> SimulatedDisk in
        let harness = try log(commits: 6)
        harness.makeDurable()
        harness.crash(.process)
        try harness.open()
        for number in 0..<4 {
            if let log = harness.log {
                try append(record(number), flags: .plain, to: log, harness)
            }
        }
        harness.crash(.process)
        return harness.disk
    }

    static func killed() throws -> SimulatedDisk { try killedStore.get() }

    /// Staging of a store that is open and holds nothing, later than any epoch that a segment may have.
    static func openStaging() throws -> [UInt8] {
        let harness = try log(commits: 0)
        guard var bytes = harness.disk.readAll(FuzzLog.layout.staging) else {
            throw FuzzFailure("there is no staging file to start from")
        }
        bytes.store(integer: UInt64.max - 1, at: 48)
        RightChecksums.inStaging(&bytes)
        return bytes
    }

    static func stagings() throws -> [[UInt8]] {
        guard let bytes = try killed().readAll(FuzzLog.layout.staging) else {
            throw FuzzFailure("there is no staging file to start from")
        }
        return [Array(bytes[..<64] + bytes[StagingHeader.byteCount...])]
    }

    static func snapshots() throws -> [[UInt8]] {
        [try snapshot(rowCount: 0), try snapshot(rowCount: 12)]
    }

    private static func snapshot(rowCount: Int) throws -> [UInt8] {
        let disk = FuzzLog.emptyDisk.snapshot()
        let path = FuzzLog.layout.snapshot(1000)
        let head = SnapshotHead(
            sequence: 1000, chain: 5, time: 1_700_000_000_000, created: 1_700_000_000_000,
            previous: 0)
        let writer = try SnapshotWriter(
            creating: path, head, preamble: try Preamble(decoding: define.span), blockSize: 128,
            compressionLevel: 1, in: LogHarness(disk: disk).environment)
        for number in 0..<rowCount {
            let (key, row) = try RowCodec.encode(values(number), FuzzRow.schema)
            try writer.append(
                SnapshotRow(
                    operation: .put, table: 1, sequence: UInt64(number + 1),
                    time: 1_600_000_000_000), key: key.span, body: row.span)
        }
        try writer.finish(isDurable: true)
        return disk.readAll(path) ?? []
    }

    /// As many rows as a block of a snapshot holds, behind their count.
    static func rows() throws -> [[UInt8]] {
        var raw: [UInt8] = [3]
        for number in 0..<3 {
            let (key, row) = try RowCodec.encode(values(number), FuzzRow.schema)
            raw.append(varint: UInt64(900 - number))
            raw.append(varint: 100_000_000)
            raw += [Operation.put.rawValue, 1]
            raw.append(varint: UInt64(key.count))
            raw += key + (number == 1 ? try overflown(row) : row)
        }
        return [raw]
    }

    static func identities() -> [[UInt8]] {
        [StoreIdentity(random: (1, 2), created: 1_700_000_000_000).encoded()]
    }

    static func definitions() -> [[UInt8]] {
        let expiring = TableSchema(
            "flight",
            [
                .key("day", .text), .column("delay", .integer, nullable: true),
                .column("carrier", .text, default: .text("?")),
                .column("share", .real, default: .real(0.5)),
            ], expiry: "delay")
        return [definition.json(), TableDefinition(id: 2, schema: expiring).json()]
    }

    static func tableRows() throws -> [[UInt8]] {
        try (0..<6).map { number in
            let (key, row) = try RowCodec.encode(values(number % 3), FuzzRow.schema)
            let change =
                number < 3 ? try patch(number) : add(number == 5 ? 2 : .min, makesRow: number == 3)
            return [UInt8(key.count)] + key + [UInt8(row.count)] + row + change
        }
    }
}
