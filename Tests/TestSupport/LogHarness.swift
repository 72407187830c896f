package import EventLog

/// A clock that only a test moves.
package final class ManualTime: TimeSource {
    private let state: Locked<(wall: UInt64, monotonic: UInt64)>

    package init(wall: UInt64 = 1_700_000_000_000) {
        state = Locked((wall, 1))
    }

    package func wallMilliseconds() -> UInt64 { state.withLock { $0.wall } }
    package func monotonicNanoseconds() -> UInt64 { state.withLock { $0.monotonic } }

    package func advance(milliseconds: UInt64) {
        state.withLock {
            $0.wall += milliseconds
            $0.monotonic += milliseconds * 1_000_000
        }
    }

    /// The machine restarts, and the monotonic clock starts at its beginning.
    package func reboot() { state.withLock { $0.monotonic = 1 } }

    /// Sets the wall clock alone, as an administrator does.
    package func jump(toWall wall: UInt64) {
        state.withLock { $0.wall = wall }
    }
}

/// A log on a simulated disk, with a model of what was appended to it.
///
/// Every commit's bytes depend on a number that is never used twice, so that a commit of an earlier life
/// in the place of a later one is noticed.
package final class LogHarness {
    package struct Appended: Equatable {
        package var firstSequence: UInt64
        package var count: UInt32
        package var records: [UInt8]
    }

    package let disk: SimulatedDisk
    package let time: ManualTime
    package var options: LogOptions
    package var random: SeededRandom
    package private(set) var log: Log?
    /// The commits that the store must still have, or may have lost with the power.
    package private(set) var appended: [Appended] = []
    /// The highest sequence that was seen to be durable.
    package private(set) var acknowledged: UInt64 = 0
    private var nextUnique: UInt64 = 0
    package static let root = "/store"
    package static let storeID = StoreID(low: 0x1122_3344_5566_7788, high: 0x99AA_BBCC_DDEE_FF00)

    package init(disk: SimulatedDisk? = nil, seed: UInt64 = 1, options: LogOptions = .small) {
        self.disk = disk ?? SimulatedDisk(seed: seed)
        time = ManualTime()
        random = SeededRandom(seed: seed)
        self.options = options
    }

    /// The same store in another life: on a copy of the disk, with nothing open, and with the same expectations.
    package func copy(seed: UInt64) -> LogHarness {
        let copy = LogHarness(disk: disk.snapshot(), seed: seed, options: options)
        copy.appended = appended
        copy.acknowledged = acknowledged
        // Far from this one's numbers, so that no two commits are alike.
        copy.nextUnique = nextUnique + (seed &+ 1) << 20
        return copy
    }

    package var environment: LogEnvironment {
        let salts = Locked(random)
        _ = random.next()
        return LogEnvironment(
            disk: disk, layout: StoreLayout(root: Self.root), storeID: Self.storeID, time: time,
            random: { salts.withLock { $0.next() } })
    }

    /// Opens the log, and makes its directories if they are missing.
    @discardableResult
    package func open(witnesses: [Witness] = []) throws -> Log {
        let layout = StoreLayout(root: Self.root)
        for path in [layout.root, layout.log, layout.aside] { try disk.createDirectory(path) }
        for path in ["/", layout.root] { try disk.synchronizeDirectory(path) }
        let log = try Log(opening: environment, options: options, witnesses: witnesses)
        self.log = log
        return log
    }

    /// Appends a commit of `count` records. Returns false when staging is full.
    @discardableResult
    package func append(count: UInt32 = 1, byteCount: Int = 40) throws -> Bool {
        guard let log else { return false }
        nextUnique += 1
        let records = Self.records(unique: nextUnique, count: count, byteCount: byteCount)
        let outcome = try records.withUnsafeBytes {
            try log.append($0, count: count, flags: [], time: time.wallMilliseconds())
        }
        guard case .appended(let first) = outcome else { return false }
        appended.append(Appended(firstSequence: first, count: count, records: records))
        return true
    }

    package static func records(unique: UInt64, count: UInt32, byteCount: Int) -> [UInt8] {
        var records: [UInt8] = []
        for index in 0..<count {
            records.append(contentsOf: [Operation.put.rawValue, 1, 8])
            records.append(integer: unique)
            records.append(contentsOf: [1, ValueTag.blob.rawValue])
            records.append(varint: UInt64(byteCount))
            var filler = SeededRandom(seed: unique &* 31 &+ UInt64(index))
            for _ in 0..<byteCount {
                records.append(UInt8(truncatingIfNeeded: filler.next()) & 0x1F)
            }
        }
        return records
    }

    /// Steps the flusher until it has nothing to do.
    package func flush(steps limit: Int = .max) {
        guard let flusher = log?.flusher else { return }
        var steps = 0
        while steps < limit, case .stepAgain = flusher.step() { steps += 1 }
        noteDurable()
    }

    /// Asks for everything to be durable, and steps the flusher until it is or the log refuses.
    package func makeDurable() {
        guard let log, let flusher = log.flusher else { return }
        flusher.request(readable: log.lastSequence)
        flush()
    }

    /// Asks for everything to survive power loss, in staging or in segments, whichever costs less. Steps the flusher until
    /// it does.
    package func makeSynced() {
        guard let log, let flusher = log.flusher else { return }
        flusher.request(durable: log.lastSequence)
        flush()
    }

    package func noteDurable() {
        if let log { acknowledged = max(acknowledged, log.durable) }
    }

    package func close() throws {
        try log?.close()
        noteDurable()
        log = nil
    }

    /// The process dies, or power is lost.
    package func crash(_ kind: SimulatedDisk.Crash) {
        noteDurable()
        disk.crash(kind, using: &random)
        log = nil
    }

    /// Everything that a reader finds from the start, commit by commit.
    package static func readAll(_ log: Log) throws -> [Appended] {
        try read(try log.reader(from: 1), through: log.readable)
    }

    /// The commits that a reader has not read yet.
    package static func read(_ reader: LogReader, through readable: UInt64) throws -> [Appended] {
        var found: [Appended] = []
        while try reader.next(through: readable) {
            var commits = try reader.commits()
            while let commit = try commits.next(reader.payload.span) {
                found.append(
                    Appended(
                        firstSequence: commit.firstSequence, count: commit.count,
                        records: Array(reader.payload[commit.records])))
            }
        }
        return found
    }

    /// After a reopen: the log is a prefix of the appended commits that loses nothing acknowledged. Forgets
    /// the lost ones, since their sequences may be assigned again. Returns the fault, or nil.
    package func fault(mayLoseUnsynced: Bool) throws -> String? {
        guard let log else { return "not open" }
        if let corruption = log.recovery.corruption { return "corrupt: \(corruption)" }
        let found = try Self.readAll(log)
        guard found.count <= appended.count else {
            return "\(found.count) commits found, \(appended.count) appended"
        }
        for (index, commit) in found.enumerated() where commit != appended[index] {
            return "commit \(index) differs: found #\(commit.firstSequence)"
        }
        let end = found.last.map { $0.firstSequence + UInt64($0.count) - 1 } ?? 0
        if end < acknowledged { return "ends at \(end), \(acknowledged) was durable" }
        if !mayLoseUnsynced, found.count < appended.count {
            return "\(appended.count - found.count) commits lost without loss of power"
        }
        guard end == log.readable else { return "ends at \(end), durable says \(log.readable)" }
        appended.removeLast(appended.count - found.count)
        return nil
    }
}

extension LogOptions {
    /// Sizes that reach every limit within a few commits.
    package static var small: LogOptions {
        var options = LogOptions()
        options.slotCount = 3
        options.slotSize = 4096
        options.blockSize = 1024
        options.rawBlockBound = 4096
        options.segmentSize = 8192
        return options
    }
}
