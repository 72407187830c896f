import EventLog
import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

/// The error of a throwing call, as the store's error.
func storeError(_ body: () async throws -> Void) async -> StoreError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? StoreError
    }
}

/// The problem of a change stream that a call throws; nil if it throws none.
func streamProblem(_ body: () async throws -> Void) async -> ChangeStreamProblem? {
    guard case .changeStream(_, let problem)? = await storeError(body) else { return nil }
    return problem
}

extension TemporaryStore {
    var database: String { path + "/database.sqlite" }

    /// Another program's SQL in the database.
    func user(_ sql: String) throws {
        let queue = try DatabaseQueue(path: database)
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA busy_timeout = 5000; " + sql)
        }
        try queue.close()
    }

    /// Opens a store whose database can be made to fail.
    func open(
        failing: Failing, time: any TimeSource = SystemTime(),
        _ configure: (inout StoreConfiguration) -> Void = { _ in }
    ) throws -> Store {
        var configuration = StoreConfiguration()
        configuration.stagingSlotSize = 1 << 20
        configuration.cacheLimit = 16 << 20
        configuration.retryLimit = .milliseconds(50)
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configure(&configuration)
        var environment = StoreEnvironment.machine(readers: 2)
        environment.time = time
        environment.opener = WrappingOpener(environment.opener) { FailingSink($0, failing) }
        return try Store(at: path, configuration: configuration, environment: environment)
    }

    /// The records of the log, in order.
    func records() throws -> [(operation: EventLog.Operation, body: [UInt8])] {
        let layout = StoreLayout(root: path)
        let identity = try StoreIdentity.read(layout, on: PosixDisk())
        let environment = LogEnvironment(
            disk: PosixDisk(), layout: layout,
            storeID: identity?.storeID ?? StoreID(low: 0, high: 0))
        var found: [(operation: EventLog.Operation, body: [UInt8])] = []
        let reader = try LogReader(environment, from: 1)
        // Past the end, a closed log has no next segment.
        while (try? reader.next(through: .max)) == true {
            let payload = reader.payload
            var commits = try reader.commits()
            while let commit = try commits.next(payload.span) {
                var records = ByteReader(commit.records)
                while !records.isAtEnd {
                    let record = try records.record(payload.span)
                    found.append((record.operation, Array(payload[record.body])))
                }
            }
        }
        return found
    }
}

/// A query that holds one of the connections that the store reads with, until `end()` is called.
final class BusyReader: Sendable {
    private let goOn = DispatchSemaphore(value: 0)

    init(of store: Store) throws {
        let started = DispatchSemaphore(value: 0)
        let reads = try #require(store.engine.sink as? SQLiteSink).reads
        Thread { [goOn] in
            try? reads.read { _ in
                started.signal()
                goOn.wait()
            }
        }
        .start()
        started.wait()
    }

    func end() { goOn.signal() }
}

/// The error of a database's transactions, while it is set, and events while it is read.
final class Failing: Sendable {
    private let error = Locked<SinkError?>(nil)
    private let hook = Locked<(@Sendable () throws -> Void)?>(nil)
    private let readError = Locked<SinkError?>(nil)

    /// The error of the next read.
    var nextRead: SinkError? {
        get { readError.withLock { $0 } }
        set { readError.withLock { $0 = newValue } }
    }

    private let beforehandOnce = Locked<(@Sendable () throws -> Void)?>(nil)

    /// Runs once, before the next read.
    var beforeNextRead: (@Sendable () throws -> Void)? {
        get { beforehandOnce.withLock { $0 } }
        set { beforehandOnce.withLock { $0 = newValue } }
    }

    private let blockingRead = Locked<(@Sendable () -> Void)?>(nil)

    /// Runs once, before the next row is read on a thread that waits.
    var beforeBlockingRead: (@Sendable () -> Void)? {
        get { blockingRead.withLock { $0 } }
        set { blockingRead.withLock { $0 = newValue } }
    }

    func willReadBlocking() {
        before()
        blockingRead.withLock { $0.take() }?()
    }

    private let scanError = Locked<SinkError?>(nil)

    /// The error of reading a table from its beginning, while it is set.
    var scanning: SinkError? {
        get { scanError.withLock { $0 } }
        set { scanError.withLock { $0 = newValue } }
    }

    private let emptyScans = Locked(0)

    /// How many scans behind a table's first page find what an old copy of the database holds: nothing, as of the log's
    /// begin.
    var scansOfAnOldCopy: Int {
        get { emptyScans.withLock { $0 } }
        set { emptyScans.withLock { $0 = newValue } }
    }

    fileprivate func takeOldCopy() -> Bool {
        emptyScans.withLock { count in
            defer { count = max(0, count - 1) }
            return count > 0
        }
    }

    private let reads = Locked(0)
    /// How often rows were asked for without waiting on the thread.
    var readCount: Int { reads.withLock { $0 } }

    func checkRead() throws(SinkError) {
        reads.withLock { $0 += 1 }
        do {
            try beforehandOnce.withLock { $0.take() }?()
        } catch {
            Issue.record(error)
        }
        if let error = readError.withLock({ $0.take() }) { throw error }
    }

    /// Runs once, between the database's answer and its return to the caller.
    var afterReading: (@Sendable () throws -> Void)? {
        get { hook.withLock { $0 } }
        set { hook.withLock { $0 = newValue } }
    }

    func finishReading() {
        let hook = hook.withLock { $0.take() }
        do {
            try hook?()
        } catch {
            Issue.record(error)
        }
    }

    private let beforehand = Locked<@Sendable () -> Void>({})

    /// Runs before each call that may wait for the database, on the thread that makes it.
    var before: @Sendable () -> Void {
        get { beforehand.withLock { $0 } }
        set { beforehand.withLock { $0 = newValue } }
    }

    var now: SinkError? {
        get { error.withLock { $0 } }
        set { error.withLock { $0 = newValue } }
    }

    private let afterDefinition = Locked<SinkError?>(nil)

    /// Their error from the next definition of a table on.
    var afterDefining: SinkError? {
        get { afterDefinition.withLock { $0 } }
        set { afterDefinition.withLock { $0 = newValue } }
    }

    private let retriesFail = Locked(true)

    /// Whether what is in quarantine cannot be tried again either.
    var failsRetries: Bool {
        get { retriesFail.withLock { $0 } }
        set { retriesFail.withLock { $0 = newValue } }
    }

    func check() throws(SinkError) {
        before()
        if let now { throw now }
    }

    func didDefine() {
        if let error = afterDefinition.withLock({ $0.take() }) { now = error }
    }
}

/// Wraps the sinks that another opener opens.
struct WrappingOpener: SinkOpener {
    private let opener: any SinkOpener
    private let wrap: @Sendable (any Sink) -> any Sink

    init(_ opener: any SinkOpener, _ wrap: @escaping @Sendable (any Sink) -> any Sink) {
        self.opener = opener
        self.wrap = wrap
    }

    func name(for owner: SinkOwner) -> String { opener.name(for: owner) }
    func open(for owner: SinkOwner) throws(SinkError) -> any Sink {
        wrap(try opener.open(for: owner))
    }
    func putAside(for owner: SinkOwner, reason: String) throws(SinkError) {
        try opener.putAside(for: owner, reason: reason)
    }
}

/// A sink that refuses every change as long as a test wants it to.
final class FailingSink: ReplaceableSink {
    private let sink: any Sink
    private let failing: Failing

    init(_ sink: any Sink, _ failing: Failing) {
        self.sink = sink
        self.failing = failing
    }

    func watermark() throws(SinkError) -> Watermark {
        failing.before()
        return try sink.watermark()
    }

    func apply(_ batch: some SortedChanges) throws(SinkError) {
        try failing.check()
        try sink.apply(batch)
    }

    func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        try failing.check()
        return try sink.applyInOrder(commits, through: through)
    }

    func define(
        _ table: WriteBehind.TableDefinition, through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        try failing.check()
        let changes = try sink.define(table, through: through)
        failing.didDefine()
        return changes
    }

    func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes {
        if failing.failsRetries { try failing.check() }
        return try sink.retry(commits, in: &pass, isLast: isLast)
    }

    var tables: [WriteBehind.TableDefinition] { sink.tables }
    func holds(_ table: UInt32) -> Bool { sink.holds(table) }
    func read(_ table: UInt32, key: Span<UInt8>) throws(SinkError) -> StoredRow {
        failing.willReadBlocking()
        return try sink.read(table, key: key)
    }
    func read(_ table: UInt32, keys: [[UInt8]]) async throws(SinkError) -> [StoredRow] {
        try failing.checkRead()
        defer { failing.finishReading() }
        return try await sink.read(table, keys: keys)
    }
    func dueRows(
        _ table: UInt32, before seconds: Int64, limit: Int
    ) throws(SinkError) -> DueRows {
        failing.before()
        defer { failing.finishReading() }
        return try sink.dueRows(table, before: seconds, limit: limit)
    }
    func scan(
        _ table: UInt32, columns: [Int], after key: [UInt8]?, limit: Int
    ) throws(SinkError) -> ScannedRows {
        failing.before()
        if let error = failing.scanning { throw error }
        if key != nil, failing.takeOldCopy() { return ScannedRows(rows: [], watermark: 0) }
        defer { failing.finishReading() }
        return try sink.scan(table, columns: columns, after: key, limit: limit)
    }
    var quarantine: QuarantineIndex { sink.quarantine }
    func aside() throws(SinkError) -> AsideDatabase? {
        failing.before()
        return try (sink as? any ReplaceableSink)?.aside()
    }
    func carryOver() throws(SinkError) -> [CarryFailure] {
        failing.before()
        return try (sink as? any ReplaceableSink)?.carryOver() ?? []
    }
    func dropCarriedOver(named names: [String]) throws(SinkError) {
        try (sink as? any ReplaceableSink)?.dropCarriedOver(named: names)
    }
    func makeIndices() throws(SinkError) {
        try (sink as? any ReplaceableSink)?.makeIndices()
    }
    func objection(to table: WriteBehind.TableDefinition) -> SchemaError? {
        sink.objection(to: table)
    }
    func checkpoint() throws(SinkError) -> Watermark {
        failing.before()
        return try sink.checkpoint()
    }
    func close() throws(SinkError) {
        failing.before()
        try sink.close()
    }
}

/// Keeps what is logged.
struct CapturingLog: LogHandler {
    let lines: Locked<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(_ lines: Locked<[String]>) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.withLock { $0.append("\(event.level): \(event.message) \(event.metadata ?? [:])") }
    }
}

extension StoreError {
    /// Whether an error says that the task was cancelled.
    static func isCancelled(_ error: any Error) -> Bool {
        if case StoreError.cancelled = error { true } else { false }
    }
}
