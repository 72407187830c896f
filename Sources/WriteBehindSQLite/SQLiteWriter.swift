import EventLog
import GRDB
import GRDBSQLite
import WriteBehindCore

/// The writing connection's statements, and the state that must stay the same between two transactions.
///
/// Unchecked, because nothing here is locked: an instance is used only inside the closures that the
/// pool runs for its one writing connection, and the pool runs these one after the other.
@safe final class SQLiteWriter: @unchecked Sendable {
    private let connection: OpaquePointer
    private let storeID: [UInt8]
    private var definitions: [UInt32: TableSQL] = [:]
    private var tables: [UInt32: TableWriter] = [:]
    private var lastTable: (id: UInt32, writer: TableWriter)?
    private let missed = AddsWithoutRow()
    /// What ``missed`` was before a commit that may be undone.
    private var missedBefore = 0
    /// The tables that this transaction has changed.
    private(set) var touched: Set<UInt32> = []
    let projections: SQLiteProjections
    /// For each table: the users' tables that triggers write when it changes. ``SchemaGuard`` finds them.
    private var triggered: [String: Set<String>] = [:]
    /// The version of the schema that ``SchemaGuard`` has checked.
    private var checkedSchema: Int64?
    /// The names that users had taken when the schema was last read.
    let userNames = Lock(UserNames())
    /// The watermark of the last transaction. No other program may change it.
    private(set) var watermark: Watermark
    /// The state of the file to which the WAL belongs.
    private(set) var generation: FileGeneration
    /// The length of the WAL at which a checkpoint is made without a request.
    private let checkpointBytes: Int64
    /// When a checkpoint that readers hold up is tried next, microseconds since 1970.
    private var checkpointAt: Int64 = 0
    private static let checkpointPause: Int64 = 2_000_000

    private let deferForeignKeys, advance, schemaVersion: PreparedStatement
    private let savepoint, release, rollBack: PreparedStatement
    private let ownSavepoint, ownRelease, ownRollBack: PreparedStatement

    @unsafe init(
        _ connection: OpaquePointer, storeID: [UInt8], watermark: Watermark,
        generation: FileGeneration, checkpointPages: Int, _ projections: SQLiteProjections
    ) throws(SinkError) {
        func statement(_ sql: String) throws(SinkError) -> PreparedStatement {
            unsafe try PreparedStatement(sql, on: connection)
        }
        unsafe self.connection = unsafe connection
        self.storeID = storeID
        self.watermark = watermark
        self.generation = generation
        self.projections = projections
        // A page in the WAL has a header.
        checkpointBytes = Int64(max(1, checkpointPages)) * 4_120
        deferForeignKeys = try statement("PRAGMA defer_foreign_keys = ON")
        schemaVersion = try statement("PRAGMA schema_version")
        savepoint = try statement("SAVEPOINT writebehind_commit")
        release = try statement("RELEASE writebehind_commit")
        rollBack = try statement("ROLLBACK TO writebehind_commit")
        ownSavepoint = try statement("SAVEPOINT writebehind_projection")
        ownRelease = try statement("RELEASE writebehind_projection")
        ownRollBack = try statement("ROLLBACK TO writebehind_projection")
        advance = try statement(
            """
            UPDATE _writebehind_watermark SET sequence = ?1, chain = ?2, applied_at = ?6, \
            generation = ?7, base = ?8 \
            WHERE log = ?3 AND sequence = ?4 AND chain = ?5
            """)
    }

    /// The users' tables that triggers write when rows of the store change.
    var tablesOfTriggers: Set<String> { triggered.values.reduce(into: []) { $0.formUnion($1) } }

    /// Does the first work of every transaction, once it holds the write lock.
    func begin(_ db: Database) throws(SinkError) {
        touched.removeAll(keepingCapacity: true)
        missed.count = 0
        lastTable = nil  // so that the first change to a table is noticed again
        guard try !fileHasMoved() else {
            throw SinkError(.gone, "the database file was moved or deleted while it was open")
        }
        try deferForeignKeys.run()
        let version = try currentSchema()
        guard version != checkedSchema else { return }
        db.clearSchemaCache()
        let names = try throwingSinkError { try UserNames(definitions.values, in: db) }
        userNames.withLock { $0 = names }
        let finding = try SchemaGuard.check(Array(definitions.values), in: db)
        triggered = finding.targets
        checkedSchema = finding.isComplete ? version : nil
    }

    /// Makes the checks of ``begin(_:)`` and changes nothing.
    func check(_ db: Database) throws {
        try db.inTransaction(.immediate) {
            try begin(db)
            return .rollback
        }
    }

    /// Throws if the store's statements do not compile with the schema inside the transaction.
    func recompile() throws(SinkError) {
        for sql in definitions.values {
            _ = unsafe try TableWriter(sql, on: connection, missed)
        }
    }

    /// Stores the watermark, if it is still the one of the last transaction.
    func advance(to new: Watermark, at now: Int64) throws(SinkError) {
        try advance.bind(Int64(bitPattern: new.sequence), at: 1)
        try advance.bind(Int64(bitPattern: new.chain), at: 2)
        try advance.bind(copying: storeID, asText: false, at: 3)
        try advance.bind(Int64(bitPattern: watermark.sequence), at: 4)
        try advance.bind(Int64(bitPattern: watermark.chain), at: 5)
        try advance.bind(now, at: 6)
        try advance.bind(generation.number, at: 7)
        try advance.bind(generation.base, at: 8)
        try advance.run()
        guard advance.changes == 1 else {
            throw SinkError(.gone, "another program changed the database's watermark")
        }
    }

    /// Notifies users' observations, which cannot see statements that GRDB did not run.
    func notify(_ db: Database) throws {
        var names: Set<String> = []
        for table in touched {
            guard let name = definitions[table]?.schema.name else { continue }
            names.insert(name)
            names.formUnion(triggered[name] ?? [])
        }
        for name in names {
            // Not `Table(name)`: GRDB does not escape a quote in a name.
            do {
                try db.notifyChanges(in: SQLRequest<Row>(sql: "SELECT * FROM \(quoted(name))"))
            } catch is DatabaseError {
                // For a table that has only a rowid, that query names no column, and GRDB asks for the columns, again
                // without escaping. This statement names the rowid; it is compiled but never run.
                try db.notifyChanges(
                    in: SQLRequest<Row>(sql: "DELETE FROM \(quoted(name)) WHERE rowid = 0"))
            }
        }
    }

    func didCommit(_ new: Watermark?) {
        if let new { watermark = new }
    }

    /// Copies the WAL into the database, as far as readers allow it.
    /// - Returns: whether everything is in the database now, and survives power loss.
    func checkpoint(_ db: Database, at now: Int64) throws -> Bool {
        let before = generation
        generation.begin()
        do {
            try mark(db, generation.mark, at: now)
        } catch {
            generation = before
            throw error
        }
        guard try copyAll(db) else { return false }
        try mark(db, generation.number, at: now)
        // If a reader has begun meanwhile, the next checkpoint writes the number.
        if try copyAll(db) { generation.base = generation.number }
        return true
    }

    private func mark(_ db: Database, _ header: Int64, at now: Int64) throws {
        try db.inTransaction(.immediate) {
            try begin(db)
            try advance(to: watermark, at: now)
            try db.execute(sql: "PRAGMA application_id = \(header)")
            return .commit
        }
    }

    private func copyAll(_ db: Database) throws -> Bool {
        try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)")?[0] == 0
    }

    /// Whether the WAL has become long. While readers hold a checkpoint up, it is not tried again for each commit.
    func isCheckpointDue(at now: Int64, isHeldUp: Bool) throws(SinkError) -> Bool {
        let byteCount = try unsafe DatabaseFiles(connection).walByteCount()
        guard byteCount >= checkpointBytes, !isHeldUp || now >= checkpointAt else { return false }
        checkpointAt = now + Self.checkpointPause
        return true
    }

    /// Uses these tables from now on.
    ///
    /// - Parameter version: the version of the schema that needs no further check; nil if it must be checked.
    func use(_ definitions: [UInt32: TableSQL], checkedAt version: Int64? = nil) {
        self.definitions = definitions
        tables = [:]
        lastTable = nil
        checkedSchema = version
    }

    /// The schema's version inside the transaction; nil if there are triggers, which may write a table that it
    /// defines. Without triggers a definition does not matter for other tables, so thousands of tables need not be
    /// checked for each definition.
    func versionWithoutTriggers(_ db: Database) throws -> Int64? {
        let trigger = "SELECT 1 FROM sqlite_master WHERE type = 'trigger'"
        return try Bool.fetchOne(db, sql: trigger) == nil ? currentSchema() : nil
    }

    @inline(__always)
    func apply(
        _ kind: ChangeKind, table: UInt32, key: Span<UInt8>, body: Span<UInt8>
    ) throws(SinkError) {
        try writer(for: table).apply(kind, key: key, body: body)
    }

    func clear(table: UInt32) throws(SinkError) { try writer(for: table).clearRows() }

    /// How many adds of this transaction found no row.
    var addsWithoutRow: Int { missed.count }
    func note(addsWithoutRow count: Int) { missed.count += count }

    @inline(__always)
    private func writer(for table: UInt32) throws(SinkError) -> TableWriter {
        if let lastTable, lastTable.id == table { return lastTable.writer }
        return try otherWriter(for: table)
    }

    private func otherWriter(for table: UInt32) throws(SinkError) -> TableWriter {
        guard let definition = definitions[table] else {
            throw SinkError(.schema, "table \(table) is not defined in the database")
        }
        let writer: TableWriter
        if let known = tables[table] {
            writer = known
        } else {
            writer = unsafe try TableWriter(definition, on: connection, missed)
            tables[table] = writer
        }
        touched.insert(table)
        lastTable = (table, writer)
        return writer
    }

    // The savepoint of one commit of several in a transaction.
    func beginCommit() throws(SinkError) {
        missedBefore = missed.count
        try savepoint.run()
    }
    func keepCommit() throws(SinkError) { try release.run() }
    func undoCommit() throws(SinkError) {
        missed.count = missedBefore
        try rollBack.run()
        try release.run()
    }

    // The savepoint of one commit for a projection.
    func beginProjection() throws(SinkError) { try ownSavepoint.run() }
    func keepProjection() throws(SinkError) { try ownRelease.run() }
    func undoProjection() throws(SinkError) {
        try ownRollBack.run()
        try ownRelease.run()
    }

    /// The row as it is inside the transaction; nil if there is none.
    func row(table: UInt32, key: Span<UInt8>) throws(SinkError) -> [UInt8]? {
        try writer(for: table).row(key)
    }

    /// The names of the store's tables, folded.
    var tableNames: Set<[UInt8]> { Set(definitions.values.map { foldedName($0.schema.name) }) }

    /// Whether the transaction was rolled back, as after a trigger's RAISE(ROLLBACK).
    var transactionIsGone: Bool { unsafe sqlite3_get_autocommit(connection) != 0 }

    /// Whether a foreign key in this transaction points to a row that does not exist. Undoing a commit also undoes
    /// its foreign keys, so between commits this is false.
    func hasDanglingForeignKey() -> Bool {
        var current: Int32 = 0
        var highest: Int32 = 0
        _ = unsafe sqlite3_db_status(
            connection, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0)
        return current != 0
    }

    func currentSchema() throws(SinkError) -> Int64 {
        defer { schemaVersion.reset() }
        guard try schemaVersion.step(), case .integer(let version) = schemaVersion.value(0) else {
            throw SinkError(.corrupt, "the database has no schema version")
        }
        return version
    }

    private func fileHasMoved() throws(SinkError) -> Bool {
        var moved: Int32 = 0
        let code = unsafe sqlite3_file_control(
            connection, "main", SQLITE_FCNTL_HAS_MOVED, &moved)
        // A database in memory has no file.
        if code == SQLITE_NOTFOUND { return false }
        guard code == SQLITE_OK else {
            throw unsafe SinkError(code, on: connection, doing: "looking for the database file")
        }
        return moved != 0
    }
}
