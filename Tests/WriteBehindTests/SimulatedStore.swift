import EventLog
import Logging
import TestSupport
import WriteBehind

/// A store on a simulated disk with a simulated database, stepped by a seed: no threads, no clock.
///
/// Everything that goes wrong ends up in ``faults``, with the seed; a run repeats it exactly.
final class SimulatedStore {
    static let schemas = [
        TableSchema(
            "counter",
            [
                .key("id", .integer), .column("n", .integer),
                .column("name", .text, nullable: true),
            ]),
        TableSchema("flag", [.key("id", .integer), .column("n", .integer)]),
    ]
    static let addedDefault = Value.integer(7)
    /// The first table with a column that a later version adds.
    static let extended = TableSchema(
        "counter", schemas[0].columns + [.column("extra", .integer, default: addedDefault)])
    static let keyCount: Int64 = 10

    let disk: SimulatedDisk
    let database = SimulatedDatabase()
    let time = ManualTime()
    let seed: UInt64
    var random: SeededRandom
    var model = StoreModel()
    var store: OpenStore?
    /// Everything through this sequence was said to be durable.
    var durable: UInt64 = 0
    var faults: [String] = []
    /// What happened, for reading when it went wrong.
    var trace: [String] = []
    /// An older copy of the database.
    var backup: SimulatedDatabase.Content?

    init(seed: UInt64) throws {
        self.seed = seed
        disk = SimulatedDisk(seed: seed)
        random = SeededRandom(seed: seed)
        try open()
    }

    func open() throws {
        let salts = Locked(SeededRandom(seed: random.next()))
        var configuration = StoreConfiguration()
        configuration.cacheLimit = 8 << 20
        configuration.stagingSlots = 2
        configuration.stagingSlotSize = 64 << 10
        configuration.blockSize = 256
        configuration.segmentSize = 64 << 10
        configuration.batchRecords = Int.random(in: 1...60, using: &random)
        configuration.logger.logLevel = .critical
        var environment = StoreEnvironment(
            disk: disk, time: time, random: { salts.withLock { $0.next() } },
            openSink: { [database] (_, _, origin) throws(SinkError) in database.open(origin: origin)
            },
            setAside: { [database] (path, _) throws(SinkError) in
                database.replace(with: nil)
                return AsideDatabase(path: path, statements: [], problem: nil)
            })
        environment.waitForRoom = { log, _ in
            log.flusher?.request(durable: log.lastSequence)
            _ = log.flusher?.step()
        }
        environment.alongside = { other, body in
            other()
            body()
        }
        let store = try OpenStore(
            path: "/store", configuration: configuration, environment: environment)
        self.store = store
        if let damage = store.damage { fault("damaged: \(damage)") }
        for schema in Self.schemas where store.engine.tables[schema.name] == nil {
            _ = try store.engine.declare(schema)
        }
        noteDurable()
    }

    var engine: Engine? { store?.engine }

    func fault(_ what: String) {
        faults.append("seed \(seed): \(what)")
    }

    func noteDurable() {
        if let engine { durable = max(durable, engine.log.synced) }
    }

    // MARK: values and bytes

    func schema(_ table: UInt32) -> TableSchema {
        engine?.tables[table]?.schema ?? Self.schemas[Int(table) - 1]
    }

    func row(_ table: UInt32, _ id: Int64) throws -> RowID {
        RowID(table: table, key: try KeyCodec.encode([.integer(id)], schema(table)))
    }

    /// A body's values, with the defaults of columns that it was written without.
    func values(_ body: [UInt8], _ table: UInt32) throws -> [Value] {
        try RowCodec.decodeRow(body.span, schema(table))
    }

    func completed(_ values: [Value]?, _ table: UInt32) -> [Value]? {
        let count = schema(table).valueColumns.count
        return values.map {
            $0 + [Value](repeating: Self.addedDefault, count: max(0, count - $0.count))
        }
    }

    // MARK: the ends of a life

    /// The process dies, or the power goes, and the store is opened again.
    func crash(_ kind: SimulatedDisk.Crash) throws {
        noteDurable()
        disk.crash(kind, using: &random)
        if kind == .power { database.losePower(using: &random) }
        store = nil
        try open()
        checkWhatSurvived(kind)
    }

    /// The database is lost, or an older copy takes its place, while the store is closed.
    func reopen(database content: SimulatedDatabase.Content?) throws {
        try close()
        database.replace(with: content)
        try open()
        checkWhatSurvived(.process)
    }

    func close() throws {
        try engine?.log.close()
        noteDurable()
        try engine?.sink.close()
        store?.unlock()
        store = nil
    }

    /// I2: everything acknowledged is there, and the rest is a prefix.
    private func checkWhatSurvived(_ kind: SimulatedDisk.Crash) {
        guard let engine, let recovered = store?.engine.log.recoveredEnd else { return }
        let end = recovered.nextSequence - 1
        if end < durable { fault("ends at \(end), \(durable) was durable") }
        if let last = model.commits.last?.receipt.sequence, kind == .process, end < last {
            fault("ends at \(end), \(last) was acknowledged and the power stayed")
        }
        for commit in model.commits
        where commit.receipt.firstSequence <= end && commit.receipt.sequence > end {
            fault("commit \(commit.receipt) was cut at \(end)")
        }
        model.cut(after: end)
        durable = engine.log.durable
        checkDatabase()
        checkReads()
    }

    // MARK: what must hold

    /// I3 and I4: the database is the fold up to its watermark, but for what it lists as quarantined.
    func checkDatabase() {
        guard let engine, let content = database.content else { return }
        noteDurable()
        if content.watermark.sequence > engine.log.durable {
            fault("the database is at \(content.watermark.sequence), ahead of the durable log")
        }
        let expected = model.fold(
            through: content.watermark.sequence, without: Set(content.quarantine.keys))
        for row in Set(expected.keys).union(content.rows.keys) {
            let found = content.rows[row].flatMap { try? values($0, row.table) }
            if found != completed(expected[row], row.table) {
                fault(
                    "database at \(content.watermark.sequence): \(row) is "
                        + "\(String(describing: found)), not \(String(describing: expected[row]))")
            }
        }
    }

    /// I5, I9: every row reads as the model has it.
    func checkReads() {
        for table in UInt32(1)...2 {
            for id in 0..<Self.keyCount { checkRead(table, id) }
        }
    }

    func checkRead(_ table: UInt32, _ id: Int64) {
        do {
            let row = try row(table, id)
            let found = try read(row)
            if found != completed(model.rows[row], table) {
                fault(
                    "\(table)[\(id)] reads as \(String(describing: found)), "
                        + "not \(String(describing: model.rows[row]))")
            }
        } catch {
            fault("reading \(table)[\(id)]: \(error)")
        }
    }

    func read(_ row: RowID) throws -> [Value]? {
        try engine?.fetchBlocking(UInt16(row.table), row.key)?.body.map {
            try values($0, row.table)
        }
    }
}
