import EventLog
import GRDB
import WriteBehindCore

/// Runs projections on the writing connection: if a projection follows a table, it gets each commit of the table in the
/// transaction that applies the commit.
///
/// A commit's rows are written first. Then each projection gets the changes in its own savepoint, inside the commit's
/// savepoint. So if the commit is refused, the work of its projections is undone with it, and an error of a projection
/// undoes nothing else.
///
/// Unchecked, because only ``shown`` is locked: like ``SQLiteWriter``, everything else is used only inside the closures
/// that the pool runs for its one writing connection.
final class SQLiteProjections: @unchecked Sendable {
    /// The state that other threads see.
    struct Shown {
        var book = ProjectionBook()
        var watermark: Watermark
        var buildings: [String: Int] = [:]
        var failures: [String: StoredProjection.Failure] = [:]
        var stopped: Set<String> = []
        /// The table of the projection that is being built.
        var tableOfBuild: UInt32?
    }

    private struct Ender {
        var sequence: UInt64
        var message: String
        var isOfTheMachine: Bool
    }

    let registry: ProjectionRegistry
    let now: @Sendable () -> Int64
    let shown: Lock<Shown>
    /// The state as of the last transaction.
    private(set) var book = ProjectionBook()
    /// The state as of this transaction.
    private var next = ProjectionBook()
    private var current: [ProjectionDeclaration] = []
    /// The tables whose changes must be noted in this transaction.
    private(set) var followed: Set<UInt32> = []
    /// The projection that is being built, and the changes of this transaction for it.
    var build: ProjectionBuild?
    private var transitions: [RowTransition] = []
    private var transitionBytes = 0
    /// Why projections cannot be built.
    private var failures: [String: StoredProjection.Failure] = [:]
    /// Those of them whose own code is the cause.
    private(set) var stopped: Set<String> = []
    /// After errors of the machine: when building is tried again, microseconds since 1970, and how many errors there were.
    private var retries: [String: (time: Int64, count: Int)] = [:]
    /// Projections that have ended a whole transaction, with the commit and the error. The transaction runs again, and they
    /// stop at that commit.
    private var enders: [String: Ender] = [:]
    private var hasEndedTransaction = false
    /// How many errors of the machine in a row a projection had, and at which commit.
    private var machineErrors: [String: (sequence: UInt64, count: Int)] = [:]
    private var fence: ProjectionFence?

    init(
        _ db: Database, at watermark: Watermark, _ registry: ProjectionRegistry,
        now: @escaping @Sendable () -> Int64
    ) throws {
        self.registry = registry
        self.now = now
        shown = Lock(Shown(watermark: watermark))
        book.stored = try ProjectionTable.load(db)
        show(at: watermark)
    }

    // MARK: a transaction

    func begin(at watermark: Watermark) {
        next = book
        next.declared = registry.declared
        clearTransitions()
        (current, followed) = ([], [])
        guard !next.isEmpty else { return }
        current = next.declared(.current, at: watermark)
        followed = Set(current.map(\.table))
        if let build { followed.insert(build.declaration.table) }
    }

    /// Notes that the transaction changes rows of `tables`, and the watermark after it.
    func finish(
        _ db: Database, from old: Watermark, to new: Watermark, changing tables: Set<UInt32>
    ) throws(SinkError) {
        guard !next.stored.isEmpty else { return }
        for projection in next.advance(from: old, to: new, changing: tables) {
            try throwingSinkError { try ProjectionTable.move(projection, db) }
        }
    }

    /// The transaction is committed.
    func didCommit(at watermark: Watermark) {
        enders = [:]
        guard !book.isEmpty || !next.isEmpty || build != nil else { return }
        book = next
        if !transitions.isEmpty { deliver(transitions) }
        clearTransitions()
        show(at: watermark)
    }

    /// Notes the new state of a projection that the transaction changes by other means than commits of the log.
    func note(_ stored: StoredProjection?, named name: String) { next.stored[name] = stored }

    func show(at watermark: Watermark) {
        let buildings = build.map { [$0.declaration.name: $0.rowCount] } ?? [:]
        shown.withLock { shown in
            shown.book.stored = book.stored
            shown.watermark = watermark
            shown.buildings = buildings
            (shown.failures, shown.stopped) = (failures, stopped)
            shown.tableOfBuild = build?.declaration.table
        }
    }

    /// Whether a projection has ended the transaction that failed; it runs again then.
    func takeEnd() -> Bool {
        defer { hasEndedTransaction = false }
        // The transaction fails without the projection as well, so the machine is the cause.
        if !hasEndedTransaction { enders = enders.filter { !$0.value.isOfTheMachine } }
        return hasEndedTransaction
    }

    // MARK: a commit

    /// The rows of a commit are written.
    func run(
        _ changes: [RowTransition], _ db: Database, _ writer: SQLiteWriter
    ) throws(SinkError) {
        guard let first = changes.first else { return }
        if let table = build?.declaration.table {
            keep(changes.filter { $0.table == table })
        }
        for projection in current where next.stored[projection.name]?.failure == nil {
            let own = changes.filter { $0.table == projection.table }
            guard !own.isEmpty else { continue }
            if let end = enders[projection.name], end.sequence == first.sequence {
                try stop(projection, end.message, at: first.sequence, db)
                continue
            }
            try run(projection, own, at: first.sequence, db, writer)
        }
    }

    private func run(
        _ projection: ProjectionDeclaration, _ changes: [RowTransition], at first: UInt64,
        _ db: Database, _ writer: SQLiteWriter
    ) throws(SinkError) {
        try writer.beginProjection()
        let message = try perform(projection, changes, at: first, db, writer)
        do throws(SinkError) {
            guard !writer.transactionIsGone else { throw Self.ended }
            try message == nil ? writer.keepProjection() : writer.undoProjection()
        } catch {
            // Statements of the projection have ended the savepoint or the whole transaction.
            let isOfTheMachine = machineErrors[projection.name]?.sequence == first
            let detail = message.map { isOfTheMachine ? $0 : "\(Self.ended.message): \($0)" }
            enders[projection.name] = Ender(
                sequence: first, message: detail ?? Self.ended.message,
                isOfTheMachine: isOfTheMachine)
            hasEndedTransaction = true
            throw Self.ended
        }
        if let message { try stop(projection, message, at: first, db) }
    }

    private static var ended: SinkError {
        SinkError(.schema, "it ended the transaction; only the store commits")
    }

    /// Runs the program's code. Returns why its work must be undone; nil if it may stay.
    private func perform(
        _ projection: ProjectionDeclaration, _ changes: [RowTransition], at first: UInt64,
        _ db: Database, _ writer: SQLiteWriter
    ) throws(SinkError) -> String? {
        guard let effects = projection.effects as? ProjectionEffects else {
            return "it is not one for SQLite"
        }
        let version = try writer.currentSchema()
        let fence = fence(on: db)
        fence.begin(protecting: writer.tableNames)
        defer { fence.end() }
        do {
            for change in changes { try effects.apply(change, db) }
        } catch {
            if let error = try machineError(error, db) {
                try endure(error, of: projection.name, at: first)
            } else {
                forgetMachineErrors(of: projection.name, at: first)
            }
            return fence.violation ?? "\(error)"
        }
        forgetMachineErrors(of: projection.name, at: first)
        if let violation = fence.violation { return violation }
        if writer.transactionIsGone { return nil }
        if writer.hasDanglingForeignKey() { return "a row of its refers to one that is not there" }
        if try writer.currentSchema() != version { return Self.changedSchema }
        return nil
    }

    /// The error if the machine, or damage of the store's own database, is to blame for it.
    private func machineError(
        _ error: any Error, _ db: Database
    ) throws(SinkError) -> DatabaseError? {
        guard let error = error as? DatabaseError, error.isOfTheMachine else { return nil }
        guard error.resultCode == .SQLITE_CORRUPT else { return error }
        return try db.isDamaged() ? error : nil
    }

    /// Throws an error of the machine, so that the transaction is tried again, unless the projection had too many of them.
    /// A closure can be the cause of such an error: for SQLite, a table without a free AUTOINCREMENT key is a full disk.
    private func endure(
        _ error: DatabaseError, of name: String, at sequence: UInt64
    ) throws(SinkError) {
        let last = machineErrors[name]
        let count = last?.sequence == sequence ? (last?.count ?? 0) + 1 : 1
        machineErrors[name] = (sequence, count)
        guard count < Self.machineErrorLimit else { return }
        var error = SinkError(wrapping: error)
        // `.gone` is only for the store's own database, whose own statements find out whether it was replaced.
        if error.kind == .gone { error.kind = .io }
        error.message = "projection \(quoted(name)): \(error.message)"
        throw error
    }

    /// Commits before the one that fails succeed again at each attempt.
    private func forgetMachineErrors(of name: String, at sequence: UInt64) {
        if machineErrors[name]?.sequence == sequence { machineErrors[name] = nil }
    }

    /// The materializer takes about a second for this many attempts.
    private static let machineErrorLimit = 8

    static let changedSchema = "it changed the schema; tables are made in setUp"

    private func fence(on db: Database) -> ProjectionFence {
        if let fence { return fence }
        let new = ProjectionFence()
        db.add(transactionObserver: new, extent: .databaseLifetime)
        fence = new
        return new
    }

    private func stop(
        _ projection: ProjectionDeclaration, _ message: String, at sequence: UInt64,
        _ db: Database
    ) throws(SinkError) {
        let failure = StoredProjection.Failure(message: message, sequence: sequence, since: now())
        next.stored[projection.name]?.failure = failure
        try throwingSinkError { try ProjectionTable.stop(projection.name, failure, db) }
    }

    // MARK: building

    private func clearTransitions() {
        transitions.removeAll(keepingCapacity: true)
        transitionBytes = 0
    }

    /// Keeps changes for the projection that is being built, or gives the build up if they take too much memory.
    private func keep(_ changes: [RowTransition]) {
        transitions += changes
        transitionBytes += changes.reduce(0) {
            $0 + $1.key.count + ($1.old?.count ?? 0) + ($1.new?.count ?? 0)
        }
        guard transitionBytes > Self.transitionLimit else { return }
        clearTransitions()
        attempt { _ throws(ProjectionBuild.Trouble) in
            throw ProjectionBuild.Trouble(
                "more than 64 MiB of its table changed at once; it starts again", mayPass: true)
        }
    }

    private static let transitionLimit = 64 << 20

    /// Gives committed changes to the projection that is being built. After an error of the machine, the build starts from
    /// the beginning.
    private func deliver(_ changes: [RowTransition]) {
        attempt { build throws(ProjectionBuild.Trouble) in try build.follow(changes) }
    }

    /// - Returns: whether the build is still under way.
    @discardableResult
    func attempt(
        _ body: (ProjectionBuild) throws(ProjectionBuild.Trouble) -> Void
    ) -> Bool {
        guard let build else { return false }
        do throws(ProjectionBuild.Trouble) {
            try body(build)
            return true
        } catch {
            self.build = nil
            note(error, of: build.declaration)
            return false
        }
    }

    func note(_ trouble: ProjectionBuild.Trouble, of projection: ProjectionDeclaration) {
        failures[projection.name] = StoredProjection.Failure(
            message: trouble.message, sequence: 0,
            since: failures[projection.name]?.since ?? now())
        if trouble.mayPass {
            retries[projection.name] = (
                now() + Self.pause, (retries[projection.name]?.count ?? 0) + 1
            )
        } else {
            stopped.insert(projection.name)
        }
    }

    /// Microseconds.
    private static let pause: Int64 = 1_000_000

    /// When a projection may be built, microseconds since 1970.
    func dueTime(of name: String) -> Int64 { retries[name]?.time ?? 0 }

    /// Whether its build has failed so often that it is not kept, although all rows were read.
    func failsOften(_ name: String) -> Bool { (retries[name]?.count ?? 0) >= 5 }

    /// Drops everything about building it.
    func forget(_ name: String) {
        if build?.declaration.name == name { build = nil }
        failures[name] = nil
        stopped.remove(name)
        retries[name] = nil
        machineErrors[name] = nil
    }
}
