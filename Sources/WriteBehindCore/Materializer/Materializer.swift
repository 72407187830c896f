package import EventLog
import Synchronization

/// Replays the durable log into a sink, in order, exactly once.
///
/// It does not run by itself; a worker steps it. A step gathers whole blocks into a batch, coalesces and sorts it, and
/// applies it with its watermark in one transaction. With a backlog, the batch grows to its limits. Without one,
/// a step takes the blocks that are there. While the database takes a batch of a backlog, the next one is
/// read and folded on another processor.
///
/// - On any constraint error the batch is applied again in sequence order, with a savepoint for each commit, because
///   coalescing and sorting may have broken a constraint that the original order keeps. A commit that is still
///   refused goes to quarantine, as a whole, and all others are applied.
/// - Blocks with a `define`, `mark` or `settle` record are applied in sequence order from the start, and so are those of
///   tables that a projection follows.
/// - In sequence order, a step takes one block, so that progress is kept even if the next step fails. For projections it
///   takes as many blocks as a batch has.
/// - Projections are built between two batches, a piece at a time.
/// - If the database is gone or damaged, another one is opened or built in its place, and the log is
///   applied to that from its own watermark on.
/// - If another writer may have the store, or its directory was moved, nothing is changed any more (FencedDisk.swift).
/// - On any other error the same batch is tried again after a ``Backoff``; it is not gathered again.
package final class Materializer: Sendable {
    /// Is called after every transaction, before the next one begins.
    package protocol Observer: Sendable {
        /// Commits may have come into quarantine or left it. Called before ``didApply(_:)``: rows that were
        /// refused must stay in memory.
        func didChangeQuarantine(_ changes: QuarantineIndex.Changes)
        func didApply(_ applied: Applied)
        /// Another sink is in place, at its own watermark: perhaps behind what was applied before.
        func didReplaceSink(_ watermark: Watermark)
        /// Called at the end of every step. If some work after the replacement of a sink has failed, it is tried again here.
        func catchUp(_ watermark: Watermark) throws
        func didFail(_ error: any Error, attempts: Int)
    }

    /// Opens or makes a sink that replaces the one that failed with this error; throws if that is not possible.
    package typealias Replacement =
        @Sendable (SinkError) throws -> (sink: any Sink, watermark: Watermark)

    private struct State {
        var sink: any Sink
        var watermark: Watermark
        /// Why the sink must be replaced before anything else is done.
        var lost: SinkError?
        var reader: LogReader?
        var batch: ChangeBatch?
        /// A batch that was applied. The batch after this one takes its memory.
        var spare: ChangeBatch?
        /// Up to here, commits are applied one by one in sequence order.
        var orderedThrough: UInt64 = 0
        var backoff: Backoff
        var retryAt: UInt64 = 0
        var lastApplied: UInt64 = 0
        /// Up to this time, nothing is applied that a projection would miss.
        var heldUntil: UInt64
        var missedAdds = MissedAdds()
        /// Steps since a piece of a projection was built.
        var stepsBesideBuilding = 0
    }

    /// For this many nanoseconds after opening, nothing is applied that a projection would miss, so that the program can
    /// declare its projections before. The wait ends early if a caller waits for the database.
    package static let declarationTime: UInt64 = 3_000_000_000
    /// With a backlog, a piece of a projection is built after this many steps, so that the backlog does not hold it up.
    private static let buildingShare = 16

    /// The longest pause while another process has a lock on the database, nanoseconds.
    private static let lockPause: UInt64 = 250_000_000

    private let state: Lock<State>
    private let retries = Lock<Void>(())
    private let log: any FollowedLog
    private let replacement: Replacement?
    private let limits: Limits
    private let observer: any Observer
    private let reported = Lock<(sink: any Sink, error: SinkError)?>(nil)
    /// Runs its first argument while the second runs. A simulation runs one before the other.
    private let alongside: Alongside
    private let wanted = Atomic<UInt64>(0)
    /// Raised when there is something to do.
    package let work: Signal

    package init(
        log: any FollowedLog, sink: any Sink, watermark: Watermark, limits: Limits,
        observer: any Observer, replacement: Replacement? = nil,
        alongside: @escaping Alongside = Worker.alongside, work: Signal = Signal()
    ) {
        self.work = work
        self.alongside = alongside
        self.log = log
        self.replacement = replacement
        self.limits = limits
        self.observer = observer
        state = Lock(
            State(
                sink: sink, watermark: watermark, backoff: Backoff(limit: limits.retryLimit),
                heldUntil: log.environment.time.monotonicNanoseconds() + Self.declarationTime))
    }

    package var watermark: Watermark { state.withLock { $0.watermark } }

    /// Requests that `sequence` is applied as soon as possible, without waiting for the interval.
    package func request(_ sequence: UInt64) {
        wanted.max(sequence, ordering: .relaxed)
        work.raise()
    }

    /// Runs `body` between two steps: only one at a time may change the sink.
    package func exclusively<R, E: Error>(
        _ body: () throws(E) -> sending R
    ) throws(E) -> sending R {
        try state.withLock { (state) throws(E) in
            let tables = state.sink.tables
            // What was gathered has the defaults of columns as they were before.
            defer { if state.sink.tables != tables { forget(&state) } }
            return try body()
        }
    }

    /// ``exclusively(_:)``, or nil, with nothing done, while a step runs.
    package func exclusivelyIfIdle<R, E: Error>(
        _ body: () throws(E) -> sending R
    ) throws(E) -> sending R? {
        try state.withLockIfAvailable { (_) throws(E) in try body() }
    }

    /// Runs `body` while no other retry of quarantine runs: otherwise one might apply what the other has found refused.
    package func whileNoOtherRetries<R, E: Error>(
        _ body: () throws(E) -> sending R
    ) throws(E) -> sending R {
        try retries.withLock { (_) throws(E) in try body() }
    }

    /// Requests a new sink after a failed read. Does not wait for a step to end.
    package func replace(_ sink: any Sink, after error: SinkError) {
        reported.withLock { $0 = (sink, error) }
        work.raise()
    }

    /// Does one piece of work.
    package func step() -> Next {
        state.withLock { state in
            let now = log.environment.time.monotonicNanoseconds()
            if now < state.retryAt { return .wait(nanoseconds: state.retryAt - now) }
            do {
                // The database is opened by its name, which may belong to another store by now.
                guard isOwn() else { return .wait(nanoseconds: nil) }
                try replaceLostSink(&state)
                var next = try advance(&state, now: now)
                try observer.catchUp(state.watermark)
                next = try buildProjections(&state, after: next)
                state.backoff.reset()
                return next
            } catch {
                if let error = error as? SinkError, error.callsForReplacement {
                    state.lost = error
                }
                let random = log.environment.random
                var pause = state.backoff.next { random() }
                // Trying for a lock costs next to nothing, and the lock may be free at any moment.
                if (error as? SinkError)?.kind == .busy { pause = min(pause, Self.lockPause) }
                state.retryAt = now + pause
                observer.didFail(error, attempts: state.backoff.attempts)
                return .wait(nanoseconds: pause)
            }
        }
    }

    /// Whether this process still owns the store. If not, the log has reported the error, and nothing is tried again.
    private func isOwn() -> Bool {
        do throws(LogError) {
            try log.checkFence()
            return true
        } catch {
            return false
        }
    }

    private func replaceLostSink(_ state: inout State) throws {
        if let (sink, error) = reported.withLock({ $0.take() }), sink === state.sink {
            state.lost = error
            observer.didFail(error, attempts: 1)
        }
        guard let lost = state.lost, let replacement else { return }
        (state.sink, state.watermark) = try replacement(lost)
        state.lost = nil
        forget(&state)
        state.orderedThrough = 0
        observer.didReplaceSink(state.watermark)
    }

    private func buildProjections(_ state: inout State, after next: Next) throws -> Next {
        state.stepsBesideBuilding += 1
        guard next != .stepAgain || state.stepsBesideBuilding >= Self.buildingShare else {
            return next
        }
        state.stepsBesideBuilding = 0
        return next.sooner(try state.sink.buildProjections())
    }

    private func advance(_ state: inout State, now: UInt64) throws -> Next {
        let readable = log.readable
        guard state.watermark.sequence < readable else {
            return .wait(nanoseconds: try state.sink.look())
        }
        if now < state.heldUntil, wanted.load(ordering: .relaxed) <= state.watermark.sequence,
            state.sink.awaitsProjections
        {
            return .wait(nanoseconds: state.heldUntil - now)
        }
        let due = state.lastApplied + limits.interval
        if now < due, wanted.load(ordering: .relaxed) <= state.watermark.sequence,
            readable - state.watermark.sequence < UInt64(limits.records)
        {
            return .wait(nanoseconds: due - now)
        }
        try applySome(&state, readable: readable)
        // The rest of the readable log does not wait.
        if state.watermark.sequence >= readable { state.lastApplied = now }
        return .stepAgain
    }

    private func applySome(_ state: inout State, readable: UInt64) throws {
        let followed = state.sink.orderedTables
        if state.orderedThrough <= state.watermark.sequence {
            let batch = try currentBatch(&state)
            do {
                let gathering = Gathering(
                    limits: limits, after: state.watermark.sequence, readable: readable,
                    followed: followed)
                if let block = try gathering.fill(batch, try currentReader(&state)) {
                    if batch.isEmpty { state.orderedThrough = block.nextSequence - 1 }
                    state.reader = nil  // the block is read again
                }
            } catch {
                // The reader may be behind a block of which the batch has only a part.
                forget(&state)
                throw error
            }
            guard batch.isEmpty else { return try apply(batch, &state, readable: readable) }
        }
        if state.orderedThrough > state.watermark.sequence {
            try applyBlocksInOrder(&state, readable: readable, followed)
        }
    }

    private func currentReader(_ state: inout State) throws(LogError) -> LogReader {
        if let reader = state.reader { return reader }
        // The reader begins behind a batch that was not applied; otherwise its records would be folded in twice.
        let unapplied = state.batch.flatMap { $0.isEmpty ? nil : $0.through }
        let reader = try log.reader(from: (unapplied ?? state.watermark).sequence + 1)
        state.reader = reader
        return reader
    }

    private func currentBatch(_ state: inout State) throws -> ChangeBatch {
        if let batch = state.batch { return batch }
        let batch = try makeBatch(after: state.watermark, for: state.sink)
        state.batch = batch
        return batch
    }

    private func makeBatch(
        after watermark: Watermark, for sink: any Sink
    ) throws -> ChangeBatch {
        let batch = try ChangeBatch(after: watermark, memory: limits.bytes)
        for table in sink.tables { batch.setDefaults(table) }
        return batch
    }

    /// Drops everything that was read and not applied. It is read again.
    private func forget(_ state: inout State) {
        state.reader = nil
        state.batch = nil
        state.spare = nil
    }

    private func apply(_ batch: ChangeBatch, _ state: inout State, readable: UInt64) throws {
        let start = log.environment.time.monotonicNanoseconds()
        batch.sort()
        let ahead = try batchAhead(of: batch, &state, readable: readable)
        let sink = state.sink
        var outcome = Result<Void, SinkError>.success(())
        func applyBatch() {
            outcome = Result { () throws(SinkError) in try sink.apply(batch) }
        }
        if let ahead { alongside(ahead.fill, applyBatch) } else { applyBatch() }
        do throws(SinkError) {
            try outcome.get()
        } catch {
            state.reader = nil  // it may be behind the batch ahead
            state.spare = nil
            guard error.kind == .constraint else { throw error }
            state.orderedThrough = batch.through.sequence
            state.batch = nil
            return
        }
        finish(
            &state, batch.through, records: batch.recordCount, changes: batch.changeCount,
            since: start)
        guard let ahead else {
            batch.reset(after: state.watermark)
            state.spare = nil
            return
        }
        state.spare = batch
        state.batch = ahead.batch
        if !ahead.isComplete { state.reader = nil }
    }

    /// The next batch, which is filled while the database takes a full one; nil if there is no more log.
    private func batchAhead(
        of batch: ChangeBatch, _ state: inout State, readable: UInt64
    ) throws -> BatchAhead? {
        guard let reader = state.reader, batch.through.sequence < readable,
            batch.recordCount >= limits.records || batch.byteCount >= limits.bytes
        else { return nil }
        let next = try state.spare ?? makeBatch(after: batch.through, for: state.sink)
        state.spare = nil
        return BatchAhead(
            next, after: batch.through, reader,
            Gathering(
                limits: limits, after: batch.through.sequence, readable: readable,
                followed: state.sink.orderedTables))
    }

    private func applyBlocksInOrder(
        _ state: inout State, readable: UInt64, _ followed: TableSet
    ) throws {
        let start = log.environment.time.monotonicNanoseconds()
        let reader = try currentReader(&state)
        forget(&state)  // read again if something below fails
        var stretch = OrderedStretch(through: state.watermark)
        var (isFirst, isBehindAll) = (true, true)
        repeat {
            guard try reader.next(through: readable), let block = reader.block else { break }
            isBehindAll = isFirst || Gathering.isFollowed(block, followed)
            guard isBehindAll else { break }  // the block is read again
            isFirst = false
            try append(reader, block, to: &stretch, &state, since: start)
        } while !followed.isEmpty && stretch.has(room: limits)
        try apply(&stretch, &state, since: start)
        if isBehindAll { state.reader = reader }
    }

    /// Adds a block's commits to the ones that are applied in one transaction. A definition has a transaction of its own.
    private func append(
        _ reader: LogReader, _ block: BlockHeader, to stretch: inout OrderedStretch,
        _ state: inout State, since start: UInt64
    ) throws {
        var chain = Chain(reader.chainBefore)
        var commits = try reader.commits()
        while let commit = try commits.next(reader.payload.span) {
            let records = reader.payload.span.extracting(commit.records)
            chain.append(time: commit.time, records: records)
            guard commit.firstSequence > state.watermark.sequence else { continue }
            let definitions =
                block.flags.contains(.define) ? try CommitReader.definitions(in: records) : []
            if !definitions.isEmpty { try apply(&stretch, &state, since: start) }
            let through = Watermark(sequence: commit.lastSequence, chain: chain.value)
            for definition in definitions {
                observer.didChangeQuarantine(
                    try state.sink.define(definition, through: through))
                finish(&state, through, records: 1, changes: 0, since: start)
            }
            if definitions.isEmpty {
                stretch.append(
                    OrderedCommit(
                        firstSequence: commit.firstSequence, recordCount: Int(commit.count),
                        time: commit.time, records: Array(copying: records)))
            }
            stretch.through = through
        }
    }

    private func apply(
        _ stretch: inout OrderedStretch, _ state: inout State, since start: UInt64
    ) throws(SinkError) {
        guard !stretch.commits.isEmpty else { return }
        observer.didChangeQuarantine(
            try state.sink.applyInOrder(stretch.commits, through: stretch.through))
        let records = stretch.recordCount
        stretch.removeAll()
        finish(&state, stretch.through, records: records, changes: records, since: start)
    }

    private func finish(
        _ state: inout State, _ through: Watermark, records: Int, changes: Int, since start: UInt64
    ) {
        let missed = state.missedAdds.take(from: state.sink, state.watermark, through)
        state.watermark = through
        let time = log.environment.time.monotonicNanoseconds() - start
        let applied = Applied(
            watermark: through, records: records, changes: changes, nanoseconds: time,
            addsWithoutRow: missed)
        observer.didApply(applied)
    }
}
