import EventLog
import TestSupport
import WriteBehindCore

/// Logs made of given bytes: opened, and if they are sound, used.
enum FuzzLog {
    static let layout = StoreLayout(root: LogHarness.root)

    static var options: LogOptions {
        var options = LogOptions()
        options.slotCount = 2
        options.slotSize = 512
        options.blockSize = 160
        options.rawBlockBound = 512
        options.segmentSize = 1 << 16
        return options
    }

    /// A store's directories and nothing in them.
    static let emptyDisk: SimulatedDisk = {
        let disk = SimulatedDisk()
        for path in [layout.root, layout.log, layout.snapshots, layout.aside] {
            try! disk.createDirectory(path)  // nothing is there yet, and nothing makes it fail
            try! disk.synchronizeDirectory("/")
            try! disk.synchronizeDirectory(layout.root)
        }
        return disk
    }()

    static func run(segment bytes: [UInt8]) throws -> Bool {
        guard bytes.count <= 1 << 16 else { return false }
        var bytes = bytes
        RightChecksums.inContainer(&bytes)
        let base = bytes.count >= 48 ? bytes.span.integer(UInt64.self, at: 40) : 1
        let disk = emptyDisk.snapshot()
        try disk.overwrite(layout.segment(base), bytes)
        if base > 1, bytes.count >= SegmentHeader.byteCount {
            let chain = bytes.span.integer(UInt64.self, at: 48)
            let start = LogEdge(
                .start, of: LogHarness.storeID, at: base - 1, chain: chain, epoch: 0)
            try disk.overwrite(layout.logStart, start.encoded())
        }
        // Without the file that shows where the log ends, more of the header counts. A bit of the time that it was made decides.
        if bytes.count <= 64 || bytes[64] & 1 == 0 {
            try disk.overwrite(layout.staging, try FuzzSeeds.openStaging())
        }
        return try use(disk)
    }

    static func run(payload bytes: [UInt8]) throws -> Bool {
        guard bytes.count >= 2, bytes.count <= 1 << 16 else { return false }
        return try run(segment: segment(of: bytes))
    }

    /// A segment of one block.
    private static func segment(of input: [UInt8]) -> [UInt8] {
        let header = SegmentHeader(
            kind: .segment, storeID: LogHarness.storeID, salt: 7, base: 1,
            chain: LogHarness.storeID.low, other: 0, created: 1_700_000_000_000_000,
            rawBlockBound: 1 << 20, epoch: 1)
        let raw = Array(input.dropFirst(2))
        let packed = RightChecksums.pack(raw)
        let block = BlockHeader(
            kind: .block, firstSequence: 1, count: max(1, UInt32(input[1])),
            flags: LogFlags(rawValue: UInt16(input[0])).subtracting(.footer),
            unsyncedBefore: 0, packedLength: UInt32(packed.count), rawLength: UInt32(raw.count),
            span: 0, time: 1_700_000_001_000_000, content: 0, chain: 0)
        return header.encoded() + block.encoded(salt: header.salt) + packed
    }

    static func run(staging bytes: [UInt8]) throws -> Bool {
        guard bytes.count >= 64, bytes.count <= 1 << 16 else { return false }
        let gap = [UInt8](repeating: 0, count: StagingHeader.byteCount - 64)
        var bytes = Array(bytes[..<64] + gap + bytes[64...])
        RightChecksums.inStaging(&bytes)
        let disk = try FuzzSeeds.killed().snapshot()
        try disk.overwrite(layout.staging, bytes)
        return try use(disk)
    }

    // MARK: using

    /// Opens the log and reads it. A sound one is continued, opened again, folded into a snapshot and merged,
    /// and must still hold what it held. Returns whether it was sound.
    private static func use(_ disk: SimulatedDisk) throws -> Bool {
        let harness = LogHarness(disk: disk, seed: 77, options: options)
        guard let before = try open(harness), let log = harness.log,
            log.recovery.corruption == nil, areRecords(before)
        else { return false }
        guard log.lastSequence > 0 || disk.readAll(layout.staging) != nil else { return false }
        try snapshot(log)
        try require(try harness.append(), "a recovered log takes no commit")
        let added = harness.appended
        harness.makeDurable()
        try require(harness.acknowledged == log.lastSequence, "a recovered log does not sync")
        try harness.close()
        let expected = before + added
        guard let again = try open(harness), let reopened = harness.log else {
            throw FuzzFailure("a log that was recovered and closed cannot be read")
        }
        try require(
            reopened.recovery.corruption == nil && again == expected,
            "a log that was recovered and closed holds something else")
        try snapshot(reopened)
        let merged = try read(reopened)
        try require(merged == expected, "a merged log holds something else")
        return true
    }

    /// Opens and reads all; nil if that is refused with an error that says so.
    private static func open(_ harness: LogHarness) throws -> [LogHarness.Appended]? {
        do throws(LogError) {
            let log: Log
            do {
                log = try harness.open()
            } catch let error as LogError {
                throw error
            } catch {
                throw .closed  // the harness throws nothing else
            }
            return try read(log)
        } catch {
            switch error {
            case .corrupt, .unsupported, .deleted: return nil
            default: throw FuzzFailure("\(error)")
            }
        }
    }

    private static func read(_ log: Log) throws(LogError) -> [LogHarness.Appended] {
        let bases = try LogReader.segmentBases(log.environment)
        let reader = try log.reader(from: bases.first ?? 1)
        do {
            return try LogHarness.read(reader, through: log.readable)
        } catch let error as LogError {
            throw error
        } catch {
            throw .corrupt(
                Corruption(
                    path: "", offset: 0, firstLost: 0, reason: "\(error)", evidence: .sealed))
        }
    }

    /// Whether all commits hold as many records as they say, walked as a replay does.
    private static func areRecords(_ commits: [LogHarness.Appended]) -> Bool {
        var catalog = Catalog()
        for commit in commits {
            let bytes = commit.records
            var reader = ByteReader(0..<bytes.count)
            var count: UInt32 = 0
            while !reader.isAtEnd {
                guard let record = try? reader.record(bytes.span) else { return false }
                if record.operation == .define {
                    try? catalog.apply(
                        define: record.table, body: bytes.span.extracting(record.body))
                }
                count += 1
            }
            if count != commit.count { return false }
        }
        return true
    }

    /// Makes a snapshot and tidies up until there is nothing to do, or that is refused.
    private static func snapshot(_ log: Log) throws {
        var limits = Snapshotter.Limits(
            automaticBytes: nil, rule: RetentionRule(snapshots: 2, age: .max, bytes: .max))
        limits.mergeCount = 2
        limits.tidyInterval = 0
        let snapshotter = Snapshotter(log: log, limits: limits, observer: Deaf()) { _ in 0 }
        if log.readable > 0 { snapshotter.request(log.readable) }
        for _ in 0..<1000 {
            guard snapshotter.step() == .stepAgain else { return }
        }
        throw FuzzFailure("the snapshotter does not come to an end")
    }

    private struct Deaf: Snapshotter.Observer {
        func didTake(_ head: SnapshotHead, rows: UInt64, byteCount: Int, nanoseconds: UInt64) {}
        func didDelete(_ path: String, byteCount: Int, reason: String) {}
        func didMerge(_ paths: [String]) {}
        func didFail(_ error: any Error, attempts: Int) {}
        func didRecover() {}
    }
}
