import EventLog
import Synchronization
import TestSupport
import Testing
import WriteBehindCore

/// A log of a table's changes on a simulated disk, a snapshotter for it, and a model: the rows after each
/// commit.
final class PastHarness {
    struct Row: Equatable {
        var values: [[UInt8]]
        var sequence: UInt64
        var time: UInt64
    }

    typealias Rows = [[UInt8]: Row]

    static let storeID = StoreID(low: 0x0102_0304_0506_0708, high: 0x1112_1314_1516_1718)
    static let layout = StoreLayout(root: "/store")
    static let definition = TableDefinition(
        id: 1,
        schema: WriteBehindCore.TableSchema(
            "thing",
            [
                .key("id", .blob), .column("a", .integer, nullable: true),
                .column("b", .blob, nullable: true),
            ]))

    var disk: SimulatedDisk
    let time = ManualTime()
    var options = LogOptions.small
    var random: SeededRandom
    var log: Log?
    var snapshotter: Snapshotter?
    let events = Events()
    /// The sequence that the sink and quarantine released.
    let needed = Locked<UInt64>(.max)
    /// Up to where a checkpoint makes it survive.
    let checkpointed = Locked<UInt64>(.max)
    var rule = RetentionRule(snapshots: 2, age: .max, bytes: .max)
    var memory = 64 << 20
    var mergeCount = 8

    /// The rows after each commit, by its last sequence; 0 is the start.
    private(set) var states: [UInt64: Rows] = [0: [:]]
    /// The time of each commit, by its last sequence.
    private(set) var times: [UInt64: UInt64] = [:]
    private(set) var rows: Rows = [:]
    private(set) var last: UInt64 = 0

    init(seed: UInt64, disk: SimulatedDisk? = nil) {
        random = SeededRandom(seed: seed)
        self.disk = disk ?? SimulatedDisk(seed: seed)
    }

    var environment: LogEnvironment {
        let salts = Locked(random)
        _ = random.next()
        return LogEnvironment(
            disk: disk, layout: Self.layout, storeID: Self.storeID, time: time,
            random: { salts.withLock { $0.next() } })
    }

    @discardableResult
    func open() throws -> Log {
        let layout = Self.layout
        for path in [layout.root, layout.log, layout.snapshots, layout.aside] {
            try disk.createDirectory(path)
        }
        for path in ["/", layout.root] { try disk.synchronizeDirectory(path) }
        let environment = environment
        let witnesses = try StoreHistory.witnesses(environment)
        let log = try Log(opening: environment, options: options, witnesses: witnesses)
        self.log = log
        var limits = Snapshotter.Limits(automaticBytes: nil, rule: rule)
        limits.memory = memory
        limits.mergeCount = mergeCount
        limits.tidyInterval = 0
        let (needed, checkpointed) = (needed, checkpointed)
        snapshotter = Snapshotter(log: log, limits: limits, observer: events) { checkpoint in
            let needed = needed.withLock { $0 }
            return checkpoint ? min(needed, checkpointed.withLock { $0 }) : needed
        }
        return log
    }

    func close() throws {
        try log?.close()
        drop()
    }

    func crash(_ kind: SimulatedDisk.Crash) {
        drop()
        disk.crash(kind, using: &random)
    }

    func drop() {
        snapshotter = nil
        log = nil
    }

    var history: StoreHistory {
        StoreHistory(environment, readable: log?.readable ?? 0)
    }

    // MARK: writing

    func define() throws {
        try append(Catalog.defineRecord(Self.definition), count: 1, flags: .define) { _, _ in }
    }

    func mark(_ name: String) throws {
        var record: [UInt8] = [Operation.mark.rawValue, 0, 0]
        record.append(varint: UInt64(name.utf8.count))
        try append(record + Array(name.utf8), count: 1, flags: .mark) { _, _ in }
    }

    /// A commit of one to three random records.
    func appendRandom(keys: Int = 12) throws {
        var records: [UInt8] = []
        var changes: [(UInt64, UInt64, inout Rows) -> Void] = []
        var present = Set(rows.keys)
        let count = Int.random(in: 1...3, using: &random)
        for index in 0..<count {
            let number = Int.random(in: 0..<keys, using: &random)
            let key = Array("k\(number)".utf8)
            let offset = UInt64(index)
            let value = Int64.random(in: -500...500, using: &random)
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                records += [Operation.clear.rawValue, 1, 0]
                present = []
                changes.append { _, _, rows in rows = [:] }
            case 1..<4:
                records += Self.record(.delete, key, [])
                present.remove(key)
                changes.append { _, _, rows in rows[key] = nil }
            case 4..<11 where present.contains(key):
                let column = Int(value & 1)
                let new = column == 0 ? Bodies.integer(value) : Bodies.blob(Int(value & 63))
                records += Self.record(.patch, key, Bodies.patch([column: new]))
                changes.append { first, time, rows in
                    rows[key]?.values[column] = new
                    rows[key]?.sequence = first + offset
                    rows[key]?.time = time
                }
            default:
                let values = [Bodies.integer(value), Bodies.blob(Int(value & 127))]
                records += Self.record(.put, key, Bodies.row(values))
                present.insert(key)
                changes.append { first, time, rows in
                    rows[key] = Row(values: values, sequence: first + offset, time: time)
                }
            }
        }
        try append(records, count: UInt32(count), flags: []) { first, rows in
            let time = self.time.wallMilliseconds()
            for change in changes { change(first, time, &rows) }
        }
        if Int.random(in: 0..<3, using: &random) == 0 { time.advance(milliseconds: 5) }
    }

    func put(_ name: String, _ value: Int64, blob: Int = 0) throws {
        let values = [Bodies.integer(value), Bodies.blob(blob)]
        let key = Array(name.utf8)
        try append(Self.record(.put, key, Bodies.row(values)), count: 1, flags: []) {
            first, rows in
            rows[key] = Row(
                values: values, sequence: first, time: self.time.wallMilliseconds())
        }
    }

    static func record(_ operation: Operation, _ key: [UInt8], _ body: [UInt8]) -> [UInt8] {
        [operation.rawValue, 1, UInt8(key.count)] + key + body
    }

    func append(
        _ records: [UInt8], count: UInt32, flags: LogFlags,
        _ model: (_ first: UInt64, inout Rows) -> Void = { _, _ in }
    ) throws {
        let log = try #require(log)
        while true {
            let outcome = try records.withUnsafeBytes {
                try log.append($0, count: count, flags: flags, time: time.wallMilliseconds())
            }
            guard case .appended(let first) = outcome else {
                flush()
                continue
            }
            model(first, &rows)
            last = first + UInt64(count) - 1
            states[last] = rows
            times[last] = time.wallMilliseconds()
            return
        }
    }

    func flush() {
        guard let flusher = log?.flusher else { return }
        while case .stepAgain = flusher.step() {}
    }

    func makeDurable() {
        guard let log, let flusher = log.flusher else { return }
        flusher.request(readable: log.lastSequence)
        flush()
    }

    // MARK: snapshots

    /// Steps the snapshotter until it has nothing to do, or fails.
    func snapshot() throws {
        let snapshotter = try #require(snapshotter)
        makeDurable()
        snapshotter.request(try #require(log).readable)
        while case .stepAgain = snapshotter.step() {}
    }

    var snapshots: [UInt64] { (try? SnapshotReader.sequences(environment)) ?? [] }
    var segments: [UInt64] { (try? LogReader.segmentBases(environment)) ?? [] }

    // MARK: checking

    static func all(_ rows: MergedRows) throws -> Rows {
        var found: Rows = [:]
        var previous: HistoryRow?
        while let row = try rows.next() {
            if let previous {
                let ascends = previous.key.lexicographicallyPrecedes(row.key)
                #expect(ascends)
            }
            previous = row
            var reader = ByteReader(0..<row.body.count)
            var values: [[UInt8]] = []
            for _ in 0..<(try reader.valueCount(row.body.span)) {
                let start = reader.offset
                try reader.skipValue(row.body.span)
                values.append(Array(row.body[start..<reader.offset]))
            }
            found[row.key] = Row(
                values: values, sequence: row.row.sequence, time: row.row.time)
        }
        return found
    }

    /// The fault of the end of history; nil if there is none.
    func fault() throws -> String? {
        guard let log else { return "not open" }
        if let corruption = log.recovery.corruption { return "corrupt: \(corruption)" }
        guard let expected = states[log.readable] else { return "ends inside a commit" }
        let found = try Self.all(history.fold(to: .end))
        return found == expected ? nil : "\(found.count) rows, \(expected.count) expected"
    }

    final class Events: Snapshotter.Observer {
        struct State {
            var taken: [SnapshotHead] = []
            var deleted: [String] = []
            var merged: [[String]] = []
            var failures: [String] = []
        }

        let state = Locked(State())

        func didTake(_ head: SnapshotHead, rows: UInt64, byteCount: Int, nanoseconds: UInt64) {
            state.withLock { $0.taken.append(head) }
        }

        func didDelete(_ path: String, byteCount: Int, reason: String) {
            state.withLock { $0.deleted.append(path) }
        }

        func didMerge(_ paths: [String]) { state.withLock { $0.merged.append(paths) } }

        func didRecover() {}

        func didFail(_ error: any Error, attempts: Int) {
            state.withLock { $0.failures.append("\(error)") }
        }
    }
}
