package import EventLog
import Logging

// Building an index of a table that has rows already.
//
// A table's index is declared before the builder takes the lock of each shard once. From then on it follows all writes.
// Let `declared` be the last sequence of that moment, and `base` the database's watermark after it. The builder then visits
// every row that may have existed before:
//
// 1. the rows in quarantine, which the database does not hold as they were acknowledged;
// 2. the rows that the log changes above `base`, through `declared`: the database may get such a row after the scan has
//    passed its key, or refuse it;
// 3. the rows in the database, in the order of their keys, each page from a snapshot of its own, at `base` or later.
//
// The database is scanned last, because that takes long, and a busy store deletes log meanwhile. If the log above `base` is
// deleted before it was read, the database has got it. Then `base` is taken again, and quarantine is visited again.
//
// The entry of each row is set to what the row is *now*. This is read under its shard's lock, by the rule for reading
// a row (I5): the view's row is valid; if there is none, the database's row is valid if nothing newer has left the view
// and the table was not cleared since; otherwise the database is read again. So writes in the meantime do no harm:
// a later write to a row follows under the same lock, and a row that was deleted since is not set.
//
// A patch of a row that was not visited yet may leave a wrong entry. Visiting the row corrects it, and nothing reads the
// index before: it is ready only when all of this is done.
//
// If quarantine was retried or the database was replaced meanwhile (``Shard/sinkGeneration``), the rows that were read may
// be out of date, so the builder starts over. While a lost database is being replaced, nothing is read, not even the
// quarantine of the new one, because it differs from that of the lost one.

/// Builds the indices that are declared, one after the other. It also frees the memory that indices have given up.
package final class IndexBuilder: Sendable {
    private let engine: Engine
    private let state = Lock(State())
    /// How many rows of the database one step reads, and how many blocks of the log.
    private let (rowLimit, blockLimit): (Int, Int)

    private struct State {
        var build: IndexBuild?
        var trouble: Trouble?
        var backoff = Backoff(limit: 1_000_000_000)
    }

    /// Why an index is not ready.
    private struct Trouble: Sendable {
        var index: OrderedIndex
        var cause: String
    }

    package init(engine: Engine, rowLimit: Int = 1024, blockLimit: Int = 8) {
        self.engine = engine
        (self.rowLimit, self.blockLimit) = (rowLimit, blockLimit)
    }

    package var work: Signal { engine.indices.memory.work }

    /// The state of all indices.
    package var health: [Health.Index] {
        let trouble = state.withLock { $0.trouble }
        return engine.indices.all.map { index in
            let size = index.size
            var health = Health.Index(
                table: index.tableName, name: index.definition.name, state: .ready,
                rows: size.entries, bytes: size.bytes)
            switch index.phase {
            case .ready: break
            case .building:
                health.state = .building
                health.cause = trouble?.index === index ? trouble?.cause : nil
            case .stopped(let reason):
                (health.state, health.cause) = (.stopped, reason)
            }
            return health
        }
    }

    /// Does a part of the work.
    package func step() -> Next {
        engine.indices.memory.free()
        guard var build = takeBuild() else { return .wait(nanoseconds: nil) }
        do {
            let isDone = try build.step(engine, rowLimit, blockLimit)
            let left = isDone ? nil : build
            state.withLock { state in
                state.build = left
                state.trouble = nil
                state.backoff.reset()
            }
            if isDone {
                build.index.didBuild()
                engine.configuration.logger.info(
                    "an index is ready",
                    metadata: [
                        "table": "\(build.index.tableName)",
                        "index": "\(build.index.definition.name)",
                        "rows": "\(build.index.size.entries)",
                    ])
            }
            return build.mustWait ? .wait(nanoseconds: 1_000_000) : .stepAgain
        } catch {
            if let reason = finalReason(error) {
                build.index.stop(reason)
                return .stepAgain
            }
            return retry(build, after: error)
        }
    }

    /// Why no further try can succeed before the store is opened again; nil if one may.
    private func finalReason(_ error: any Error) -> String? {
        if case StoreError.damaged = error { return "\(error)" }
        guard let refusal = engine.log.refusal, refusal.isFinal, !(error is IndexBuild.Outdated)
        else { return nil }
        return "\(refusal)"
    }

    private func takeBuild() -> IndexBuild? {
        if let build = state.withLock({ $0.build.take() }), build.index.phase == .building {
            return build
        }
        return engine.indices.all.first { $0.phase == .building }.map { IndexBuild($0) }
    }

    private func retry(_ build: IndexBuild, after error: any Error) -> Next {
        var build = build
        if error is IndexBuild.Outdated {
            build.index.startOver()
            build = IndexBuild(build.index)
        }
        let random = engine.log.environment.random
        let wait = state.withLock { [build] state in
            state.build = build
            state.trouble = Trouble(index: build.index, cause: "\(error)")
            return state.backoff.next(random: random)
        }
        return .wait(nanoseconds: wait)
    }
}

/// How far the building of an index has come.
struct IndexBuild: Sendable {
    /// The rows that were read from the database may be out of date.
    struct Outdated: Error, CustomStringConvertible {
        var description: String {
            "quarantine was retried or the database replaced meanwhile; it starts over"
        }
    }

    private enum Place: Sendable {
        case start
        /// The last sequence that was read.
        case log(after: UInt64)
        /// The last key that was read.
        case database(after: [UInt8]?)
        case end
    }

    let index: OrderedIndex
    private var place = Place.start
    /// The last sequence when it began.
    private var declared: UInt64 = 0
    /// ``Shard/sinkGeneration`` of every shard when it began.
    private var generations: [UInt64] = []
    /// ``OrderedIndex/builds`` when it began.
    private var builds = 0
    /// Whether the builder must wait until the next part of the log is readable.
    private(set) var mustWait = false

    init(_ index: OrderedIndex) { self.index = index }

    /// Does a part; returns whether it was the last.
    mutating func step(_ engine: Engine, _ rowLimit: Int, _ blockLimit: Int) throws -> Bool {
        mustWait = false
        switch place {
        case .start:
            // Takes each shard's lock: after that, every write that did not update the index has ended, and has its sequence.
            builds = index.builds
            generations = engine.view.sinkGenerations()
            declared = engine.log.lastSequence
            try begin(engine)
        case .log(let sequence): try readLog(engine, after: sequence, blockLimit)
        case .database(let key): try scan(engine, after: key, rowLimit)
        case .end:
            guard engine.view.sinkGenerations() == generations, index.builds == builds else {
                throw Outdated()
            }
            return true
        }
        return false
    }

    /// Visits the rows in quarantine, and goes on with the log behind the database's watermark.
    private mutating func begin(_ engine: Engine) throws {
        let sink = try engine.readableSink()
        // Taken before quarantine is visited: commits through here that the database refuses are in quarantine by then.
        let base = engine.materialized.reached
        try set(sink.quarantine.keys(of: index.table), engine)
        place = .log(after: base)
    }

    // MARK: The database

    private mutating func scan(_ engine: Engine, after key: [UInt8]?, _ limit: Int) throws {
        let scanned = try engine.scan(
            index.table, columns: index.columns.places, after: key, limit: limit)
        var left: [[UInt8]] = []
        for row in scanned.rows {
            let isSet = engine.set(row.key, in: index) { shard, counted in
                shard.holdsNothingNewer(than: scanned.watermark, of: index.table, counted)
                    ? row.columns : nil
            }
            if !isSet { left.append(row.key) }
        }
        try engine.setAfterReading(left, in: index)
        if let last = scanned.rows.last, scanned.rows.count == limit {
            place = .database(after: last.key)
        } else {
            place = .end
        }
    }

    // MARK: Rows by name

    private func set(_ keys: [[UInt8]], _ engine: Engine) throws {
        let left = keys.filter { key in !engine.set(key, in: index) { _, _ in nil } }
        try engine.setAfterReading(left, in: index)
    }

    // MARK: The log

    private mutating func readLog(
        _ engine: Engine, after sequence: UInt64, _ limit: Int
    ) throws {
        guard sequence < declared else {
            place = .database(after: nil)
            return
        }
        guard engine.log.readable >= declared else {
            engine.log.flusher?.request(readable: declared)
            mustWait = true
            // A log that takes no more writes never becomes readable so far.
            if let refusal = engine.log.refusal, refusal.isFinal { throw StoreError(refusal) }
            return
        }
        guard let (keys, last) = try changedKeys(engine, after: sequence, limit) else {
            return try begin(engine)
        }
        try set(keys, engine)
        place = .log(after: last)
    }

    /// The rows that some blocks of the log change, and the last sequence in these blocks. nil if the blocks are deleted,
    /// because the database has them.
    private func changedKeys(
        _ engine: Engine, after sequence: UInt64, _ limit: Int
    ) throws -> (keys: [[UInt8]], last: UInt64)? {
        do {
            let reader = try engine.log.reader(from: sequence + 1)
            var (keys, last): (Set<[UInt8]>, UInt64) = ([], sequence)
            for _ in 0..<limit where last < declared {
                guard try reader.next(through: declared), let block = reader.block else {
                    throw StoreError.logFailed("it ends before sequence \(declared)")
                }
                last = block.nextSequence - 1
                let payload = reader.payload
                var commits = try reader.commits()
                while let commit = try commits.next(payload.span) {
                    var records = ByteReader(commit.records)
                    while !records.isAtEnd {
                        let record = try records.record(payload.span)
                        guard record.table == UInt32(index.table), record.operation.isOfRow else {
                            continue
                        }
                        keys.insert(Array(payload[record.key]))
                    }
                }
            }
            return (Array(keys), last)
        } catch let error as LogError {
            if case .deleted = error, engine.materialized.reached > sequence { return nil }
            throw StoreError(error)
        }
    }
}

extension QuarantineIndex {
    /// The keys of a table's rows that are in quarantine.
    fileprivate func keys(of table: UInt16) -> [[UInt8]] {
        held.keys.compactMap { $0.row(of: UInt32(table)) }
    }
}

extension Engine {
    /// Sets a row's entry to what the row is now.
    ///
    /// - Parameter stored: the columns that the database holds of the row, if they are still valid. Evaluated only if the
    ///   view has nothing, or counts the row; then it gets the row's place.
    /// - Returns: false, with nothing set, if the database must be read first.
    fileprivate func set(
        _ key: [UInt8], in index: OrderedIndex,
        _ stored: (borrowing Shard, RowTable.Reference?) -> [UInt8]?
    ) -> Bool {
        let hash = view.hash(table: index.table, key: key.span)
        return view.withShard(of: hash) { shard -> Bool in
            let found = shard.peek(hash, index.table, key.span)
            switch found.state {
            case .full:
                shard.withBody(found.reference) { index.set(hash, key.span, to: $0) }
            case .tombstone: index.apply(.delete, hash, key.span, Span()) {}
            case .partial where !shard.isCounted(found.reference): return false
            case .partial, .absent:
                let counted = found.state == .partial ? found.reference : nil
                guard let columns = stored(shard, counted) else { return false }
                index.set(hash, key.span, to: columns.span, isProjected: true)
            }
            return true
        }
    }

    /// The same for rows that must be read from the database. Those that are counted are read together, so that the database
    /// is waited for only once.
    fileprivate func setAfterReading(
        _ keys: [[UInt8]], in index: OrderedIndex
    ) throws(StoreError) {
        guard !keys.isEmpty else { return }
        _ = try fetchCountedBlocking(index.table, keys)
        for key in keys where !set(key, in: index, { _, _ in nil }) {
            try setAfterReading(key, in: index)
        }
    }

    private func setAfterReading(_ key: [UInt8], in index: OrderedIndex) throws(StoreError) {
        let hash = view.hash(table: index.table, key: key.span)
        while true {
            let fetched = try fetchBlocking(index.table, key)
            // Here by now, perhaps with later changes.
            if set(key, in: index, { _, _ in nil }) { return }
            let read = ReadVersion(table: index.table, key: key, version: fetched.version)
            let isSet = view.withShard(of: hash) { shard -> Bool in
                guard read.isCurrent(in: &shard, hash) else { return false }
                if let body = fetched.body {
                    index.set(hash, key.span, to: body.span)
                } else {
                    index.apply(.delete, hash, key.span, Span()) {}
                }
                return true
            }
            if isSet { return }
        }
    }
}
