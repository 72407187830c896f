import EventLog
import Logging

/// Brings the view of a store that is being opened up to the end of its log.
struct StoreReplay {
    let engine: Engine
    let pins: Pins
    let materializer: Materializer
    let status: Status
    let alongside: Alongside
    /// The database holds everything through this sequence, so nothing up to here must be in the view.
    let watermark: UInt64
    /// Whether the database was brought forward since it was opened.
    private var hasMadeRoom = false
    /// Changes of the block that is being replayed: read, and not yet applied.
    private var changes: ReplayedChanges

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
        changes = ReplayedChanges(of: engine.view)
    }

    /// Brings the view up to the end of the log: first the commits in quarantine, then the log above the watermark.
    mutating func run() throws(StoreError) {
        guard let reader = try start() else { return }
        let readable = engine.log.readable
        var (run, next) = (
            BlockRun(reader, through: readable), BlockRun(reader, through: readable)
        )
        run.fill()
        while !run.isEmpty {
            var outcome = Result<Void, StoreError>.success(())
            alongside(next.fill) { outcome = Result { () throws(StoreError) in try replay(run) } }
            try outcome.get()
            swap(&run, &next)
        }
    }

    /// Brings back the commits in quarantine, and places a reader behind the watermark; nil if nothing must be
    /// replayed, or if a damaged log lacks the first part of that.
    private func start() throws(StoreError) -> LogReader? {
        do throws(StoreError) {
            try pins.restore(engine.sink.quarantine, of: engine)
            guard watermark < engine.log.readable else { return nil }
            do throws(LogError) {
                return try engine.log.reader(from: watermark + 1)
            } catch {
                throw StoreError(error)
            }
        } catch {
            guard let corruption = engine.log.recovery.corruption else { throw error }
            let what = StoreError.damaged(
                "\(corruption). The database does not hold all that was written before that, and the log "
                    + "cannot bring it there, so only rows in memory can be read")
            engine.configuration.logger.error(
                "the database cannot be used", metadata: ["cause": "\(error)"])
            status.update { $0.damage = "\(what)" }
            engine.sinkIsUnfit(what)
            return nil
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
            var commits = try CommitCursor(block, payload)
            while let commit = try commits.next(payload) {
                guard commit.lastSequence > watermark else { continue }
                var reader = ByteReader(commit.records)
                var sequence = commit.firstSequence
                while !reader.isAtEnd {
                    try take(try reader.record(payload), sequence, payload)
                    sequence += 1
                }
            }
            try applyChanges(payload)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .damaged("a record at sequence \(block.firstSequence) or after: \(error)")
        }
    }

    private mutating func take(
        _ record: Record, _ sequence: UInt64, _ payload: Span<UInt8>
    ) throws {
        guard let table = UInt16(exactly: record.table) else {
            throw MalformedRecord(offset: record.key.lowerBound, reason: "no such table")
        }
        let change: ChangeKind
        switch record.operation {
        case .put: change = .put
        case .patch: change = .patch
        case .add: change = .add
        case .delete: change = .delete
        case .clear:
            try applyChanges(payload)
            engine.view.forEachShard { $0.clear(table, sequence: sequence) }
            return
        case .define, .mark, .settle, .preamble:
            return
        }
        changes.append(
            change, of: record, table: table, sequence: sequence, in: payload, of: engine.view)
    }

    /// Applies the changes that were read, shard by shard: order matters only among the changes of one row, and between the
    /// changes of a table and its clear.
    private mutating func applyChanges(_ payload: Span<UInt8>) throws {
        for number in changes.shardNumbers {
            let ofShard = changes[shard: number]
            guard !ofShard.isEmpty else { continue }
            let applied =
                hasMadeRoom ? 0 : try engine.view.replay(ofShard, shard: number, in: payload)
            for change in ofShard[applied...] { try apply(change, payload) }
        }
        changes.removeAll()
    }

    private mutating func apply(_ replayed: ReplayedChange, _ payload: Span<UInt8>) throws {
        let key = payload.extracting(replayed.key)
        while try !engine.view.replay(replayed, in: payload, bounded: true) {
            guard replayed.sequence <= engine.materialized.reached else {
                try makeRoom()
                continue
            }
            // The database has passed this change meanwhile. Memory needs it only if the database refused it.
            if engine.sink.isQuarantined(UInt32(replayed.table), key: key)
                || !engine.evict(replayed.table, key)
            {
                _ = try engine.view.replay(replayed, in: payload, bounded: false)
            }
            break
        }
        // Making room may have brought the database past this change, and the change into quarantine.
        if hasMadeRoom, replayed.sequence <= engine.materialized.reached,
            !engine.sink.quarantineIsEmpty
        {
            pins.pinIfQuarantined(table: UInt32(replayed.table), key: Array(copying: key))
        }
    }

    /// Memory stays bounded while opening, too: if the changes that the database does not hold do not fit, the
    /// database is brought forward first.
    private mutating func makeRoom() throws(StoreError) {
        hasMadeRoom = true
        guard materializer.catchUp(towards: engine.log.readable) else {
            throw .database(
                "opening needs the database to take the backlog first, since it exceeds the "
                    + "memory limit (dirtyLimit), and the database does not"
                    + (status.current.sinkError.map { ": \($0)" } ?? ""))
        }
    }
}

extension Materializer {
    /// Steps until the watermark moves; false if that fails, or there is nothing to do.
    func catchUp(towards readable: UInt64) -> Bool {
        let before = watermark
        request(readable)
        // A step may end without progress, when it has only prepared the next one.
        while step() == .stepAgain {
            if watermark != before { return true }
        }
        return false
    }
}
