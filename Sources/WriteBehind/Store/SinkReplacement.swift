import EventLog
import Logging

/// Puts a database in the place of one that was lost while the store is open: the one that stands under its
/// name now, or one that is rebuilt. Opening decides which in the same way.
final class SinkReplacement: Sendable {
    private struct State {
        /// What users had made of a database that was put aside.
        var aside: AsideDatabase?
        var hasReplacedDamaged = false
        /// Whether a damaged one is out of the way, and the new one not there yet.
        var isReplacingDamaged = false
    }

    private let layout: StoreLayout
    private let origin: Watermark
    private let environment: StoreEnvironment
    private let engine: Engine
    private let state = Lock(State())
    private var logger: Logger { engine.configuration.logger }

    init(
        _ layout: StoreLayout, _ origin: Watermark, _ environment: StoreEnvironment,
        _ engine: Engine
    ) {
        self.layout = layout
        self.origin = origin
        self.environment = environment
        self.engine = engine
    }

    /// - Throws: what keeps a database from being opened or made; the call may be made again.
    func replace(after error: SinkError) throws -> (sink: any Sink, watermark: Watermark) {
        // Reads of it end before there is another file of its name.
        try? engine.sink.close()
        let log = engine.log
        var database = StoreOpening.Database(
            layout, log.environment.storeID, origin, environment)
        if error.kind == .corrupt, !state.withLock(\.isReplacingDamaged) {
            // Once: a disk that damages one database after the other is not to be filled with them.
            guard !state.withLock(\.hasReplacedDamaged) else { throw error }
            try database.replaceDamaged()
            state.withLock {
                $0.hasReplacedDamaged = true
                $0.isReplacingDamaged = true
                $0.aside = database.aside
            }
        } else {
            try database.open()
        }
        let rebuild = DatabaseRebuild(StoreHistory(log.environment, durable: log.durable), logger)
        try database.rebuildIfForeign(to: log, rebuild)
        if try database.watermark().sequence == 0 { try rebuild.fill(try database.get()) }
        let watermark = try database.watermark()
        state.withLock { state in
            state.isReplacingDamaged = false
            if let aside = database.aside { state.aside = aside }
        }
        let sink = try database.get()
        engine.replaceSink(with: sink, at: watermark.sequence)
        logger.warning(
            "the database was lost and another is in its place",
            metadata: [
                "cause": "\(error)", "from": "\(watermark.sequence)",
                "kept": "\(database.aside?.path ?? "nothing")",
            ])
        return (sink, watermark)
    }

    /// Makes what users had made, once the rows are there.
    func carryOver() {
        guard let aside = state.withLock({ $0.aside.take() }) else { return }
        do throws(SinkError) {
            try aside.carryOver(to: engine.sink, logger)
        } catch {
            logger.error("nothing was carried over", metadata: ["cause": "\(error)"])
        }
    }
}

extension AsideDatabase {
    /// Makes the users' indices, views and triggers in another database.
    func carryOver(to sink: any Sink, _ logger: Logger) throws(SinkError) {
        for failure in try sink.carryOver(statements) {
            logger.error(
                "could not be carried over to the rebuilt database",
                metadata: ["sql": "\(failure.statement)", "cause": "\(failure.reason)"])
        }
    }
}
