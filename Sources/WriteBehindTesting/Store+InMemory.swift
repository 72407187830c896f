public import WriteBehind
import WriteBehindCore

extension Store {
    /// Opens a new store that is in memory only: the same code on a simulated disk, with SQLite in memory.
    ///
    /// It has no files and no threads. Its workers are stepped by its callers, in one order, and in the time of `clock`. A
    /// call that waits for a stage has the work done by itself. Otherwise the database follows, and rows expire, when the
    /// clock is advanced. A wait with a timeout lets the clock run until what it waits for is there or the time is up.
    ///
    /// - Parameters:
    ///   - clock: where the store takes the time from.
    ///   - configuration: as for any store. `cacheLimit` is at most 8 MiB, and the log's buffer at most 2 MiB.
    /// - Throws: ``StoreError``, as opening any store.
    public static func inMemory(
        clock: TestClock = TestClock(), configuration: StoreConfiguration = StoreConfiguration()
    ) throws(StoreError) -> Store {
        let machine: SimulatedMachine
        do throws(SinkError) {
            machine = try SimulatedMachine(clock: clock)
        } catch {
            throw StoreError(error)
        }
        return try open(on: machine, configuration)
    }

    private static func open(
        on machine: SimulatedMachine, _ configuration: StoreConfiguration
    ) throws(StoreError) -> Store {
        var configuration = configuration
        configuration.cacheLimit = min(configuration.cacheLimit, 8 << 20)
        configuration.stagingSlots = 2
        configuration.stagingSlotSize = min(configuration.stagingSlotSize, 1 << 20)
        return try Store(
            at: SimulatedMachine.path, configuration: configuration,
            environment: machine.environment)
    }

    private var machine: SimulatedMachine {
        guard let machine = driver as? SimulatedMachine else {
            preconditionFailure("only a store that Store.inMemory made can do this")
        }
        return machine
    }

    /// The clock of a store in memory.
    public var clock: TestClock { machine.clock }

    /// Advances the clock of a store in memory: see ``TestClock/advance(by:)``.
    public func advance(by duration: Duration) { machine.clock.advance(by: duration) }

    /// Has something fail from now on.
    public func fail(_ failure: Failure) { machine.fail(failure) }

    /// Nothing fails from now on. What has failed for good stays so until the store is opened again.
    public func stopFailing() { machine.stopFailing() }

    /// Ends a store in memory without closing it, and opens it again with only what survives.
    ///
    /// This value is dead after it: writes throw ``StoreError/closed(_:)``. Nothing fails in the new one. After
    /// ``close(deadline:)`` this is how to open it again.
    ///
    /// - Throws: ``StoreError``, as opening any store.
    public func crash(_ crash: Crash = .process) throws(StoreError) -> Store {
        let machine = machine
        // First, so that no write of another task returns that the new store cannot have.
        abandon()
        machine.crash(crash)
        return try Self.open(on: machine, configuration)
    }
}
