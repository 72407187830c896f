import EventLog
import Glibc
import TestSupport
import WriteBehind

/// A store on a simulated disk with a simulated database, to which one step after the other happens: no
/// threads, no clock, so that a list of steps always ends in the same way.
package final class SimulatedStore {
    let disk: SimulatedDisk
    let database = SimulatedDatabase()
    let time = ManualTime(wall: Tables.start)
    var model = StoreModel()
    var store: OpenStore?
    var follower = Follower()
    /// Everything through this sequence was said to be durable.
    var durable: UInt64 = 0
    /// An older copy of the database.
    var backup: SimulatedDatabase.Content?
    /// What this life ends with as soon as the disk has stopped.
    var pendingEnd: End?
    /// Since the log was last seen whole, something happened that may cost what was not durable.
    var mayLose = false
    /// In this life the disk or the database fails: calls may throw, but nothing may be lost for it.
    var isTroubled = false
    let complaints = Locked<[String]>([])

    /// The first thing that went wrong.
    package private(set) var fault: Fault?
    package private(set) var crashes = 0
    /// What happened, in words, if it is wanted.
    package private(set) var trace: [String] = []
    private let isTraced: Bool

    package struct Fault: Error, Equatable, CustomStringConvertible {
        /// Which promise is broken: what a shorter run must break as well to be the same failure.
        package var rule: String
        package var detail: String

        package var description: String { "\(rule): \(detail)" }
    }

    private init(isTraced: Bool) {
        disk = SimulatedDisk(seed: 1)
        disk.keepsTrace = false
        self.isTraced = isTraced
    }

    /// Runs steps from an empty directory on, then lets the store come to rest.
    package static func run(_ steps: [Step], isTraced: Bool = false) -> SimulatedStore {
        let store = SimulatedStore(isTraced: isTraced)
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
            hearComplaints()
        }
    }

    /// Plays a step while another one is under way, whose life goes on until it is over.
    func playInside(_ step: Step) {
        do {
            try perform(step)
        } catch {
            judge(error)
        }
        hearComplaints()
    }

    private func hearComplaints() {
        let heard = complaints.withLock { lines in
            defer { lines = [] }
            return lines
        }
        if let first = heard.first, !isTroubled { fail("logged", first) }
    }

    /// Errors are for those who have trouble.
    func judge(_ error: any Error) {
        note("\(error)")
        if !isTroubled { fail("error", "\(error)") }
    }

    var engine: Engine? { store?.engine }

    func noteDurable() {
        if let engine { durable = max(durable, engine.log.durable) }
    }

    // MARK: - lives

    func open(_ end: End, salt: UInt64) throws {
        let salts = Locked(SeededRandom(seed: salt))
        var configuration = StoreConfiguration()
        configuration.cacheLimit = 8 << 20
        configuration.stagingSlots = 2
        configuration.stagingSlotSize = 4 << 10
        configuration.blockSize = 256
        configuration.segmentSize = 4 << 10
        configuration.batchRecords = end.batchRecords
        configuration.batchBytes = 1 << 20
        configuration.snapshotMemory = 1 << 20
        configuration.snapshotAfter = end.snapshotAfter
        configuration.logKept = .milliseconds(200)
        configuration.logBytesKept = 8 << 10
        configuration.retryLimit = .milliseconds(200)
        configuration.logger = Complaints.logger(complaints)
        var environment = StoreEnvironment(
            disk: disk, time: time, random: { salts.withLock { $0.next() } },
            openSink: { [database] (_, _, origin) throws(SinkError) in
                database.open(origin: origin)
            },
            setAside: { [database] (path, _) throws(SinkError) in
                database.replace(with: nil)
                return AsideDatabase(path: path, statements: [], problem: nil)
            })
        environment.waitForRoom = { log, _ in
            log.flusher?.request(durable: log.lastSequence)
            _ = log.flusher?.step()
        }
        let store = try OpenStore(
            path: "/store", configuration: configuration, environment: environment)
        self.store = store
        checkWhatSurvived()
        try declareTables()
    }

    private func declareTables() throws {
        guard let engine, store?.damage == nil else { return }
        for schema in Tables.schemas where engine.tables[schema.name] == nil {
            try declare(schema)
        }
    }

    func declare(_ schema: TableSchema) throws {
        guard let engine else { return }
        _ = try engine.declare(schema)
        let sequence = engine.log.lastSequence
        model.append(.init(receipt: Receipt(firstSequence: sequence, sequence: sequence)))
    }

    /// Ends this life and begins the next.
    func finish(_ end: End) {
        disk.stopFailing()
        disk.capacity = nil
        database.withState { ($0.failures, $0.nextReadFails) = ([], false) }
        var random = SeededRandom(seed: end.salt)
        if end.isCrash {
            crash(end.kind == .powerLoss, &random)
        } else {
            do {
                try close()
            } catch {
                judge(error)
                crash(false, &random)
            }
        }
        switch end.kind {
        case .restore: if let backup { database.replace(with: backup) }
        case .loseDatabase: database.replace(with: nil)
        case .kill, .powerLoss, .close: break
        }
        reopen(after: end)
    }

    func reopen(after end: End) {
        var random = SeededRandom(seed: end.salt ^ 0xABCD)
        for operation in end.inRecovery {
            disk.fail(at: operation, with: .errno(EIO), permanently: true)
            isTroubled = true
            do {
                try open(end, salt: random.next())
            } catch {
                note("recovery ends: \(error)")
            }
            guard fault == nil else { return }
            disk.stopFailing()
            crash(Bool.random(using: &random), &random)
        }
        hearComplaints()
        isTroubled = false
        do {
            try open(end, salt: random.next())
        } catch {
            return fail("opening", "\(error)")
        }
        follower.reopen()
        noteDurable()
        if end.readsAll { checkReads() } else if end.salt & 3 == 0 { check { try lookBack(0) } }
    }

    func crash(_ losesPower: Bool, _ random: inout SeededRandom) {
        noteDurable()
        let survives = engine?.log.survivesProcessDeath ?? true
        if losesPower || !survives { mayLose = true }
        disk.crash(losesPower ? .power : .process, using: &random)
        if losesPower { database.losePower(using: &random) }
        store = nil
        crashes += 1
    }

    private func close() throws {
        try engine?.log.close()
        noteDurable()
        try engine?.sink.close()
        store?.unlock()
        store = nil
    }

    // MARK: - coming to rest

    /// After all trouble: everything reaches the database, and everything is where it should be.
    private func comeToRest() {
        play(.admitAll)
        if isTroubled || pendingEnd != nil {
            pendingEnd = nil
            play(.end(End(kind: .kill, salt: 1, readsAll: false)))
        }
        guard fault == nil else { return }
        check { try retryQuarantine() }
        catchUp()
        checkReads()
        check { try expire() }
        catchUp()
        checkReads()
        checkNothingIsDue()
        check { try lookBack(0) }
        // The first time may only find out that the follower's place in the log is gone.
        for _ in 0..<2 { check { try follow(blocks: .max) } }
        if fault == nil, follower.position != engine?.log.durable {
            fail("follower", "it ends at \(follower.position), the log at \(durable)")
        }
        play(.end(End(kind: .close, salt: 2)))
    }

    func check(_ body: () throws -> Void) {
        guard fault == nil else { return }
        do { try body() } catch { judge(error) }
    }

    /// Steps the workers until the database has everything; without trouble it must.
    func catchUp() {
        guard fault == nil, let store else { return }
        let (log, materializer) = (store.engine.log, store.materializer)
        var tries = 0
        while log.durable < log.lastSequence || materializer.watermark.sequence < log.durable,
            tries < 1000
        {
            tries += 1
            log.flusher?.request(durable: log.lastSequence)
            _ = log.flusher?.step()
            noteDurable()
            materializer.request(log.durable)
            if case .wait = materializer.step() { time.advance(milliseconds: 100) }
        }
        if materializer.watermark.sequence < log.lastSequence, !isTroubled {
            fail("stuck", "the database does not catch up")
        }
        checkDatabase()
    }
}
