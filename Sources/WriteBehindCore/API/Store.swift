import EventLog
import Foundation
import Logging
import Synchronization

/// A write-behind store: writes at memory speed, safe in a log, in a SQLite database soon after.
///
/// ```swift
/// let store = try await Store(at: "airport")
/// let flights = try store.table(Flight.self)
///
/// let receipt = try flights.put(flight)              // returns at once; survives kill -9
/// try await store.wait(for: .durable, receipt)       // … and power loss
/// try await store.wait(for: .materialized, receipt)  // … and is in airport/database.sqlite
/// let same = try await flights.get(flight.id)        // from memory, else from the database
/// ```
///
/// A write never loses the stage that it has reached: see ``Stage``. One process at a time writes to a store; the
/// `writebehind` tool and others may read it meanwhile. All methods may be called from any thread or task.
public final class Store: Sendable {
    let store: OpenStore
    let workers: [Worker]
    private let watchdog: Watchdog
    let watchdogWorker: Worker
    /// nil if the store can only be read.
    let reporter: Reporter?
    private let reporterWorker: Worker?
    /// The watching workers. They stop last, because they watch the others.
    var lookouts: [Worker] { [watchdogWorker] + [reporterWorker].compactMap(\.self) }
    let isClosed = Atomic<Bool>(false)
    /// Whether the database could not be made to keep everything when the store was closed.
    let mayForget = Atomic<Bool>(false)
    /// Runs the workers instead of threads, in users' tests.
    package let driver: (any WorkerDriver)?
    /// Reaches 1 when the store is closed. A second `close` waits for it.
    let closing = WaitList(reached: 0)

    package var engine: Engine { store.engine }
    package var configuration: StoreConfiguration { engine.configuration }
    package var followers: Followers { store.followers }
    package var secondaries: [SecondaryDatabase] { store.secondaries }

    /// Files are opened as long as the store is open, and the process may change its working directory meanwhile.
    package static func absolute(_ path: String) throws(StoreError) -> String {
        if path.isEmpty || path.hasPrefix("/") { return path }
        for (start, what) in [("~", "a home directory"), ("$", "a variable"), ("file:", "a URL")]
        where path.hasPrefix(start) {
            throw .notAStore(
                path: path,
                reason: "a path is taken as it is, and \(what) in it is not looked up: give the "
                    + "directory's own path, or \"./\(path)\" if that is its name")
        }
        return FileManager.default.currentDirectoryPath + "/" + path
    }

    package convenience init(
        opening path: String, _ configuration: StoreConfiguration, _ environment: StoreEnvironment
    ) async throws(StoreError) {
        let opened = try await Worker.waiting("opener") {
            Result { () throws(StoreError) in
                try OpenStore(path: path, configuration: configuration, environment: environment)
            }
        }
        try self.init(opened.get(), driver: environment.driver)
    }

    package convenience init(
        at path: String, configuration: StoreConfiguration, environment: StoreEnvironment
    ) throws(StoreError) {
        try self.init(
            OpenStore(path: path, configuration: configuration, environment: environment),
            driver: environment.driver)
    }

    package init(
        _ opened: OpenStore, driver: (any WorkerDriver)? = nil
    ) throws(StoreError) {
        store = opened
        self.driver = driver
        let isWritable = store.damage == nil
        workers =
            isWritable
            ? Self.makeWorkers(store, store.startThread)
            : [Self.makeIndexer(store, store.startThread)]
        watchdog = Watchdog(store, workers: workers)
        watchdogWorker = Worker(
            "watchdog", signal: Signal(), startThread: store.startThread
        ) { [watchdog] in watchdog.step() }
        reporter = isWritable ? Self.makeReporter(store, watchdog) : nil
        reporterWorker = reporter.map { reporter in
            Worker("reporter", signal: Signal(), startThread: opened.startThread) {
                reporter.step()
            }
        }
        if let driver {
            for worker in workers + lookouts { worker.leaveToDriver() }
            driver.take(workers + lookouts)
            return
        }
        for worker in workers + lookouts {
            if let error = worker.start() { throw .noResources("\(error)") }
        }
    }

    deinit { endLikeKilled() }

    /// A store that was not closed ends as after `kill -9`: nothing acknowledged is lost. Handles of its
    /// tables may still exist; they must not write into a log that another store may be recovering.
    private func endLikeKilled() {
        store.engine.log.abandon()
        store.endUnclosed(workers + lookouts)
    }

    /// Ends the store as after `kill -9`, though the value still exists. Every later call throws
    /// ``StoreError/closed(_:)``.
    package func abandon() {
        isClosed.store(true, ordering: .relaxed)
        endLikeKilled()
        closing.advance(to: 1)
    }

    // MARK: tables

    /// Declares a table and returns the handle to work with it.
    ///
    /// The table is created in the database when the log is applied to it. If it is declared again with more columns, they
    /// are added; each must be nullable or have a default. The columns of a `@Table` struct are matched by their names, in
    /// any order. A type that is coded by hand must keep the order, with new columns last. <doc:Tables> lists all changes
    /// that are possible; any other one throws.
    ///
    /// - Throws: ``StoreError/schema(_:)``, naming the column and both types, and the errors of any write.
    public func table<Row: TableRow>(_ type: Row.Type) throws(StoreError) -> StoredTable<Row> {
        try declare(type, Row.schema)
    }

    func declare<Row: TableRow>(
        _ type: Row.Type, _ schema: TableSchema
    ) throws(StoreError) -> StoredTable<Row> {
        try rowErrors { () throws(RowError) in try Row.checkKey() }
        let definition = try engine.declare(schema, byName: Row.hasNamedColumns)
        let layout = RowLayout(Row.schema, storedAs: definition.schema)
        if let driver, !Row.schema.indices.isEmpty {
            // A read of an index waits until the index is built from the log so far. Without threads, it is built here.
            engine.log.flusher?.request(readable: engine.log.lastSequence)
            driver.runDue()
        }
        return StoredTable(engine: engine, id: UInt16(definition.id), layout: layout)
    }

    /// The built-in table `keyvalue`: bytes under a name.
    ///
    /// - Throws: as ``table(_:)``.
    public func keyValues() throws(StoreError) -> StoredTable<KeyValue> {
        try table(KeyValue.self)
    }

    /// Makes several changes, in any tables, as one commit: after a crash, for every reader and in the database there are all
    /// of them or none.
    ///
    /// Nothing is written if `body` throws. If `body` reads, it is asynchronous; `await` the call then.
    ///
    /// - Returns: the result of `body`, and the commit's receipt; if `body` changed nothing, one for the store's
    ///   last write.
    /// - Throws: the error of `body`, and the errors of any write.
    @discardableResult
    public func transaction<Result>(
        _ body: (inout Transaction) throws -> Result
    ) throws -> (result: Result, receipt: Receipt) {
        try open()
        var transaction = Transaction(engine: engine)
        let result = try body(&transaction)
        return (result, try transaction.commitWithoutReads() ?? lastReceipt)
    }

    /// Reads rows and makes changes that depend on them, in any tables, as one commit.
    ///
    ///     let (left, receipt) = try await store.transaction { transaction in
    ///         guard var account = try await transaction.get(1, in: accounts) else { throw Refused() }
    ///         account.balance -= 10
    ///         try transaction.put(account, in: accounts)
    ///         return account.balance
    ///     }
    ///
    /// `body` runs where the caller does, on an actor as well. If another write changes a row that it read, it runs again
    /// from the start, so it should only read and write through `transaction`. If it also writes a row that it has read by
    /// another way, such as a method of the table or another transaction, its commit never succeeds, and after 1,000 tries
    /// it ends with an error. Nothing is written if it throws.
    ///
    /// A transaction that only reads gets rows that belong together in the same way: they are checked at its end, and
    /// it runs again if one was changed meanwhile. It also runs again if `body` throws after it has read rows of
    /// different moments.
    ///
    /// - Returns: the result of `body`, and the commit's receipt; if `body` changed nothing,
    ///   one for the store's last write.
    /// - Throws: the error of `body`, any error of a write, ``StoreError/contended(tries:)``, and ``StoreError/cancelled``.
    @discardableResult
    public nonisolated(nonsending) func transaction<Result>(
        _ body: nonisolated(nonsending) (inout Transaction) async throws -> Result
    ) async throws -> (result: Result, receipt: Receipt) {
        var turn = Turn(engine)
        defer { turn.end() }
        while true {
            try open()
            if Task.isCancelled { throw StoreError.cancelled }
            var transaction = Transaction(engine: engine, reads: true)
            let result: Result
            do {
                result = try await body(&transaction)
            } catch {
                // The reason may be that the rows which it read do not belong together.
                if engine.areOfOneMoment(transaction.versions) { throw error }
                try await turn.next(transaction.versions)
                continue
            }
            if transaction.commit.isEmpty {
                if engine.areOfOneMoment(transaction.versions) { return (result, lastReceipt) }
            } else if let receipt = try turn.commit(
                transaction.commit, reads: transaction.versions,
                generation: transaction.generation)
            {
                return (result, receipt)
            }
            try await turn.next(transaction.versions)
        }
    }

    func open() throws(StoreError) {
        if isClosed.load(ordering: .relaxed) { throw .closed("the store is closed") }
    }

    /// The receipt of the store's last write, for calls that wrote nothing.
    private var lastReceipt: Receipt {
        let last = engine.log.lastSequence
        return Receipt(firstSequence: 0, sequence: last, store: engine.number)
    }

    // MARK: waiting

    /// Suspends until a write has reached a stage.
    ///
    /// Waiting for `.durable` syncs at once; all callers that wait at the same time share one sync. Waiting for
    /// `.staged` returns at once, because every write with a receipt is staged. Thousands of tasks may wait.
    /// If you stop waiting, for any reason, the write stays as it is. With nil as the receipt it returns at once, because a
    /// call that returned no receipt wrote nothing.
    ///
    /// - Throws: ``StoreError/foreignReceipt``, at once, for the receipt of another store; ``StoreError/timedOut(_:)``;
    ///   ``StoreError/logFailed(_:)`` when syncing failed and whether the
    ///   write survives is unknown; ``StoreError/quarantined(sequence:reason:)`` when the database refused it;
    ///   ``StoreError/closed(_:)`` when the store was closed before; ``StoreError/cancelled``.
    public nonisolated(nonsending) func wait(
        for stage: Stage, _ receipt: Receipt?, timeout: Duration? = nil
    ) async throws(StoreError) {
        guard let receipt else { return }
        guard receipt.store == engine.number else { throw .foreignReceipt }
        guard let timeout else { return try await wait(stage, receipt) }
        if let driver {
            guard drive(driver, to: stage, receipt, within: timeout) else {
                throw .timedOut(stage)
            }
            return try await wait(stage, receipt)
        }
        let isDone = try await within(timeout.bounded) { () async throws(StoreError) in
            try await self.wait(stage, receipt)
        }
        guard isDone else { throw .timedOut(stage) }
    }

    private nonisolated(nonsending) func wait(
        _ stage: Stage, _ receipt: Receipt
    ) async throws(StoreError) {
        switch stage {
        case .staged: return
        case .durable: return try await waitUntilDurable(receipt.sequence)
        case .materialized: try await waitUntilReadable(receipt.sequence)
        }
        if engine.materialized.reached < receipt.sequence {
            store.materializer.request(receipt.sequence)
            driver?.runDue()
            try await engine.materialized.wait(for: receipt.sequence)
        }
        try await quarantine.refuse(receipt.firstSequence)
    }

    private nonisolated(nonsending) func waitUntilDurable(
        _ sequence: UInt64
    ) async throws(StoreError) {
        guard store.durable.reached < sequence else { return }
        engine.log.flusher?.request(durable: sequence)
        driver?.runDue()
        try await store.durable.wait(for: sequence)
    }

    /// Suspends until the log's followers can read a record: until it is durable in segments.
    nonisolated(nonsending) func waitUntilReadable(
        _ sequence: UInt64
    ) async throws(StoreError) {
        guard engine.log.readable < sequence else { return }
        engine.log.flusher?.request(readable: sequence)
        driver?.runDue()
        try await engine.readable.wait(for: sequence)
    }

    /// Suspends until everything written before this call has reached a stage: a barrier.
    ///
    /// A commit that the database refused counts as done; ``quarantine`` lists it.
    ///
    /// - Throws: as ``wait(for:_:timeout:)``, but never that a commit was refused.
    public nonisolated(nonsending) func waitForAll(
        _ stage: Stage, timeout: Duration? = nil
    ) async throws(StoreError) {
        // The barrier belongs to no commit, so to none in quarantine: it is passed even if single writes were refused.
        let barrier = lastReceipt
        try await wait(for: stage, barrier, timeout: timeout)
    }

    // MARK: looking

    /// Whether the store is well, how far the database is behind, and why; as of this call.
    public var health: Health {
        var health = watchdog.health
        if isClosed.load(ordering: .relaxed) {
            health.verdict = .closed
            health.causes.insert("the store was closed", at: 0)
        }
        return health
    }

    /// The commits that the database refused, and ways to deal with them.
    public var quarantine: Quarantine {
        Quarantine(engine: engine, materializer: store.materializer, pins: store.pins)
    }
}
