import EventLog

/// Brings the view of a store that is being opened up to the end of its log.
struct StoreReplay {
    let engine: Engine
    let pins: Pins
    let materializer: Materializer
    let status: Status
    let alongside: Alongside
    /// What the database holds already: nothing up to here has to be in the view.
    let watermark: UInt64
    /// The database was brought forward since it was opened.
    private var hasMadeRoom = false
    /// The records of the block that is being replayed.
    private var records: [ReplayedRecord] = []
    /// How many records ahead memory is fetched: about as long as a fetch takes.
    private static let ahead = 8

    init(
        engine: Engine, pins: Pins, materializer: Materializer, status: Status,
        alongside: @escaping Alongside, watermark: UInt64
    ) {
        self.engine = engine
        self.pins = pins
        self.materializer = materializer
        self.status = status
        self.alongside = alongside
        self.watermark = watermark
    }

    /// Brings the view up to the end of the log: what is in quarantine, then what is above the watermark.
    mutating func run() throws(StoreError) {
        try pins.restore(engine.sink.quarantined(), of: engine)
        guard watermark < engine.log.durable else { return }
        let reader: LogReader
        do throws(LogError) {
            reader = try engine.log.reader(from: watermark + 1)
        } catch {
            throw StoreError(error)
        }
        let durable = engine.log.durable
        var (run, next) = (
            BlockRun(reader, through: durable), BlockRun(reader, through: durable)
        )
        run.fill()
        while !run.isEmpty {
            var outcome = Result<Void, StoreError>.success(())
            alongside(next.fill) { outcome = Result { () throws(StoreError) in try replay(run) } }
            try outcome.get()
            swap(&run, &next)
        }
    }

    private mutating func replay(_ run: BlockRun) throws(StoreError) {
        for (block, payload) in zip(run.headers, run.payloads) {
            engine.backlog.didWrite(block)
            try replay(block, payload.span)
        }
        if let failure = run.failure { throw StoreError(failure) }
    }

    private mutating func replay(
        _ block: BlockHeader, _ payload: Span<UInt8>
    ) throws(StoreError) {
        do {
            try gather(block, payload)
            for index in records.indices {
                // Those ahead are fetched from memory while this one is applied.
                if index + Self.ahead < records.count {
                    engine.view.prefetch(records[index + Self.ahead])
                }
                try apply(records[index], payload)
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .damaged("a record at sequence \(block.firstSequence) or after: \(error)")
        }
    }

    private mutating func gather(
        _ block: BlockHeader, _ payload: Span<UInt8>
    ) throws(MalformedRecord) {
        records.removeAll(keepingCapacity: true)
        var commits = try CommitCursor(block, payload)
        while let commit = try commits.next(payload) {
            guard commit.lastSequence > watermark else { continue }
            var reader = ByteReader(commit.records)
            var sequence = commit.firstSequence
            while !reader.isAtEnd {
                let record = try reader.record(payload)
                records.append(
                    try ReplayedRecord(record, in: payload, sequence: sequence, of: engine.view))
                sequence += 1
            }
        }
    }

    private mutating func apply(_ replayed: ReplayedRecord, _ payload: Span<UInt8>) throws {
        let key = payload.extracting(replayed.record.key)
        while try !engine.view.replay(replayed, in: payload, bounded: true) {
            guard replayed.sequence <= engine.materialized.reached else {
                try makeRoom()
                continue
            }
            // The database came past it meanwhile: memory needs it only if it was refused.
            if engine.sink.isQuarantined(replayed.record.table, key: key)
                || !engine.evict(replayed.table, key)
            {
                _ = try engine.view.replay(replayed, in: payload, bounded: false)
            }
            break
        }
        // Making room may have brought the database past this record, and the record into quarantine.
        if hasMadeRoom, replayed.sequence <= engine.materialized.reached,
            !engine.sink.quarantineIsEmpty
        {
            pins.pinIfQuarantined(table: replayed.record.table, key: Array(copying: key))
        }
    }

    /// Memory stays bounded while opening, too: when what the database does not hold does not fit, the
    /// database is brought forward first.
    private mutating func makeRoom() throws(StoreError) {
        hasMadeRoom = true
        guard materializer.catchUp(towards: engine.log.durable) else {
            throw .database(
                "opening needs the database to take the backlog first, since it exceeds the "
                    + "memory limit (dirtyLimit), and the database does not"
                    + (status.current.sinkError.map { ": \($0)" } ?? ""))
        }
    }
}

extension Materializer {
    /// Steps until the watermark moves; false if that fails, or there is nothing to do.
    func catchUp(towards durable: UInt64) -> Bool {
        let before = watermark
        request(durable)
        // A step may only find out how to go on, without going on.
        while step() == .stepAgain {
            if watermark != before { return true }
        }
        return false
    }
}
