import DiskSimulation
import EventLog
import WriteBehind
import WriteBehindCore

/// The machine of one store in memory: its disk, its database and its clock. It steps the store's workers.
final class SimulatedMachine: WorkerDriver {
    /// A worker, and when its next step is due.
    private struct Entry {
        let worker: Worker
        /// How often its signal had been raised when it stepped last.
        var seen: UInt64 = 0
        var due: UInt64 = 0
    }

    static let path = "/store"

    let clock: TestClock
    let disk = SimulatedDisk()
    let database: MemoryDatabase
    private let entries = Lock<[Entry]>([])
    private let random = Locked(SeededRandom(seed: 1))

    init(clock: TestClock) throws(SinkError) {
        self.clock = clock
        database = try MemoryDatabase()
        disk.keepsTrace = false
        clock.add(self)
    }

    /// What a store on this machine uses.
    var environment: StoreEnvironment {
        var environment = StoreEnvironment(
            disk: disk, time: clock, random: { [random] in random.withLock { $0.next() } },
            opener: database)
        environment.driver = self
        // Work for another thread runs at once on this one.
        environment.startThread = { (_, body) throws(NoThread) in body() }
        environment.alongside = { other, body in
            other()
            body()
        }
        environment.waitForDatabase = { $0.stepWorkers(toward: $1) }
        environment.waitForRoom = { [clock] log, _ in
            log.flusher?.request(readable: log.lastSequence)
            clock.makeRoom { _ = log.flusher?.step() }
        }
        return environment
    }

    func take(_ workers: [Worker]) {
        entries.withLock { $0 = workers.map { Entry(worker: $0) } }
    }

    func run(for nanoseconds: UInt64, until isDone: () -> Bool) {
        clock.run(for: nanoseconds, until: isDone)
    }

    /// Steps each worker once that is due or whose signal was raised. Only one thread at a time may call this.
    /// - Returns: whether there was such a worker.
    func stepDue(at now: UInt64) -> Bool {
        var hasStepped = false
        // Not under the lock, because a step may close the store, or reopen it.
        for (index, entry) in entries.withLock({ $0 }).enumerated() {
            let calls = entry.worker.callCount
            guard now >= entry.due || calls > entry.seen else { continue }
            let next = entry.worker.stepHere()
            hasStepped = hasStepped || next != nil
            var due = UInt64.max
            switch next {
            case .stepAgain?: due = now
            // At least a moment later, so that time goes on.
            case .wait(let wait?)?: due = now.addingReportingOverflow(max(1, wait)).partialValue
            case .wait(nil)?: break
            // The worker was stopped, or is dead until the watchdog starts it again.
            case nil: due = now.addingReportingOverflow(Self.pauseOfTheDead).partialValue
            }
            entries.withLock { entries in
                guard entries.indices.contains(index), entries[index].worker === entry.worker else {
                    return
                }
                (entries[index].seen, entries[index].due) = (calls, due)
            }
        }
        return hasStepped
    }

    private static let pauseOfTheDead: UInt64 = 10_000_000

    /// The next time at which a worker is due.
    var nextMoment: UInt64 { entries.withLock { $0.map(\.due).min() ?? .max } }

    /// Ends the simulated process; after power loss, drops what the disk may lose.
    func crash(_ crash: Store.Crash) {
        stopFailing()
        switch crash {
        case .process: kill(.process, seed: 0)
        case .powerLoss(let seed): kill(.power, seed: seed)
        }
    }

    private func kill(_ kind: SimulatedDisk.Crash, seed: UInt64) {
        var random = SeededRandom(seed: seed)
        entries.withLock { $0 = [] }
        disk.crash(kind, using: &random)
    }

    func fail(_ failure: Store.Failure) {
        switch failure {
        case .database(let failure): database.fail(failure)
        case .diskFull: disk.capacity = disk.usedBytes
        case .sync:
            disk.fail(.synchronize, onFileNamed: "", times: .max)
            disk.fail(.synchronizeMapping, onFileNamed: "", times: .max)
        }
    }

    func stopFailing() {
        database.fail(nil)
        disk.capacity = nil
        disk.stopFailing()
    }
}
