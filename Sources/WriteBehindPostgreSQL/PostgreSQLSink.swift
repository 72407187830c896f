import EventLog
import WriteBehindCore

/// A PostgreSQL database that the log is materialized into: real tables with real columns, and the store's own tables
/// beside them (``StoreTables``).
///
/// One session writes, and a claim makes it the only one (``Claim``). Others read, on threads of their own. Once the
/// server is lost, or the way to it, the sink is of no use any more: what was asked last may have been done. Another
/// one is opened in its place, which claims the database first and so learns how far it has come.
final class PostgreSQLSink: Sink {
    struct State {
        var tables: [UInt32: PostgreSQLTable] = [:]
        var quarantine = QuarantineIndex()
        /// The order that foreign keys give the tables, if there are any: each level refers to those before it.
        var levels: [Set<UInt32>] = []
        /// The declared unique constraints that rows break, and so are not in force.
        var leftOut: [UInt32: [SQLIndexDefinition]] = [:]
        /// Why an index could not be made, for another reason than that.
        var indexFault: String?
        /// How often a commit alone was refused in words that explain nothing.
        var attempts: [UInt64: Int] = [:]
        /// Another store has claimed the database.
        var fenced: SinkError?
        var isClosed = false
        /// Since they were taken.
        var addsWithoutRow = 0
        /// The session that had a lock when the last statement waited for one.
        var lockHolder: String?
        var watermark: Watermark
    }

    let store: [UInt8]
    let options: PostgreSQLOptions
    let version: Int64
    let state: Lock<State>
    private let writer: Lock<PostgreSQLWriter?>
    private let stop: PostgreSQLStop
    let readers: ReadSessions

    /// Opens the store's part of the database, and makes it with `origin` as its watermark if it is not there.
    init(
        _ options: PostgreSQLOptions, store: [UInt8], origin: Watermark, _ claims: Claims,
        _ startThread: @escaping StartThread = NamedThread.start
    ) throws(SinkError) {
        self.options = options
        self.store = store
        let stop = PostgreSQLStop()
        self.stop = stop
        readers = ReadSessions(options, startThread)
        let connection = try PostgreSQLConnection(options, stop: stop)
        if connection.isPooled {
            // A pooler of transactions lends the process of a session that is idle to the next one.
            let other = try PostgreSQLConnection(options, stop: stop)
            guard other.process != connection.process else { throw .pooled }
        }
        let claimed = try PostgreSQLWriter.claim(
            connection, options, store: store, origin: origin, claims)
        let new = claimed.writer
        version = new.claim.version
        var state = State(watermark: new.watermark)
        for table in claimed.tables {
            state.tables[table.id] = PostgreSQLTable(table, in: options.namespace)
        }
        state.quarantine = claimed.quarantine
        self.state = Lock(state)
        writer = Lock(new)
        try checkTables()
        try makeIndices()
        let pid = new.pid
        connection.whileWaiting = { [weak self] in self?.findLockHolder(of: pid) }
    }

    /// What is not closed by then belongs to a store that ends like a killed process.
    deinit { try? close() }

    var tables: [TableDefinition] {
        state.withLock { $0.tables.values.map(\.definition) }.sorted { $0.id < $1.id }
    }

    var hasOtherStores: Bool { true }

    func watermark() throws(SinkError) -> Watermark {
        let (watermark, fault) = state.withLock { ($0.watermark, Self.fault($0)) }
        if let fault { throw fault }
        return watermark
    }

    var quarantine: QuarantineIndex { state.withLock(\.quarantine) }

    func apply(_ batch: some SortedChanges) throws(SinkError) {
        let (quarantine, tables, levels) = state.withLock { ($0.quarantine, $0.tables, $0.levels) }
        try quarantine.refuse(batch)
        do throws(SinkError) {
            let missed = try transaction(through: batch.through) { writer throws(SinkError) in
                var rows = BatchWriter(writer.connection, tables, options, store: store)
                try rows.apply(batch, levels: levels)
                return rows.addsWithoutRow
            }
            state.withLock { $0.addsWithoutRow += missed }
        } catch {
            guard error.isUnexplained else { throw error }
            // One of its commits may be to blame: in order, the others get through.
            throw SinkError(.constraint, code: error.code, error.message)
        }
    }

    func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        try ordered(through: through) { apply throws(SinkError) in
            try apply.admit(commits[...])
            return try apply.save()
        }
    }

    func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes {
        var result = pass
        let changes = try ordered(through: nil) { apply throws(SinkError) in
            result = pass
            apply.index.follow(&result)
            try apply.readmit(commits[...], in: &result)
            if isLast { apply.index.replace(with: result.left) }
            return try apply.save()
        }
        pass = result
        return changes
    }

    /// Runs ordered commits in one transaction. What it leaves in quarantine is shown once that is committed.
    private func ordered(
        through: Watermark?,
        _ body: (inout CommitWriter) throws(SinkError) -> QuarantineIndex.Changes
    ) throws(SinkError) -> QuarantineIndex.Changes {
        let state = state.withLock { $0 }
        var apply: CommitWriter?
        defer { if let apply { self.state.withLock { $0.attempts = apply.attempts } } }
        let changes = try transaction(through: through) { writer throws(SinkError) in
            var new = CommitWriter(
                writer, state.tables, state.levels, state.quarantine, state.attempts, store)
            defer { apply = new }
            return try body(&new)
        }
        guard let apply else { return changes }
        self.state.withLock {
            $0.quarantine = apply.index
            $0.tables = apply.tables
            $0.addsWithoutRow += apply.addsWithoutRow
        }
        if apply.hasDefined {
            // What was done is committed, and its caller must know.
            try? checkTables()
            try? makeIndices()
        }
        return changes
    }

    func takeAddsWithoutRow() -> Int {
        state.withLock { state in
            defer { state.addsWithoutRow = 0 }
            return state.addsWithoutRow
        }
    }

    // MARK: the writing session

    /// Runs `body` in one transaction with the watermark.
    func transaction<Result>(
        through: Watermark?, isKept: Bool = false,
        _ body: (PostgreSQLWriter) throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        try withWriter { writer throws(SinkError) in
            let result = try writer.transaction(through: through, isKept: isKept) {
                () throws(SinkError) in
                try body(writer)
            }
            state.withLock { [watermark = writer.watermark] in
                $0.watermark = watermark
                $0.lockHolder = nil
            }
            return result
        }
    }

    /// Runs `body` where the writing session may be used.
    func withWriter<Result>(
        _ body: (PostgreSQLWriter) throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        if let fault = state.withLock({ Self.fault($0) }) { throw fault }
        // Sent out of the lock: a result of `body` is nothing of the session's.
        nonisolated(unsafe) var result: Result?
        try writer.withLock { (writer) throws(SinkError) in
            guard let writer else { throw SinkError(.gone, "the database is closed") }
            do throws(SinkError) {
                unsafe result = try body(writer)
            } catch {
                if error.kind == .foreignDatabase { state.withLock { $0.fenced = error } }
                throw error
            }
        }
        // Without a result `body` threw, and so did the lock.
        return unsafe result!
    }

    private static func fault(_ state: State) -> SinkError? {
        if state.isClosed { return SinkError(.gone, "the database is closed") }
        return state.fenced
    }

    /// Throws what keeps reads from being right.
    func checkOpen() throws(SinkError) {
        if let fault = state.withLock({ Self.fault($0) }) { throw fault }
    }

    func checkpoint() throws(SinkError) -> Watermark {
        try checkTables()
        try keep(within: .max)
        return try watermark()
    }

    /// A commit that waits until it is on the disk, and with it all before it.
    func keep(within nanoseconds: UInt64) throws(SinkError) {
        try withWriter { writer throws(SinkError) in
            writer.connection.answerLimit = nanoseconds
            defer { writer.connection.answerLimit = .max }
            try writer.transaction(through: nil, isKept: true) { () throws(SinkError) in }
        }
    }

    /// A server that was killed forgets its last transactions, and the session ends with it.
    func look() throws(SinkError) -> UInt64? {
        try withWriter { writer throws(SinkError) in try writer.connection.look() }
        return 1_000_000_000
    }

    func close() throws(SinkError) {
        state.withLock { $0.isClosed = true }
        stop.set()
        readers.close()
        writer.withLock { $0 = nil }
    }

    // MARK: words

    /// Called while a statement waits: afterwards the server could not say any more for whom.
    private func findLockHolder(of pid: Int64) {
        var parameters = PostgreSQLParameters()
        parameters.append(pid)
        let question = parameters
        try? readers.begin { connection throws(SinkError) in
            let rows = try connection.run(
                """
                SELECT format('process %s of the server (role %s, application %s, %s)', pid, usename, \
                coalesce(nullif(application_name, ''), '?'), coalesce(state, '?')) \
                FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1::bigint::integer)) LIMIT 1
                """, question)
            return rows.rowCount == 1 ? rows.text(0, 0) : nil
        } end: { [weak self] answer in
            guard case .success(let holder?) = answer else { return }
            self?.state.withLock {
                $0.lockHolder = "\(holder) has a lock that a write waits for"
            }
        }
    }

    func lockHolder() -> String? { state.withLock(\.lockHolder) }

    func concern() -> String? {
        let (leftOut, tables, fault) = state.withLock { ($0.leftOut, $0.tables, $0.indexFault) }
        return SQLIndexDefinition.concern(leftOut) { tables[$0]?.schema.name ?? "" } ?? fault
    }
}
