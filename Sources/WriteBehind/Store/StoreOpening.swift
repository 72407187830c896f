import EventLog
import Logging

/// The steps between a locked directory and a store that can be used.
struct StoreOpening {
    let engine: Engine
    let pins: Pins
    let materializer: Materializer
    let snapshotter: Snapshotter
    private let layout: StoreLayout
    private let configuration: StoreConfiguration
    private let status: Status
    private var watermark: Watermark
    /// What users had made of a database that was put aside.
    private var aside: AsideDatabase?

    init(
        _ layout: StoreLayout, _ store: StoreID, _ configuration: StoreConfiguration,
        _ environment: StoreEnvironment, _ status: Status, _ metrics: StoreMetrics
    ) throws(StoreError) {
        self.layout = layout
        self.configuration = configuration
        self.status = status
        let logger = configuration.logger
        let origin = Watermark(sequence: 0, chain: Chain(startOf: store).value)
        var database = Database(layout, store, origin, environment)
        try database.open()
        let watermark = try database.watermark()
        let durable = WaitList(reached: 0)
        let backlog = BacklogMeter(watermark: 0, limit: configuration.backlogLimit)
        let monitor = LogMonitor(
            durable: durable, backlog: backlog, status: status, metrics: metrics, logger: logger)
        let log = try Self.openLog(
            LogEnvironment(
                disk: environment.disk, layout: layout, storeID: store, time: environment.time,
                random: environment.random, observer: monitor),
            configuration, watermark)
        Self.report(log.recovery, status, logger)
        if log.recovery.corruption == nil {
            let rebuild = DatabaseRebuild(
                StoreHistory(log.environment, durable: log.durable), logger)
            try database.rebuildIfForeign(to: log, rebuild)
            if try database.watermark().sequence == 0 { try rebuild.fill(try database.get()) }
        }
        self.watermark = try database.watermark()
        aside = database.aside
        durable.advance(to: log.durable)
        backlog.advance(to: self.watermark.sequence)
        let view = try Self.makeView(configuration, self.watermark, seed: environment.random())
        engine = Engine(
            log: log, view: view, sink: try database.get(), catalog: try Self.catalog(log),
            watermark: self.watermark.sequence, backlog: backlog, durable: durable,
            configuration: configuration, waitForRoom: environment.waitForRoom)
        for table in engine.tables.tables { engine.setDefaults(table) }
        pins = Pins(view: view)
        let replacement = SinkReplacement(layout, origin, environment, engine)
        materializer = Materializer(
            log: log, sink: engine.sink, watermark: self.watermark,
            limits: Materializer.Limits(configuration),
            observer: SinkMonitor(
                engine: engine, pins: pins, status: status, metrics: metrics,
                replacement: replacement),
            replacement: { try replacement.replace(after: $0) })
        snapshotter = Snapshotter(
            engine: engine, materializer: materializer, status: status, metrics: metrics)
    }

    private static func openLog(
        _ environment: LogEnvironment, _ configuration: StoreConfiguration, _ watermark: Watermark
    ) throws(StoreError) -> Log {
        var witnesses = [Witness(name: "the database", sequence: watermark.sequence)]
        do throws(SnapshotError) {
            witnesses += try StoreHistory.witnesses(environment)
        } catch {
            throw .logFailed("\(error)")
        }
        do throws(LogError) {
            return try Log(
                opening: environment, options: LogOptions(configuration), witnesses: witnesses,
                readFrom: watermark.sequence)
        } catch {
            throw StoreError(error)
        }
    }

    private static func report(_ recovery: RecoveryReport, _ status: Status, _ logger: Logger) {
        if let corruption = recovery.corruption {
            logger.critical("the log is damaged", metadata: ["damage": "\(corruption)"])
            status.update {
                $0.damage = "the log is damaged, so the store is read-only: \(corruption)"
            }
        } else if recovery.wasUnclean {
            logger.notice(
                "recovered after an unclean end",
                metadata: [
                    "end": "\(recovery.end)", "fromStaging": "\(recovery.commitsFromStaging)",
                    "tornBytes": "\(recovery.tornBytes)", "keptIn": "\(recovery.cutOff)",
                ])
        }
    }

    private static func makeView(
        _ configuration: StoreConfiguration, _ watermark: Watermark, seed: UInt64
    ) throws(StoreError) -> CacheView {
        do throws(OutOfMemory) {
            return try CacheView(
                limit: configuration.cacheLimit, dirtyLimit: configuration.dirtyLimit,
                watermark: watermark.sequence, seed: seed)
        } catch {
            throw .closed("no address space for the cache: \(error)")
        }
    }

    private static func catalog(_ log: Log) throws(StoreError) -> Catalog {
        do throws(SchemaError) {
            return try Catalog(defineRecords: log.preamble.records.span)
        } catch {
            throw .schema(error)
        }
    }

    // MARK: replay

    /// Brings the view up to the end of the log: what is in quarantine, then what is above the watermark.
    mutating func replay() throws(StoreError) {
        do throws(LogError) {
            for commit in engine.sink.quarantined() { try replay(commit) }
        } catch {
            throw StoreError(error)
        }
        pins.follow(engine.sink.quarantined())
        guard watermark.sequence < engine.log.durable else { return }
        let reader: LogReader
        do throws(LogError) {
            reader = try engine.log.reader(from: watermark.sequence + 1)
        } catch {
            throw StoreError(error)
        }
        while try next(reader) {
            guard let block = reader.block else { return }
            engine.backlog.didWrite(block)
            try replay(block, reader)
        }
    }

    private func next(_ reader: LogReader) throws(StoreError) -> Bool {
        do throws(LogError) {
            return try reader.next(through: engine.log.durable)
        } catch {
            throw StoreError(error)
        }
    }

    private func replay(_ block: BlockHeader, _ reader: LogReader) throws(StoreError) {
        do {
            let payload = reader.payload.span
            var commits = try reader.commits()
            while let commit = try commits.next(payload) {
                guard commit.lastSequence > watermark.sequence else { continue }
                try apply(commit, payload)
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw .damaged("a record at sequence \(block.firstSequence) or after: \(error)")
        }
    }

    private func apply(_ commit: Commit, _ payload: Span<UInt8>) throws {
        var records = ByteReader(commit.records)
        var sequence = commit.firstSequence
        while !records.isAtEnd {
            let record = try records.record(payload)
            try makeRoom(for: record, payload)
            try engine.view.replay(record, in: payload, sequence: sequence)
            // Making room may have brought the database past this record, and the record into quarantine.
            if sequence <= engine.materialized.reached, !engine.sink.quarantineIsEmpty {
                pins.pinIfQuarantined(
                    table: record.table, key: Array(copying: payload.extracting(record.key)))
            }
            sequence += 1
        }
    }

    /// Memory stays bounded while opening, too: when what the database does not hold does not fit, the
    /// database is brought forward first.
    private func makeRoom(for record: Record, _ payload: Span<UInt8>) throws(StoreError) {
        while !engine.view.admits(record, in: payload) {
            guard advanceDatabase() else {
                throw .database(
                    "opening needs the database to take the backlog first, since it exceeds the "
                        + "memory limit (dirtyLimit), and the database does not"
                        + (status.current.sinkError.map { ": \($0)" } ?? ""))
            }
        }
    }

    /// Steps the materializer until its watermark moves; false if that fails, or there is nothing to do.
    private func advanceDatabase() -> Bool {
        let before = materializer.watermark
        materializer.request(engine.log.durable)
        // A step may only find out how to go on, without going on.
        while materializer.step() == .stepAgain {
            if materializer.watermark != before { return true }
        }
        return false
    }

    /// Puts the records of a quarantined commit into the view, whose rows only the log has.
    private func replay(_ quarantined: QuarantinedCommit) throws(LogError) {
        guard let commit = try engine.log.commit(at: quarantined.firstSequence) else { return }
        do throws(MalformedRecord) {
            var records = ByteReader(0..<commit.count)
            var sequence = quarantined.firstSequence
            while !records.isAtEnd {
                let record = try records.record(commit.span)
                try engine.view.replay(record, in: commit.span, sequence: sequence)
                sequence += 1
            }
        } catch {
            return  // it was refused by the database, and is not to be trusted more here
        }
    }

    // MARK: a database that was put aside

    /// After a database was put aside: fills the new one, then makes the users' indices, views and triggers again.
    func carryOver() throws(StoreError) {
        guard let aside else { return }
        let logger = configuration.logger
        logger.warning(
            "the database was put aside and is being rebuilt", metadata: ["kept": "\(aside.path)"])
        while materializer.watermark.sequence < engine.log.durable {
            guard advanceDatabase() else {
                throw .database(
                    "it cannot be rebuilt; its old one is \(aside.path)"
                        + (status.current.sinkError.map { ": \($0)" } ?? ""))
            }
        }
        do throws(SinkError) {
            try aside.carryOver(to: engine.sink, logger)
        } catch {
            throw StoreError(error)
        }
    }
}

extension Materializer.Limits {
    init(_ configuration: StoreConfiguration) {
        self.init(
            records: max(1, configuration.batchRecords), bytes: configuration.batchBytes,
            interval: configuration.materializeInterval.nanoseconds,
            retryLimit: configuration.retryLimit.nanoseconds)
    }
}

extension LogOptions {
    init(_ configuration: StoreConfiguration) {
        self.init()
        slotCount = max(2, configuration.stagingSlots)
        slotSize = max(4 << 10, configuration.stagingSlotSize)
        blockSize = max(1, configuration.blockSize)
        segmentSize = max(4 << 10, configuration.segmentSize)
        syncInterval = configuration.syncInterval.nanoseconds
        compressionLevel = configuration.compressionLevel
    }
}
