import EventLog
import GRDB
import WriteBehindCore

/// Runs projections on the writing connection: each commit of a table that one follows, in the transaction that
/// applies it.
///
/// A commit's rows are written first, and then each projection gets its changes in a savepoint of its own, inside the one
/// of the commit. So what it does goes with the commit if that is refused, and its own error takes back nothing else.
///
/// Unchecked, because nothing here is locked but ``shown``: like ``SQLiteWriter``, it is used only inside the closures
/// that the pool runs for its one writing connection.
final class SQLiteProjections: @unchecked Sendable {
    /// The state that other threads see.
    struct Shown {
        var book = ProjectionBook()
        var watermark: Watermark
        var buildings: [String: Int] = [:]
        var failures: [String: StoredProjection.Failure] = [:]
        var stopped: Set<String> = []
        /// The table whose changes go to one that is being built.
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
    /// As of the last transaction.
    private(set) var book = ProjectionBook()
    /// As of this transaction.
    private var next = ProjectionBook()
    private var current: [ProjectionDeclaration] = []
    /// The tables whose changes are to be noted in this transaction.
    private(set) var followed: Set<UInt32> = []
    /// The projection that is being built, and the changes of this transaction for it.
    var build: ProjectionBuild?
    private var transitions: [RowTransition] = []
    private var transitionBytes = 0
    /// Why projections cannot be built.
    private var failures: [String: StoredProjection.Failure] = [:]
    /// Those of them whose own code does.
    private(set) var stopped: Set<String> = []
    /// When building is tried again after errors of the machine, microseconds since 1970, and after how many.
    private var retries: [String: (time: Int64, count: Int)] = [:]
    /// Projections that have ended a whole transaction, at which commit and how: it runs again, and there they stop.
    private var enders: [String: Ender] = [:]
    private var hasEndedTransaction = false
    /// How many errors of the machine a projection had, one after the other, at which commit.
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

    /// Notes that the transaction changes rows of `tables`, and what the watermark will be.
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

    /// Uses what a transaction has made of it, by other means than commits of the log.
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
        // Without it the transaction fails as well: so the machine is to blame indeed.
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
            // The savepoint or the whole transaction is gone, by statements of the projection's.
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

    /// Runs the program's code. Returns why it must not stay.
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
            if let error = error as? DatabaseError, error.isOfTheMachine {
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

    /// Throws an error of the machine, so that the transaction is tried again, unless the projection had too many of them:
    /// what a closure does can be the cause, too. To SQLite, a table without a free AUTOINCREMENT key is a full disk.
    private func endure(
        _ error: DatabaseError, of name: String, at sequence: UInt64
    ) throws(SinkError) {
        let last = machineErrors[name]
        let count = last?.sequence == sequence ? (last?.count ?? 0) + 1 : 1
        machineErrors[name] = (sequence, count)
        guard count < Self.machineErrorLimit else { return }
        var error = SinkError(wrapping: error)
        // Whether the database's file is another one, the store's own statements find out.
        if error.kind == .gone { error.kind = .io }
        error.message = "projection \(quoted(name)): \(error.message)"
        throw error
    }

    /// Commits before the one that fails succeed again at each attempt.
    private func forgetMachineErrors(of name: String, at sequence: UInt64) {
        if machineErrors[name]?.sequence == sequence { machineErrors[name] = nil }
    }

    /// The materializer takes about a second for so many attempts.
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

    /// Keeps changes for the projection that is being built, or gives that up if they are too much for memory.
    private func keep(_ changes: [RowTransition]) {
        transitions += changes
        transitionBytes += changes.reduce(0) {
            $0 + $1.key.count + ($1.old?.count ?? 0) + ($1.new?.count ?? 0)
        }
        guard transitionBytes > Self.transitionLimit else { return }
        clearTransitions()
        attempt { _ throws(ProjectionBuild.Trouble) in
            throw ProjectionBuild.Trouble(
                "more than 64 MiB of its table changed at once; it begins anew", mayPass: true)
        }
    }

    private static let transitionLimit = 64 << 20

    /// Gives changes that are committed to the projection that is being built. An error of the machine lets it begin anew.
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

    /// Whether its build, though all rows were read, is not worth to be kept.
    func failsOften(_ name: String) -> Bool { (retries[name]?.count ?? 0) >= 5 }

    /// Nothing is left of an attempt to build it.
    func forget(_ name: String) {
        if build?.declaration.name == name { build = nil }
        failures[name] = nil
        stopped.remove(name)
        retries[name] = nil
        machineErrors[name] = nil
    }
}
