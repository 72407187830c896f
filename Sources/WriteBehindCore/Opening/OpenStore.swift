package import EventLog
import Logging

/// A store that has been opened and recovered, and nothing that moves by itself.
///
/// Opening: locks (FencedDisk.swift); identity; the database's watermark; the log, with the watermark as a
/// witness; is the database of this history?; replay of the log above the watermark into the view, and of
/// what is in quarantine.
package final class OpenStore: Sendable {
    package let layout: StoreLayout
    package let identity: StoreIdentity
    package let engine: Engine
    package let materializer: Materializer
    package let snapshotter: Snapshotter
    /// Everything that reads the log behind its writer; retention keeps the log for them.
    package let followers: Followers
    package let secondaries: [SecondaryDatabase]
    package let changeStreams: ChangeStreams
    package let projections: ProjectionRegistry
    package let pins: Pins
    /// Everything that waits for surviving power loss, be it in staging alone.
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
        } catch {
            disk.release()
            throw error
        }
    }

    /// Takes the directory for this store alone, creating it first.
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

    /// Why a directory cannot become a store: it holds something else, which a store would be mixed with, or a
    /// log, whose identity is lost, and making up another would make all of it foreign. nil for a store
    /// and for an empty directory.
    private static func remains(
        _ layout: StoreLayout, _ disk: any Disk
    ) throws(SystemError) -> String? {
        guard try !disk.exists(layout.identity) else { return nil }
        if try disk.exists(layout.log), try !disk.list(layout.log).isEmpty {
            return "it holds a log, but its store.json is missing; \(StoreIdentity.wayBack)"
        }
        // The remains of a store that was killed while it was made, and the content of a new file system.
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

    /// Ends a store that was not closed, on a thread of its own: the last reference may be dropped by a thread of Swift's
    /// pool, which must not wait for workers. Opening waits for it, so the directory is free at once.
    ///
    /// - Parameter workers: all threads of the store. The last one does it where no other thread is to be had.
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

        /// False if none has ended since, and none is about to.
        static func waitForOne(after seen: UInt64) -> Bool {
            guard count.withLock({ $0 }) > 0 || ended.current > seen else { return false }
            ended.wait(after: seen)
            return true
        }
    }

    /// Refuses all further writes, closes every file of the store's own, and lets another process, or another store of
    /// this one, have the directory. The database is closed by its sink.
    package func unlock() {
        changeStreams.writeIfPossible()
        engine.log.abandon()
        disk.release()
    }

    /// Tells all callers that wait that nothing more will come.
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
