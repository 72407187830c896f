package import EventLog
import Synchronization

/// Makes snapshots from earlier ones and the log, and deletes log and snapshots that are not needed any more.
///
/// It does not run by itself; a worker steps it, and a step takes a few milliseconds. It reads only durable commits, takes
/// no lock that a writer takes, and never reads the database. When no snapshot is due, it tidies up:
///
/// 1. reads each snapshot that will be kept to its end, once, before anything is deleted;
/// 2. deletes the other good snapshots, then segments by ``Retention``, oldest first;
/// 3. merges small segments (SegmentMerge.swift).
///
/// After an error it waits longer each time and starts over. A snapshot that turned out to be bad is left where
/// it is and not used again.
package final class Snapshotter: Sendable {
    package struct Limits: Sendable {
        /// A snapshot is due after this many bytes of log, or as many as the last snapshot has, if that is more; nil makes
        /// snapshots only on request.
        package var automaticBytes: Int?
        /// Memory for changes before they are written into a temporary file.
        package var memory = 64 << 20
        package var rule: RetentionRule
        /// Whether anything is deleted or merged.
        package var tidies = true
        /// How often to check whether a snapshot is due, nanoseconds.
        package var checkInterval: UInt64 = 1_000_000_000
        /// How often to check whether something may be deleted, nanoseconds.
        package var tidyInterval: UInt64 = 60_000_000_000
        /// Segments below an eighth of the usual size are merged, if there are at least this many.
        package var mergeCount = 8
        package var retryLimit: UInt64 = 30_000_000_000

        package init(automaticBytes: Int?, rule: RetentionRule) {
            self.automaticBytes = automaticBytes
            self.rule = rule
        }
    }

    /// Is called after each piece of work, on the snapshotter's thread.
    package protocol Observer: Sendable {
        func didTake(_ head: SnapshotHead, rows: UInt64, byteCount: Int, nanoseconds: UInt64)
        func didDelete(_ path: String, byteCount: Int, reason: String)
        func didMerge(_ paths: [String])
        func didFail(_ error: any Error, attempts: Int)
        /// Work that failed has succeeded, no snapshot is known to be bad, and log may be deleted.
        func didRecover()
    }

    struct State {
        var job: SnapshotJob?
        /// A kept snapshot that is being read to its end.
        var check: SnapshotReader?
        var isPrepared = false
        var isTidying = true
        /// Snapshots that were read to their end since the store was opened.
        var verified: Set<UInt64> = []
        var bad: Set<UInt64> = []
        var newest: (sequence: UInt64, byteCount: Int) = (0, 0)
        /// Where the log behind the newest snapshot begins.
        var place: BlockPlace?
        var checkedAt: UInt64 = 0
        var tidiedAt: UInt64 = 0
        var ageClock = AgeClock()
        var retryAt: UInt64 = 0
        var backoff: Backoff
        /// False after a sync of a directory failed while merging: nothing is merged until the store is opened again.
        var mayMerge = true
        /// False after a sync of a directory failed while segments were deleted: none is deleted until the store is opened
        /// again.
        var mayDelete = true
    }

    let log: Log
    let limits: Limits
    let retention: Retention
    let observer: any Observer
    /// The last sequence that no follower of the log needs: a cheap answer, or one after a synced checkpoint.
    let needed: @Sendable (_ checkpoint: Bool) throws -> UInt64
    private let state: Lock<State>
    private let wanted = Atomic<UInt64>(0)
    /// The callers that wait for a snapshot. After a failure it is replaced by a new list.
    private let taken = Lock(WaitList(reached: 0))
    /// Raised when there is something to do.
    package let work = Signal()

    package init(
        log: Log, limits: Limits, observer: any Observer,
        needed: @escaping @Sendable (_ checkpoint: Bool) throws -> UInt64
    ) {
        self.log = log
        self.limits = limits
        self.observer = observer
        self.needed = needed
        retention = Retention(limits.rule)
        state = Lock(State(backoff: Backoff(limit: limits.retryLimit)))
    }

    /// The history as of now.
    var history: StoreHistory { StoreHistory(log.environment, readable: log.readable) }

    /// Requests a snapshot of everything through `sequence`, which must be durable, as soon as possible.
    package func request(_ sequence: UInt64) {
        wanted.max(sequence, ordering: .sequentiallyConsistent)
        work.raise()
    }

    /// Suspends until there is a snapshot of everything through `sequence`. Throws when the next try fails.
    func take(through sequence: UInt64) async throws(StoreError) {
        // The list is taken first, so that a failure between the two lines ends this wait, too.
        let list = taken.withLock { $0 }
        request(sequence)
        try await list.wait(for: sequence)
    }

    /// Ends all waiting, and drops a snapshot that is not finished.
    func abandon(_ error: StoreError) {
        taken.withLock { $0 }.fail(error)
        state.withLock { state in
            state.job = nil
            state.check = nil
        }
    }

    /// Whether there is a snapshot that reaches `sequence`, read to its end or not.
    package func reaches(_ sequence: UInt64) -> Bool {
        state.withLock { $0.newest.sequence } >= sequence
    }

    /// Does one piece of work.
    package func step() -> Next {
        state.withLock { state in
            let now = log.environment.time.monotonicNanoseconds()
            if now < state.retryAt { return .wait(nanoseconds: state.retryAt - now) }
            do {
                return try advance(&state, now)
            } catch {
                return fail(&state, error, now)
            }
        }
    }

    private func advance(_ state: inout State, _ now: UInt64) throws -> Next {
        if !state.isPrepared { try prepare(&state) }
        if let job = state.job {
            try step(job, &state)
            return .stepAgain
        }
        if let check = state.check {
            try go(on: check, &state)
            return .stepAgain
        }
        if isNewestWanted(state) {
            try startReading(state.newest.sequence, &state)
            return .stepAgain
        }
        if try isDue(&state, now) {
            try begin(&state)
            return .stepAgain
        }
        if now >= state.tidiedAt + limits.tidyInterval { state.isTidying = true }
        if state.isTidying, limits.tidies {
            if try tidy(&state) { return .stepAgain }
            state.tidiedAt = now
            state.isTidying = false
            if state.backoff.attempts > 0 {
                state.backoff.reset()
                if state.bad.isEmpty, state.mayDelete { observer.didRecover() }
            }
        }
        return .wait(nanoseconds: limits.checkInterval)
    }

    /// Removes temporary files of an earlier process, and finds the newest snapshot.
    private func prepare(_ state: inout State) throws {
        let environment = log.environment
        for name in try environment.disk.list(environment.layout.snapshots)
        where StoreLayout.isTemporary(name) {
            try environment.disk.remove(environment.layout.snapshots + "/" + name)
        }
        if let newest = try newest(&state) {
            state.newest = (newest.head.sequence, newest.byteCount)
        }
        state.isPrepared = true
    }

    /// Whether a caller waits for a snapshot that is there from an earlier process, and that nobody has read to its end.
    private func isNewestWanted(_ state: State) -> Bool {
        let wanted = wanted.load(ordering: .relaxed)
        return wanted > taken.withLock({ $0 }).reached && wanted <= state.newest.sequence
    }

    /// A snapshot that was read to its end, and is of this log's history, serves those that wait for one.
    func accept(_ head: SnapshotHead, _ state: inout State) {
        state.verified.insert(head.sequence)
        state.bad.remove(head.sequence)
        if head.sequence == state.newest.sequence {
            taken.withLock { $0 }.advance(to: head.sequence)
        }
    }

    /// It is not used again. If it was the newest one, another one is due.
    func reject(_ sequence: UInt64, _ state: inout State) {
        state.bad.insert(sequence)
        if sequence == state.newest.sequence { state.newest = (0, 0) }
    }

    /// The newest snapshot of this history that can be opened.
    private func newest(_ state: inout State) throws -> SnapshotReader? {
        let sequences = try SnapshotReader.sequences(log.environment)
        for sequence in sequences.reversed()
        where sequence <= log.readable && !state.bad.contains(sequence) {
            do throws(SnapshotError) {
                return try SnapshotReader(of: sequence, in: log.environment)
            } catch {
                if case .system(let cause) = error { throw cause }
                state.bad.insert(sequence)
                observer.didFail(error, attempts: 1)
            }
        }
        return nil
    }

    private func isDue(_ state: inout State, _ now: UInt64) throws -> Bool {
        let readable = log.readable
        guard readable > state.newest.sequence else { return false }
        if wanted.load(ordering: .relaxed) > state.newest.sequence { return true }
        guard let limit = limits.automaticBytes, now >= state.checkedAt + limits.checkInterval
        else { return false }
        state.checkedAt = now
        let bytes = try SegmentList.byteCount(
            after: state.newest.sequence, from: &state.place, log.environment)
        return bytes > max(limit, state.newest.byteCount)
    }

    private func begin(_ state: inout State) throws {
        let base = try newest(&state)
        if base == nil, let oldest = try LogReader.segmentBases(log.environment).first, oldest > 1 {
            throw HistoryError.gone(
                wanted: "sequence 1", oldest: oldest, refused: state.bad.sorted().map { "\($0)" })
        }
        state.job = try SnapshotJob(
            from: base, through: log.readable, memoryLimit: limits.memory, history, log.options)
    }

    private func step(_ job: SnapshotJob, _ state: inout State) throws {
        guard let head = try job.step() else { return }
        if let base = job.base { state.verified.insert(base.head.sequence) }
        state.job = nil
        state.isTidying = true
        state.backoff.reset()
        let reader = try SnapshotReader(of: head.sequence, in: log.environment)
        state.newest = (head.sequence, reader.byteCount)
        let now = log.environment.time.monotonicNanoseconds()
        observer.didTake(
            head, rows: reader.rowCount, byteCount: reader.byteCount, nanoseconds: now - job.started
        )
        accept(head, &state)
    }

    private func refuseWaiters(_ error: any Error) {
        guard wanted.exchange(0, ordering: .sequentiallyConsistent) > 0 else { return }
        let old = taken.withLock { list in
            let old = list
            list = WaitList(reached: old.reached)
            return old
        }
        old.fail(.snapshotFailed("\(error)"))
    }

    private func fail(_ state: inout State, _ error: any Error, _ now: UInt64) -> Next {
        // A base that turned out to be damaged is not used again. The next try uses an older one.
        if let base = state.job?.base, (error as? HistoryError)?.blames(base.path) == true {
            reject(base.head.sequence, &state)
        } else if let check = state.check, (error as? HistoryError)?.blames(check.path) == true {
            reject(check.head.sequence, &state)
        } else {
            refuseWaiters(error)
        }
        state.job = nil
        state.check = nil
        let random = log.environment.random
        let pause = state.backoff.next { random() }
        state.retryAt = now + pause
        observer.didFail(error, attempts: state.backoff.attempts)
        return .wait(nanoseconds: pause)
    }
}

extension HistoryError {
    /// Whether the error is about the snapshot at this path.
    fileprivate func blames(_ path: String) -> Bool {
        switch self {
        case .otherHistory: true
        case .snapshot(.damaged(let damaged, _, _)): damaged == path
        default: false
        }
    }
}
