import EventLog
import Logging

/// The steps between a locked directory and a store that can be used.
struct StoreOpening {
    let engine: Engine
    let pins: Pins
    let materializer: Materializer
    let snapshotter: Snapshotter
    let followers: Followers
    let secondaries: [SecondaryDatabase]
    let changeStreams: ChangeStreams
    let projections: ProjectionRegistry
    /// The tasks that wait until a write survives power loss.
    let durable = WaitList(reached: 0)
    private let layout: StoreLayout
    private let configuration: StoreConfiguration
    private let status: Status
    private var watermark: Watermark
    private let alongside: Alongside
    private let replacement: SinkReplacement

    init(
        _ layout: StoreLayout, _ store: StoreID, _ configuration: StoreConfiguration,
        _ environment: StoreEnvironment, _ status: Status, _ metrics: StoreMetrics
    ) throws(StoreError) {
        self.layout = layout
        self.configuration = configuration
        self.status = status
        followers = Followers()
        alongside = environment.alongside
        let logger = configuration.logger
        let owner = SinkOwner(layout, store, disk: environment.disk)
        projections = owner.projections
        var database = Database(owner, environment.opener)
        try database.open()
        let watermark = try database.watermark()
        let readable = WaitList(reached: 0)
        let backlog = BacklogMeter(watermark: 0, limit: max(1, configuration.backlogLimit))
        let monitor = LogMonitor(
            durable: durable, readable: readable, followers: followers, backlog: backlog,
            status: status, metrics: metrics, logger: logger)
        let log = try Self.openLog(
            LogEnvironment(
                disk: environment.disk, layout: layout, storeID: store, time: environment.time,
                random: environment.random, observer: monitor),
            configuration, watermark, quarantine: try database.get().quarantine)
        Self.report(log.recovery, status, logger)
        let rebuild = DatabaseRebuild(StoreHistory(log.environment, readable: log.readable), logger)
        if log.recovery.corruption == nil {
            try database.rebuildIfForeign(to: log, rebuild)
            if try database.watermark().sequence == 0 { try rebuild.fill(try database.get()) }
        } else if try database.watermark().sequence == 0 {
            // If the database stays empty, rows that memory gets from the log can still be read.
            try? rebuild.fill(try database.get())
        }
        self.watermark = try database.watermark()
        durable.advance(to: log.readable)
        readable.advance(to: log.readable)
        backlog.advance(to: self.watermark.sequence)
        let view = try Self.makeView(configuration, self.watermark, seed: environment.random())
        engine = Engine(
            log: log, view: view, sink: try database.get(), catalog: try Self.catalog(log),
            watermark: self.watermark.sequence, backlog: backlog, readable: readable,
            configuration: configuration, waitForRoom: environment.waitForRoom,
            reads: CountedReads(wait: environment.waitForDatabase) {
                [weak driver = environment.driver] in driver?.runDue()
            }, turns: Turns(patience: environment.turnPatience))
        for table in engine.tables.tables { engine.setDefaults(table) }
        if let corruption = log.recovery.corruption {
            // The database of a read-only store never advances.
            view.forEachShard { $0.keepSums() }
            engine.materialized.fail(.damaged("\(corruption)"))
        }
        pins = Pins(view: view)
        replacement = SinkReplacement(owner, environment.opener, engine, status)
        if log.recovery.corruption == nil { replacement.noteAside(through: log.readable) }
        materializer = Materializer(
            log: log, sink: engine.sink, watermark: self.watermark,
            limits: Materializer.Limits(configuration),
            observer: SinkMonitor(
                engine: engine, pins: pins, status: status, metrics: metrics,
                replacement: replacement),
            replacement: { [replacement] in try replacement.replace(after: $0) },
            alongside: environment.alongside)
        engine.reads.use(materializer)
        followers.add(SinkFollower(materializer) { [engine] in engine.sink })
        // Before retention begins, so that the log is kept for secondary databases that are not open yet.
        secondaries = (log.recovery.corruption == nil ? environment.secondaries : []).map {
            [alongside] in
            SecondaryDatabase($0, of: log, configuration, status, alongside: alongside)
        }
        for secondary in secondaries { followers.add(secondary) }
        do throws(LogError) {
            changeStreams = try ChangeStreams(log, limit: max(0, configuration.changeStreamLimit))
        } catch {
            throw StoreError(error)
        }
        followers.add(changeStreams)
        snapshotter = Snapshotter(
            engine: engine, followers: followers, status: status, metrics: metrics)
    }

    private static func openLog(
        _ environment: LogEnvironment, _ configuration: StoreConfiguration, _ watermark: Watermark,
        quarantine: QuarantineIndex
    ) throws(StoreError) -> Log {
        // Commits in quarantine are checked, too: damage there must be found before recovery changes the log.
        let first = quarantine.isEmpty ? .max : max(1, quarantine.lowest) - 1
        var witnesses = [Witness(name: "the database", sequence: watermark.sequence)]
        do throws(SnapshotError) {
            witnesses += try StoreHistory.witnesses(environment)
        } catch {
            throw .logFailed("\(error)")
        }
        do throws(LogError) {
            return try Log(
                opening: environment, options: LogOptions(configuration), witnesses: witnesses,
                readFrom: min(watermark.sequence, first))
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
            throw .noResources("no memory for the cache (cacheLimit): \(error)")
        }
    }

    private static func catalog(_ log: Log) throws(StoreError) -> Catalog {
        do throws(SchemaError) {
            return try Catalog(defineRecords: log.preamble.records.span)
        } catch {
            throw .schema(error)
        }
    }

    /// Brings the view up to the end of the log: first the commits in quarantine, then the log above the watermark.
    func replay() throws(StoreError) {
        var replay = StoreReplay(
            engine: engine, pins: pins, materializer: materializer, status: status,
            alongside: alongside, watermark: watermark.sequence)
        try replay.run()
        // If it fails, the materializer's first step tries again.
        try? replacement.carryOver(at: materializer.watermark)
    }
}

extension Materializer.Limits {
    package init(_ configuration: StoreConfiguration) {
        self.init(
            records: max(1, configuration.batchRecords), bytes: max(1, configuration.batchBytes),
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
