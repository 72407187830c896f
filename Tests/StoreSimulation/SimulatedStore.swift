import Dispatch
import EventLog
import Glibc
import TestSupport
import WriteBehindCore

/// A store on a simulated disk with a simulated database. Steps happen to it one after the other: no
/// threads, no clock, so that a list of steps always ends in the same way.
package final class SimulatedStore {
    let disk: SimulatedDisk
    let database: SimulatedDatabase
    /// The secondary database, which follows the same log.
    let secondary: SimulatedDatabase
    let time: ManualTime
    var model = StoreModel()
    var store: OpenStore?
    var follower = Follower()
    var consumer = Consumer()
    /// The store has reported everything through this sequence as durable.
    var durable: UInt64 = 0
    /// An older copy of the database.
    var backup: SimulatedDatabase.Content?
    /// The end of this life, as soon as the disk has stopped.
    var pendingEnd: End?
    /// Whether something happened, since the log was last checked, that may lose writes that were not durable.
    var mayLose = false
    /// Whether the disk or the database fails in this life: calls may throw, but nothing may be lost.
    var isTroubled = false {
        didSet { patience.withLock { $0 = isTroubled ? 300 : 10_000 } }
    }
    /// For how many steps of the workers a read waits. On a full disk, for example, more would not help.
    let patience = Locked(10_000)
    /// Rows that the database has refused at some time.
    var everRefused: Set<Row> = []
    /// The definitions of tables that were logged, with their sequences.
    var definitions: [(sequence: UInt64, definition: TableDefinition)] = []
    /// The ids that new rows were given, with the sequences of these rows.
    var given: [Int64: UInt64] = [:]
    var segmentSize = 4 << 10
    /// Whether this life declares its tables' indices.
    var hasIndices = true
    /// Whether this life declares the projection.
    var hasProjection = true
    let heard = Locked(Complaints.Heard())

    /// The first thing that went wrong.
    package private(set) var fault: Fault?
    package internal(set) var crashes = 0
    /// The events in words, if they are wanted.
    package private(set) var trace: [String] = []
    let isTraced: Bool

    package struct Fault: Error, Equatable, CustomStringConvertible {
        /// The promise that is broken. A shorter run must break the same one to count as the same failure.
        package var rule: String
        package var detail: String

        package var description: String { "\(rule): \(detail)" }
    }

    private init(isTraced: Bool, flaw: Flaw?) {
        disk = SimulatedDisk(seed: 1, isSharedByThreads: false)
        disk.keepsTrace = false
        if flaw == .segmentsAreNotSynced { disk.ignoreSyncs(ofPathsWith: "/log/") }
        database = SimulatedDatabase(losesPatchesBesideClears: flaw == .patchesBesideClearsAreLost)
        secondary = SimulatedDatabase(hasConstraints: false)
        time = ManualTime(wall: Tables.start)
        self.isTraced = isTraced
    }

    private init(copying other: SimulatedStore) {
        disk = other.disk.snapshot()
        database = other.database.copy()
        secondary = other.secondary.copy()
        time = ManualTime(wall: other.time.wallMilliseconds())
        model = other.model
        durable = other.durable
        (definitions, given) = (other.definitions, other.given)
        mayLose = other.mayLose
        follower = other.follower
        consumer = other.consumer
        consumer.reopen()
        segmentSize = other.segmentSize
        isTraced = other.isTraced
    }

    /// A store that is not open, in a state that can be copied. Its last life ended as the last step says.
    static func prepared(_ steps: [Step], segmentSize: Int) -> SimulatedStore {
        let store = SimulatedStore(isTraced: false, flaw: nil)
        store.segmentSize = segmentSize
        guard !steps.isEmpty else { return store }
        store.reopen(after: End(kind: .kill, salt: 0, readsAll: false))
        for step in steps.dropLast() where store.fault == nil { store.play(step) }
        if case .end(let end)? = steps.last, store.fault == nil { store.endLife(end) }
        return store
    }

    /// Another store in the same state; neither may be open.
    func copy() -> SimulatedStore { SimulatedStore(copying: self) }

    /// Runs steps from an empty directory on, then lets the store come to rest.
    package static func run(
        _ steps: [Step], isTraced: Bool = false, flaw: Flaw? = nil
    ) -> SimulatedStore {
        let store = SimulatedStore(isTraced: isTraced, flaw: flaw)
        store.reopen(after: End(kind: .kill, salt: 0, readsAll: false))
        for step in steps where store.fault == nil { store.play(step) }
        if store.fault == nil { store.comeToRest() }
        return store
    }

    func fail(_ rule: String, _ detail: @autoclosure () -> String) {
        if fault == nil { fault = Fault(rule: rule, detail: detail()) }
    }

    func note(_ what: @autoclosure () -> String) {
        if isTraced { trace.append("      " + what()) }
    }

    func play(_ step: Step) {
        if isTraced { trace.append("\(step)") }
        playInside(step)
        if let end = pendingEnd, disk.hasStopped {
            pendingEnd = nil
            note("the disk has stopped")
            finish(end)
            hear()
        }
        stepIndices()
    }

    /// Plays a step while another step is under way. The life goes on until that other step is over.
    func playInside(_ step: Step) {
        do {
            try perform(step)
        } catch {
            judge(error)
        }
        hear()
    }

    /// Checks what the store has logged since the last call.
    func hear() {
        let heard = heard.withLock { heard in
            defer { heard = Complaints.Heard() }
            return heard
        }
        for line in heard.remarks + heard.complaints { note(line) }
        if let first = heard.complaints.first, !isTroubled { fail("logged", first) }
    }

    /// An error may only be one of the library's own, and only if there is trouble or the database is behind.
    func judge(_ error: any Error) {
        note("\(error)")
        if case StoreError.backlogFull = error, isBehind { return }
        switch error {
        case is StoreError, is LogError, is SinkError, is SnapshotError, is HistoryError,
            is SystemError:
            if !isTroubled { fail("error", "\(error)") }
        default: fail("error", "of another kind: \(error)")
        }
    }

    /// Whether the database lacks something that was written.
    private var isBehind: Bool {
        guard let store, let content = database.content else { return true }
        return store.materializer.watermark.sequence < store.engine.log.lastSequence
            || !content.quarantine.isEmpty
    }

    var engine: Engine? { store?.engine }

    func noteDurable() {
        if let engine { durable = max(durable, engine.log.durable) }
    }

    // MARK: - coming to rest

    /// After all trouble: everything reaches the database, and everything is where it should be.
    func comeToRest() {
        play(.admitAll)
        if isTroubled || pendingEnd != nil {
            pendingEnd = nil
            play(.end(End(kind: .kill, salt: 1, readsAll: false)))
        }
        // A power loss during the steps before can restore the database's refusals.
        play(.admitAll)
        guard fault == nil else { return }
        check { try liftConstraints() }
        check { try retryQuarantine() }
        catchUp()
        catchUpSecondary()
        checkNothingIsRefused()
        checkReads()
        checkProjectionIsCurrent()
        check { try expire() }
        catchUp()
        finishIndices()
        checkReads()
        checkNothingIsDue()
        check { try lookBack(0) }
        // The first time may only find that the follower's place in the log is gone.
        for _ in 0..<2 { check { try follow(blocks: .max) } }
        if fault == nil, follower.position != engine?.log.readable {
            fail("follower", "it ends at \(follower.position), the log at \(durable)")
        }
        check { try consume(.max, acknowledges: true) }
        checkConsumerIsAtTheEnd()
        play(.end(End(kind: .close, salt: 2)))
    }

    func check(_ body: () throws -> Void) {
        guard fault == nil else { return }
        do { try body() } catch { judge(error) }
    }

    /// One piece of the secondary database's work, which includes opening it.
    func stepSecondary(isUrgent: Bool) {
        guard let log = engine?.log else { return }
        for database in store?.secondaries ?? [] {
            if isUrgent { database.request(log.readable) }
            _ = database.step()
            note("the secondary database is at \(database.reached.map { "\($0)" } ?? "no place")")
        }
        checkSecondary()
    }

    /// Steps the secondary database until it has everything that is durable; without trouble it must.
    private func catchUpSecondary() {
        guard fault == nil, let store else { return }
        let log = store.engine.log
        var (reached, tries) = (UInt64(0), 0)
        while secondary.content?.watermark.sequence ?? 0 < log.readable, tries < 1000 {
            stepSecondary(isUrgent: true)
            time.advance(milliseconds: 100)
            let now = secondary.content?.watermark.sequence ?? 0
            (reached, tries) = (now, now == reached ? tries + 1 : 0)
        }
        if secondary.content?.watermark.sequence ?? 0 < log.readable, !isTroubled {
            fail("stuck", "the secondary database does not catch up")
        }
    }

    /// Steps the workers until the database has everything; without trouble it must.
    func catchUp() {
        guard fault == nil, let store else { return }
        let (log, materializer) = (store.engine.log, store.materializer)
        // The number of steps without progress.
        var (reached, tries) = (UInt64(0), 0)
        while log.readable < log.lastSequence || materializer.watermark.sequence < log.readable,
            tries < 1000
        {
            log.flusher?.request(readable: log.lastSequence)
            _ = log.flusher?.step()
            noteDurable()
            materializer.request(log.readable)
            if case .wait = materializer.step() { time.advance(milliseconds: 100) }
            let now = materializer.watermark.sequence
            (reached, tries) = (now, now == reached ? tries + 1 : 0)
        }
        if materializer.watermark.sequence < log.lastSequence, !isTroubled {
            fail("stuck", "the database does not catch up")
        }
        checkDatabase()
    }

    /// Runs an asynchronous function that never has to wait, because everything it waits for has happened.
    static func waiting<R: Sendable>(
        _ body: @escaping @Sendable () async throws -> R
    ) -> Result<R, any Error> {
        let result = Locked<Result<R, any Error>?>(nil)
        let isDone = DispatchSemaphore(value: 0)
        Task {
            do {
                let value = try await body()
                result.withLock { $0 = .success(value) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
            isDone.signal()
        }
        isDone.wait()
        guard let result = result.withLock({ $0 }) else { preconditionFailure("no result") }
        return result
    }
}
