import EventLog
import WriteBehindCore

import class GRDB.Database

/// Applies commits one by one inside a transaction, and puts the refused ones into quarantine.
///
/// A commit is refused if one of its statements breaks a constraint, or if a foreign key dangles after
/// its last statement. If it touches a key that quarantine holds, it must follow into quarantine; otherwise the
/// changes of that key would be applied out of order. A savepoint undoes a refused commit.
struct OrderedApply {
    let writer: SQLiteWriter
    let table: QuarantineTable
    var index: QuarantineIndex
    /// Commits that are known to roll back the whole transaction, and their errors.
    let known: [UInt64: SinkError]
    let now: Int64
    private let db: Database
    /// The tables as they are in this transaction, and the ones that it has changed.
    private var tables: [UInt32: TableSQL]
    private(set) var defined: [TableSQL] = []
    /// The commit that rolled back the whole transaction.
    private(set) var destroyer: UInt64?

    init(
        _ db: Database, writer: SQLiteWriter, tables: [UInt32: TableSQL], index: QuarantineIndex,
        known: [UInt64: SinkError], now: Int64
    ) throws(SinkError) {
        self.db = db
        self.writer = writer
        self.tables = tables
        table = try QuarantineTable(db)
        self.index = index
        self.known = known
        self.now = now
    }

    mutating func apply(_ commit: OrderedCommit) throws(SinkError) {
        var index = QuarantineIndex()
        swap(&index, &self.index)
        defer { swap(&index, &self.index) }
        try index.admit(commit, at: now) { (commit) throws(SinkError) in try attempt(commit) }
    }

    /// Tries a quarantined commit again.
    mutating func retry(_ commit: OrderedCommit, in pass: inout RetryPass) throws(SinkError) {
        var index = QuarantineIndex()
        swap(&index, &self.index)
        defer { swap(&index, &self.index) }
        try index.readmit(commit, in: &pass, at: now) { (commit) throws(SinkError) in
            try attempt(commit)
        }
    }

    /// Stores the changes of quarantine, and returns them.
    mutating func save() throws(SinkError) -> QuarantineIndex.Changes {
        let changes = index.takeChanges()
        try table.save(changes, of: index)
        return changes
    }

    /// Applies a commit, or returns the reason why not and leaves nothing of it behind.
    private mutating func attempt(_ commit: OrderedCommit) throws(SinkError) -> SinkError? {
        if let error = known[commit.firstSequence] { return error }
        try writer.beginCommit()
        do throws(SinkError) {
            let definitions = try CommitReader.definitions(in: commit.records.span)
            for definition in definitions { try define(definition) }
            var changes: [RowTransition] = []
            if definitions.isEmpty {
                changes = try CommitReader.apply(
                    commit, to: writer, noting: writer.projections.followed)
            }
            guard !writer.hasDanglingForeignKey() else { throw .danglingForeignKey }
            try writer.projections.run(changes, db, writer)
        } catch {
            guard error.kind == .constraint || isOfDefinition(commit) && error.isRefusalOfDefinition
            else { throw error }
            guard !writer.transactionIsGone else {
                destroyer = commit.firstSequence
                throw error
            }
            try writer.undoCommit()
            return error
        }
        do throws(SinkError) {
            try writer.keepCommit()
        } catch {
            // A virtual table may buffer its changes, and refuse them only after the savepoint was released.
            if error.kind == .constraint { destroyer = commit.firstSequence }
            throw error
        }
        return nil
    }
}

extension OrderedApply {
    private func isOfDefinition(_ commit: OrderedCommit) -> Bool {
        (try? CommitReader.definitions(in: commit.records.span).isEmpty) == false
    }

    /// Puts a definition from quarantine in place, for the commits that follow it.
    private mutating func define(_ definition: TableDefinition) throws(SinkError) {
        let sql = try SQLiteSink.write(definition, after: tables[definition.id], db)
        tables[definition.id] = sql
        defined.append(sql)
        writer.use(tables)
    }
}

/// Applies a commit's records.
extension CommitReader {
    /// - Parameter followed: the tables whose changes are returned.
    static func apply(
        _ commit: OrderedCommit, to writer: SQLiteWriter, noting followed: Set<UInt32> = []
    ) throws(SinkError) -> [RowTransition] {
        var changes: [RowTransition] = []
        let bytes = commit.records.span
        var reader = ByteReader(0..<bytes.count)
        var place = 0
        while !reader.isAtEnd {
            let record = try reader.sinkRecord(bytes)
            let sequence = commit.sequences?[place] ?? commit.firstSequence + UInt64(place)
            place += 1
            let key = bytes.extracting(record.key)
            guard followed.contains(record.table) else {
                try apply(record, bytes, to: writer, sequence)
                continue
            }
            let isOfRow = record.operation.isOfRow
            let old = isOfRow ? try writer.row(table: record.table, key: key) : nil
            try apply(record, bytes, to: writer, sequence)
            guard isOfRow || record.operation == .clear else { continue }
            changes.append(
                RowTransition(
                    table: record.table, operation: record.operation, sequence: sequence,
                    time: commit.time, key: Array(copying: key), old: old,
                    new: isOfRow ? try writer.row(table: record.table, key: key) : nil))
        }
        return changes
    }

    private static func apply(
        _ record: Record, _ bytes: Span<UInt8>, to writer: SQLiteWriter, _ sequence: UInt64
    ) throws(SinkError) {
        let kind: ChangeKind
        switch record.operation {
        case .put: kind = .put
        case .patch: kind = .patch
        case .add: kind = .add
        case .delete: kind = .delete
        case .clear: return try writer.clear(table: record.table)
        case .mark, .settle: return
        case .define, .preamble:
            throw SinkError(.schema, "sequence \(sequence): a schema among changes of rows")
        }
        try writer.apply(
            kind, table: record.table, key: bytes.extracting(record.key),
            body: bytes.extracting(record.body))
    }
}

extension SinkError {
    fileprivate static var danglingForeignKey: SinkError {
        SinkError(code: 787, "FOREIGN KEY constraint failed")  // SQLITE_CONSTRAINT_FOREIGNKEY
    }
}
