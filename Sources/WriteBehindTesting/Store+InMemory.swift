public import WriteBehind
import WriteBehindCore

extension Store {
    /// Opens a new store that is only in memory: the same code on a simulated disk, with SQLite in memory.
    ///
    /// It has no files and no threads. Its callers step its workers, in a fixed order, by the time of `clock`. A
    /// call that waits for a stage runs the work itself. Otherwise the database follows, and rows expire, when the
    /// clock is advanced. A wait with a timeout lets the clock run until the write has reached the stage or the time is up.
    ///
    /// - Parameters:
    ///   - clock: the clock by which the store measures time.
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

    /// Makes something fail from now on.
    public func fail(_ failure: Failure) { machine.fail(failure) }

    /// Ends all failures. If the log has failed for good, it stays failed until the store is opened again.
    public func stopFailing() { machine.stopFailing() }

    /// Ends a store in memory without closing it, and opens it again with only what survives.
    ///
    /// This value cannot be used any more: its calls throw ``StoreError/closed(_:)``. In the new store nothing fails. Also
    /// call this to open the store again after ``close(deadline:)``.
    ///
    /// - Throws: ``StoreError``, as opening any store.
    public func crash(_ crash: Crash = .process) throws(StoreError) -> Store {
        let machine = machine
        // Called first, so that no write of another task can return that the new store does not have.
        abandon()
        machine.crash(crash)
        return try Self.open(on: machine, configuration)
    }
}
