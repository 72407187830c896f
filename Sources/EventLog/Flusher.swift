import Synchronization

/// Turns staged commits into blocks, writes them to segments and syncs.
///
/// It does not run by itself: ``step()`` does one piece of work and says when there may be another.
/// The order of writes and syncs, by the writing rules of the format:
///
/// - header and frame are written, then synced when due, then the readable sequence is published;
/// - a new segment: the old one's blocks synced, its footer written and synced, the new one created
///   exclusively, its header and then its name synced, and only then its first block.
///
/// If a caller waits and little is unsynced, staging itself is synced instead: its pages are already on the disk,
/// so only they must be written. The block follows when it is due.
///
/// When the disk is full, commits stay in staging and packed blocks in memory, appends are refused, and each
/// step tries again. After a failed fsync nothing is written any more.
package final class Flusher: Sendable {
    private struct State {
        let compressor: Compressor
        var cursor: Staging.Cursor
        var builder = BlockBuilder()
        var chain: Chain
        /// The chain before the builder's first commit.
        var startChain: UInt64
        var writer: SegmentWriter?
        /// A packed block that could not be written yet, because the disk was full.
        var packed: [UInt8] = []
        var unwritten: BlockHeader?
        /// The last sequence that is in a segment, synced or not.
        var written: UInt64
        /// The place in staging up to which all commits survive power loss, in staging or in segments.
        var syncedPlace = Staging.SyncedPlace()
        /// Frame bytes in segments that are not synced.
        var unsyncedBytes = 0
        var syncDeadline: UInt64?
        /// When room for staging is reserved again, if copies can share its blocks.
        var reserveDeadline: UInt64
        var preamble: Preamble
        var isClosed = false
    }

    private let state: Lock<State>
    private let staging: Staging
    private let reports = RefusalReports()
    private let environment: LogEnvironment
    private let options: LogOptions
    private let epoch: UInt64
    /// The highest sequence that a caller has asked to read from segments.
    private let requested = Atomic<UInt64>(0)
    /// The highest sequence that a caller has asked to survive power loss.
    private let requestedDurable = Atomic<UInt64>(0)

    /// How often room for staging is reserved again, nanoseconds. A copy that shares its blocks is harmless if the disk does
    /// not become full within this time.
    package static let reserveInterval: UInt64 = 100_000_000

    init(
        staging: Staging, environment: LogEnvironment, options: LogOptions, end: LogEnd
    ) {
        self.staging = staging
        self.environment = environment
        self.options = options
        epoch = end.nextEpoch
        state = Lock(
            State(
                compressor: Compressor(level: options.compressionLevel),
                cursor: Staging.Cursor(nextSequence: end.nextSequence), chain: Chain(end.chain),
                startChain: end.chain, written: end.nextSequence - 1,
                reserveDeadline: environment.time.monotonicNanoseconds() + Self.reserveInterval,
                preamble: end.preamble))
    }

    /// Everything through this sequence survives power loss, in segments or in staging.
    var durable: UInt64 { staging.durable }

    /// Requests a sync of segments that covers `sequence` as soon as possible. Callers that come meanwhile share it.
    package func request(readable sequence: UInt64) {
        requested.max(sequence, ordering: .relaxed)
        staging.work.raise()
    }

    /// Requests that `sequence` survives power loss as soon as possible, in staging or in segments, whichever costs less.
    package func request(durable sequence: UInt64) {
        requestedDurable.max(sequence, ordering: .relaxed)
        staging.work.raise()
    }

    /// Does one piece of work.
    package func step() -> Next {
        state.withLock { state in
            guard !state.isClosed, !staging.isForked else { return .wait(nanoseconds: nil) }
            // If the log was closed or abandoned, another process may have taken over the files.
            if let refusal = staging.refusal, !refusal.isTemporary {
                return .wait(nanoseconds: nil)
            }
            do throws(LogError) {
                try reserveAgain(&state)
            } catch {
                // Not even progress may be published, which is a store as well.
                refuse(error)
                return .wait(nanoseconds: options.syncInterval)
            }
            return untilReserving(work(&state))
        }
    }

    private func work(_ state: inout State) -> Next {
        do throws(LogError) {
            let next = try advance(&state)
            if let error = reserveFreeSlots() {
                refuse(error)
                return next == .stepAgain ? next : .wait(nanoseconds: options.syncInterval)
            }
            if let refusal = staging.refusal, refusal.isTemporary { refuse(nil) }
            return next
        } catch {
            refuse(error)
            if error.isTemporary { synchronizeStagingMeanwhile(&state) }
            return .wait(nanoseconds: options.syncInterval)
        }
    }

    /// If copies can share the blocks of staging, reserves room for it again once in a while: a store without room would end
    /// the process.
    private func reserveAgain(_ state: inout State) throws(LogError) {
        guard staging.mayShareBlocks else { return }
        let now = environment.time.monotonicNanoseconds()
        guard now >= state.reserveDeadline else { return }
        try onDisk { () throws(SystemError) in try staging.reserveAgain() }
        state.reserveDeadline = now + Self.reserveInterval
    }

    private func untilReserving(_ next: Next) -> Next {
        staging.mayShareBlocks ? next.sooner(.wait(nanoseconds: Self.reserveInterval)) : next
    }

    /// Without room for the next slots, writes are refused. Commits that were already appended are written as usual.
    private func reserveFreeSlots() -> LogError? {
        do throws(SystemError) {
            try staging.reserveFreeSlots()
            return nil
        } catch {
            return LogError(error)
        }
    }

    /// While blocks cannot be written, staging is synced for callers that wait for `durable`, however much
    /// that is, because its pages are already on the disk.
    private func synchronizeStagingMeanwhile(_ state: inout State) {
        guard isStagingSyncWanted else { return }
        do throws(LogError) {
            _ = try synchronizeStaging(&state, limit: .max)
        } catch {
            refuse(error)
        }
    }

    /// Writes and syncs everything, seals the segment. Appends must have been refused before.
    ///
    /// - Returns: where the log ended.
    func close() throws(LogError) -> LogEdge {
        try state.withLock { (state) throws(LogError) in
            try close(&state)
            return LogEdge(
                .cleanEnd, of: environment.storeID, at: state.written, chain: state.chain.value,
                epoch: epoch)
        }
    }

    private func close(_ state: inout State) throws(LogError) {
        guard !state.isClosed else { return }
        if let refusal = staging.refusal, refusal.isFinal { throw refusal }
        do throws(LogError) {
            try reserveAgain(&state)
            while try writeBlock(&state) {}
            try synchronize(&state)
            try seal(&state)
        } catch {
            refuse(error)
            throw error
        }
        state.isClosed = true
    }

    private func advance(_ state: inout State) throws(LogError) -> Next {
        let now = environment.time.monotonicNanoseconds()
        let pending = staging.pendingBytes
        let isLate = state.unwritten != nil || !state.builder.isEmpty
        if isLate || pending >= options.blockSize {
            _ = try writeBlock(&state)
        }
        // `takeFull()` comes first, because it has an effect.
        let isDue = staging.takeFull() || isSyncDue(state, now: now)
        if !isDue, isStagingSyncWanted,
            try synchronizeStaging(&state, limit: options.stagingSyncLimit)
        {
            if state.syncDeadline == nil { state.syncDeadline = now + options.syncInterval }
            return .stepAgain
        }
        if isDue || isStagingSyncWanted {
            while try writeBlock(&state) {}
            try synchronize(&state)
            return .stepAgain
        }
        if staging.pendingBytes >= options.blockSize { return .stepAgain }
        guard pending > 0 || state.unsyncedBytes > 0 else { return .wait(nanoseconds: nil) }
        let deadline = state.syncDeadline ?? now + options.syncInterval
        state.syncDeadline = deadline
        return .wait(nanoseconds: deadline - min(now, deadline))
    }

    private func isSyncDue(_ state: State, now: UInt64) -> Bool {
        if requested.load(ordering: .relaxed) > staging.readable,
            staging.readable + 1 < staging.nextSequence
        {
            return true
        }
        // Slots become free only once their commits are synced.
        if state.unsyncedBytes >= staging.capacity / 2 { return true }
        guard let deadline = state.syncDeadline else { return false }
        return now >= deadline
    }

    private var isStagingSyncWanted: Bool {
        requestedDurable.load(ordering: .relaxed) > durable && durable + 1 < staging.nextSequence
    }

    /// Syncs staging up to its end, if that is at most `limit` bytes. Returns whether it did.
    private func synchronizeStaging(
        _ state: inout State, limit: Int
    ) throws(LogError) -> Bool {
        guard let unsynced = staging.unsynced(after: state.syncedPlace),
            unsynced.byteCount <= limit
        else { return false }
        let start = environment.time.monotonicNanoseconds()
        do throws(SystemError) {
            try staging.synchronize(unsynced, &state.syncedPlace)
        } catch {
            throw LogError(final: error)
        }
        try state.writer?.checkFence()
        didSync(through: unsynced.lastSequence, isReadable: false, since: start)
        return true
    }

    private func didSync(through sequence: UInt64, isReadable: Bool, since start: UInt64) {
        if isReadable {
            staging.publish(readable: sequence)
        } else {
            staging.publish(durable: sequence)
        }
        let end = environment.time.monotonicNanoseconds()
        environment.observer?.didSync(
            through: sequence, isReadable: isReadable, nanoseconds: end - start)
    }

    /// Writes a block if there are commits for one. Returns whether there were.
    private func writeBlock(_ state: inout State) throws(LogError) -> Bool {
        if state.unwritten == nil {
            guard try gather(&state) else { return false }
            try pack(&state)
        }
        guard let block = state.unwritten, let writer = state.writer else { return false }
        let start = environment.time.monotonicNanoseconds()
        try writer.append(state.packed.span, block)
        state.written = block.nextSequence - 1
        state.unwritten = nil
        state.packed.removeAll(keepingCapacity: true)
        let end = environment.time.monotonicNanoseconds()
        environment.observer?.didWrite(block, nanoseconds: end - start)
        if writer.end >= options.segmentSize {
            try synchronize(&state)
            try seal(&state)
        }
        return true
    }

    /// Fills the builder from staging. Returns whether there is enough for a block.
    private func gather(_ state: inout State) throws(LogError) -> Bool {
        if state.builder.isEmpty { state.startChain = state.chain.value }
        var taken = 0
        while state.builder.rawByteCount < options.blockSize {
            let before = state.cursor
            guard let commit = try staging.next(&state.cursor) else { break }
            let room =
                options.rawBlockBound - BlockBuilder.commitOverhead - state.builder.rawByteCount
            if !state.builder.isEmpty, unsafe commit.records.count > room {
                state.cursor = before
                break
            }
            if state.builder.isEmpty, state.writer == nil {
                state.builder.appendPreamble(state.preamble)
            }
            note(commit, &state.preamble)
            unsafe state.chain.append(timeAndRecords: commit.timeAndRecords)
            state.builder.append(commit)
            taken += commit.byteCount
        }
        state.unsyncedBytes += taken
        staging.didTake(taken)
        return !state.builder.isEmpty
    }

    private func note(_ commit: StagedCommit, _ preamble: inout Preamble) {
        do throws(MalformedRecord) {
            try preamble.note(commit)
        } catch {
            // Only ``Log/append(_:)`` makes commits, from records that the store encoded.
            preconditionFailure("staging holds a malformed define record: \(error)")
        }
    }

    /// Packs the builder's commits for the segment, which is created if there is none.
    private func pack(_ state: inout State) throws(LogError) {
        let writer = try openSegment(&state)
        state.compressor.level = level(state)
        state.unwritten = state.builder.pack(
            chain: state.chain.value, durable: staging.readable, salt: writer.header.salt,
            using: state.compressor, into: &state.packed)
    }

    /// The compression level. It is lower the fuller staging is, because a writer waits when there is no room. Commits
    /// that were taken and are not synced yet take room as well.
    private func level(_ state: State) -> Int {
        let held = staging.pendingBytes + state.unsyncedBytes
        if held >= staging.capacity / 4 * 3 { return min(options.compressionLevel, -5) }
        if held >= staging.capacity / 8 * 5 { return min(options.compressionLevel, -1) }
        return options.compressionLevel
    }

    private func openSegment(_ state: inout State) throws(LogError) -> SegmentWriter {
        if let writer = state.writer { return writer }
        let base = state.written + 1
        let header = environment.segmentHeader(
            base: base, chain: state.startChain,
            rawBlockBound: options.rawBlockBound + state.builder.rawByteCount,
            bufferByteCount: staging.capacity, epoch: epoch)
        let path = environment.layout.segment(base)
        let writer = try SegmentWriter(creating: path, header: header, on: environment.disk)
        state.writer = writer
        do throws(SystemError) {
            try environment.disk.synchronizeDirectory(environment.layout.log)
        } catch {
            throw LogError(final: error)
        }
        return writer
    }

    private func synchronize(_ state: inout State) throws(LogError) {
        guard state.written > staging.readable, let writer = state.writer else {
            state.syncDeadline = nil
            return
        }
        let start = environment.time.monotonicNanoseconds()
        try writer.synchronize()
        state.syncDeadline = nil
        state.unsyncedBytes = 0
        // Not if the flusher has taken more commits than it could write.
        if state.unwritten == nil, state.builder.isEmpty {
            state.syncedPlace.advance(to: state.cursor)
        }
        didSync(through: state.written, isReadable: true, since: start)
    }

    private func seal(_ state: inout State) throws(LogError) {
        guard let writer = state.writer else { return }
        try writer.seal(nextSequence: state.written + 1, chain: state.chain.value)
        state.writer = nil
    }

    /// Refuses all further writes if the store's files were moved or replaced, or another process may have them.
    package func checkFence() throws(LogError) {
        guard !staging.isForked else { return }
        do throws(SystemError) {
            try environment.disk.checkFence()
        } catch {
            // If a path cannot be looked up just now, that proves nothing.
            guard error.isFence else { return }
            refuse(LogError(error))
            throw LogError(error)
        }
    }

    /// nil admits appends again.
    private func refuse(_ error: LogError?) {
        staging.refuse(error)
        reports.report(staging, to: environment.observer)
    }
}
