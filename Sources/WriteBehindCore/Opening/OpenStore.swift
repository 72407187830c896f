package import EventLog
import Logging

/// A store that has been opened and recovered. Nothing in it runs by itself.
///
/// Opening takes these steps: lock the directory (FencedDisk.swift); read the identity; read the database's watermark;
/// recover the log, with the watermark as a witness; check that the database belongs to this history; replay into the view
/// the commits in quarantine, and the log above the watermark.
package final class OpenStore: Sendable {
    package let layout: StoreLayout
    package let identity: StoreIdentity
    package let engine: Engine
    package let materializer: Materializer
    package let snapshotter: Snapshotter
    /// Everything that reads the log behind its writer. Retention keeps the log for these.
    package let followers: Followers
    package let secondaries: [SecondaryDatabase]
    package let changeStreams: ChangeStreams
    package let projections: ProjectionRegistry
    package let pins: Pins
    /// The address of the database; nil for one in the store's directory.
    let place: String?
    /// The tasks that wait until a write survives power loss, in segments or in staging.
    let durable: WaitList
    package let expirer: Expirer
    package let indexBuilder: IndexBuilder
    let status: Status
    let metrics: StoreMetrics
    let startThread: StartThread
    private let disk: FencedDisk

    package init(
        path: String, configuration: StoreConfiguration, environment: StoreEnvironment
    ) throws(StoreError) {
        try configuration.check()
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        layout = StoreLayout(root: path)
        disk = try Self.take(layout, environment)
        var environment = environment
        environment.disk = disk
        do throws(StoreError) {
            identity = try Self.identify(layout, environment)
            status = Status(now: environment.time.monotonicNanoseconds())
            metrics = StoreMetrics()
            startThread = environment.startThread
            place = environment.opener.place
            let opening = try StoreOpening(
                layout, identity.storeID, configuration, environment, status, metrics)
            engine = opening.engine
            pins = opening.pins
            durable = opening.durable
            materializer = opening.materializer
            snapshotter = opening.snapshotter
            followers = opening.followers
            secondaries = opening.secondaries
            changeStreams = opening.changeStreams
            projections = opening.projections
            expirer = Expirer(engine: engine)
            indexBuilder = IndexBuilder(engine: engine, rowLimit: environment.rowsAScan)
            try opening.replay()
            // Only tools need it, and a disk that refuses this refuses other writes with words of its own.
            try? DatabasePlace.note(place, layout, on: disk)
        } catch {
            disk.release()
            throw error
        }
    }

    /// Creates the directory if needed, and locks it for this store.
    private static func take(
        _ layout: StoreLayout, _ environment: StoreEnvironment
    ) throws(StoreError) -> FencedDisk {
        while true {
            let ended = Ending.current
            do throws(SystemError) {
                try environment.disk.createDirectory(layout.root)
            } catch {
                throw StoreError(reaching: layout.root, error)
            }
            do throws(StoreError) {
                return try FencedDisk.taking(layout, on: environment.disk) {
                    (disk) throws(SystemError) in try remains(layout, disk)
                }
            } catch {
                guard case .alreadyOpen = error, Ending.waitForOne(after: ended) else {
                    throw error
                }
            }
        }
    }

    /// Reads the store's identity, or makes a new one in an empty directory.
    private static func identify(
        _ layout: StoreLayout, _ environment: StoreEnvironment
    ) throws(StoreError) -> StoreIdentity {
        let disk = environment.disk
        let identity: StoreIdentity
        if let known = try StoreIdentity.read(layout, on: disk) {
            identity = known
        } else {
            identity = StoreIdentity(
                random: (environment.random(), environment.random()),
                created: environment.time.wallMilliseconds())
            try identity.write(layout, on: disk)
        }
        do throws(SystemError) {
            for directory in [layout.log, layout.snapshots, layout.aside] {
                try disk.createDirectory(directory)
            }
            try disk.synchronizeDirectory(layout.root)
            try disk.synchronizeDirectory(StoreLayout.directory(of: layout.root))
        } catch {
            throw StoreError(reaching: layout.root, error)
        }
        return identity
    }

    /// Why a directory cannot become a store; nil for a store and for an empty directory. It may hold other files, which a
    /// store must not be mixed with, or a log whose identity is lost: with a new identity, all of that log would be foreign.
    private static func remains(
        _ layout: StoreLayout, _ disk: any Disk
    ) throws(SystemError) -> String? {
        guard try !disk.exists(layout.identity) else { return nil }
        if try disk.exists(layout.log), try !disk.list(layout.log).isEmpty {
            return "it holds a log, but its store.json is missing; \(StoreIdentity.wayBack)"
        }
        // Names that do not count: those left by a process that was killed while it made a store, and that of a new file
        // system.
        let paths = [
            layout.lock, StoreLayout.temporary(layout.identity), layout.log, layout.snapshots,
            layout.aside, layout.root + "/lost+found",
        ]
        let foreign = try disk.list(layout.root).sorted().first {
            !paths.contains(layout.root + "/" + $0)
        }
        guard let foreign else { return nil }
        return "it has no store.json, and it is not empty (it holds \(foreign)); a store needs a "
            + "directory of its own: name one that is empty or does not exist yet"
    }

    /// Ends a store that was not closed, on a thread of its own: the last reference may be released on a thread of Swift's
    /// pool, which must not wait for workers. A later opening waits for this, so it does not find the directory locked.
    ///
    /// - Parameter workers: all threads of the store. If the machine gives no other thread, the last of them does it.
    func endUnclosed(_ workers: [Worker]) {
        Ending.begin()
        let end: @Sendable () -> Void = {
            for worker in workers { worker.stop() }
            self.endWaiting()
            self.unlock()
            Ending.end()
        }
        do throws(NoThread) {
            try startThread("wb-closer", end)
        } catch {
            guard workers.last?.perform(end) != true else { return }
            end()
        }
    }

    /// Stores of this process that were not closed and that still end.
    private enum Ending {
        private static let count = Lock(0)
        private static let ended = Signal()

        static var current: UInt64 { ended.current }
        static func begin() { count.withLock { $0 += 1 } }
        static func end() {
            count.withLock { $0 -= 1 }
            ended.raise()
        }

        /// False if no store has ended since, and none is ending.
        static func waitForOne(after seen: UInt64) -> Bool {
            guard count.withLock({ $0 }) > 0 || ended.current > seen else { return false }
            ended.wait(after: seen)
            return true
        }
    }

    /// Refuses all further writes, closes the store's own files, and unlocks the directory for another process, or another
    /// store of this process. The sink closes the database.
    package func unlock() {
        changeStreams.writeIfPossible()
        engine.log.abandon()
        disk.release()
    }

    /// Ends all waiting with an error, because nothing more will come.
    func endWaiting() {
        let closed = StoreError.closed("the store was closed")
        snapshotter.abandon(closed)
        durable.fail(closed)
        engine.readable.fail(closed)
        engine.materialized.fail(closed)
        engine.indices.fail(closed)
    }

    /// Why the store can only be read; nil when it can be written.
    package var damage: Corruption? { engine.log.recovery.corruption }
}
