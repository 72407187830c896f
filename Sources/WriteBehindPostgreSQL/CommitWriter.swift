import EventLog
import WriteBehindCore

/// Applies commits in the order of the log inside a transaction, and puts into quarantine what is refused.
///
/// Many commits share a savepoint, and are coalesced as in a batch. If something of them is refused, each half is tried
/// by itself, until a commit is alone: so a few that are refused among thousands cost few savepoints, each of which
/// takes a transaction's number from the server. A commit alone that is refused is tried once more, record by record.
struct CommitWriter {
    private let writer: PostgreSQLWriter
    private let store: [UInt8]
    private let levels: [Set<UInt32>]
    private(set) var tables: [UInt32: PostgreSQLTable]
    private(set) var hasDefined = false
    /// How many adds found no row.
    private(set) var addsWithoutRow = 0
    var index: QuarantineIndex
    /// How often a commit alone was refused in words that explain nothing.
    private(set) var attempts: [UInt64: Int]

    private var spare: ChangeBatch?

    private static let attemptLimit = 3

    init(
        _ writer: PostgreSQLWriter, _ tables: [UInt32: PostgreSQLTable], _ levels: [Set<UInt32>],
        _ index: QuarantineIndex, _ attempts: [UInt64: Int], _ store: [UInt8]
    ) {
        (self.writer, self.tables, self.levels) = (writer, tables, levels)
        (self.index, self.attempts, self.store) = (index, attempts, store)
    }

    /// Writes down what has become of quarantine, and returns it.
    mutating func save() throws(SinkError) -> QuarantineIndex.Changes {
        let changes = index.takeChanges()
        try QuarantineTables(writer.connection, store).save(changes, of: index)
        return changes
    }

    /// What a commit goes through: `attempt` applies it whole, or returns why not.
    private typealias Passage = (
        _ commit: OrderedCommit, _ index: inout QuarantineIndex, _ pass: inout RetryPass,
        _ attempt: (OrderedCommit) throws(SinkError) -> SinkError?
    ) throws(SinkError) -> Void

    mutating func admit(_ commits: ArraySlice<OrderedCommit>) throws(SinkError) {
        var pass = RetryPass()
        let now = writer.options.now()
        try run(commits, &pass) { (commit, index, _, attempt) throws(SinkError) in
            try index.admit(commit, at: now, attempt: attempt)
        }
    }

    /// Tries quarantined commits again.
    mutating func readmit(
        _ commits: ArraySlice<OrderedCommit>, in pass: inout RetryPass
    ) throws(SinkError) {
        let now = writer.options.now()
        try run(commits, &pass) { (commit, index, pass, attempt) throws(SinkError) in
            try index.readmit(commit, in: &pass, at: now, attempt: attempt)
        }
    }

    private mutating func run(
        _ commits: ArraySlice<OrderedCommit>, _ pass: inout RetryPass, _ passage: Passage
    ) throws(SinkError) {
        guard let first = commits.first else { return }
        if commits.count == 1 { return try alone(first, &pass, passage) }
        if try together(commits, &pass, passage) { return }
        let middle = commits.startIndex + commits.count / 2
        try run(commits[..<middle], &pass, passage)
        try run(commits[middle...], &pass, passage)
    }

    /// Applies all of some commits that need not follow others into quarantine; false, with nothing done, if that is
    /// not possible.
    private mutating func together(
        _ commits: ArraySlice<OrderedCommit>, _ pass: inout RetryPass, _ passage: Passage
    ) throws(SinkError) -> Bool {
        for commit in commits where try isOfDefinitions(commit) { return false }
        let before = (index, pass)
        var index = index
        let batch = try makeBatch()
        for commit in commits {
            try passage(commit, &index, &pass) { (commit) throws(SinkError) in
                try Self.append(commit, to: batch)
                return nil
            }
        }
        self.index = index
        guard
            let error = try attempt({ writer throws(SinkError) in
                try writer.apply(batch, levels: writer.levels)
            })
        else {
            return true
        }
        (self.index, pass) = before
        guard error.kind == .constraint || error.isUnexplained else { throw error }
        return false
    }

    private mutating func alone(
        _ commit: OrderedCommit, _ pass: inout RetryPass, _ passage: Passage
    ) throws(SinkError) {
        var index = QuarantineIndex()
        swap(&index, &self.index)
        defer { swap(&index, &self.index) }
        try passage(commit, &index, &pass) { (commit) throws(SinkError) in
            try self.attempt(alone: commit)
        }
    }

    /// Applies a commit, or says why not and leaves nothing of it behind.
    private mutating func attempt(alone commit: OrderedCommit) throws(SinkError) -> SinkError? {
        let definitions = try CommitReader.definitions(in: commit.records.span)
        var error = try attempt { writer throws(SinkError) in
            for definition in definitions { try writer.define(definition) }
            guard definitions.isEmpty else { return }
            let batch = try writer.makeBatch()
            try Self.append(commit, to: batch)
            try writer.apply(batch, levels: writer.levels)
        }
        if error?.kind == .constraint, definitions.isEmpty, try makesShared(commit) {
            let again = try attempt(makingDefaults: commit)
            if again?.kind != .constraint { error = again }
        }
        if error?.kind == .constraint, definitions.isEmpty, commit.recordCount > 1 {
            error = try attempt { writer throws(SinkError) in try writer.applyEach(of: commit) }
        }
        guard let error else {
            attempts[commit.firstSequence] = nil
            return nil
        }
        if error.kind == .constraint || !definitions.isEmpty && error.isRefusalOfDefinition {
            return error
        }
        guard error.isUnexplained else { throw error }
        let count = attempts[commit.firstSequence, default: 0] + 1
        attempts[commit.firstSequence] = count
        guard count >= Self.attemptLimit else { throw error }
        attempts[commit.firstSequence] = nil
        return error
    }

    /// Applies a commit alone, and makes rows of shared tables from their defaults first.
    private mutating func attempt(
        makingDefaults commit: OrderedCommit
    ) throws(SinkError) -> SinkError? {
        try attempt { writer throws(SinkError) in
            let batch = try writer.makeBatch()
            try Self.append(commit, to: batch)
            try writer.apply(batch, levels: writer.levels, makesDefaults: true)
        }
    }

    /// Whether a commit adds to rows of shared tables, which it would make.
    private func makesShared(_ commit: OrderedCommit) throws(SinkError) -> Bool {
        var found = false
        try Self.forEachChange(of: commit) { (record, _, _) throws(SinkError) in
            let isShared = tables[record.table]?.schema.isShared ?? false
            if record.operation == .add, isShared { found = true }
        }
        return found
    }

    /// Runs `body` in a savepoint, with deferred constraints looked at in the end; if it fails, nothing of it is left.
    private mutating func attempt(
        _ body: (inout CommitWriter) throws(SinkError) -> Void
    ) throws(SinkError) -> SinkError? {
        let connection = writer.connection
        let before = (tables, hasDefined, addsWithoutRow)
        try connection.run("SAVEPOINT writebehind_commits")
        do throws(SinkError) {
            try connection.run("SET CONSTRAINTS ALL DEFERRED")
            try body(&self)
            try connection.run("SET CONSTRAINTS ALL IMMEDIATE")
            try connection.run("RELEASE writebehind_commits")
            return nil
        } catch {
            guard connection.isUsable else { throw error }
            (tables, hasDefined, addsWithoutRow) = before
            try connection.run("ROLLBACK TO writebehind_commits")
            try connection.run("RELEASE writebehind_commits")
            return error
        }
    }

    private mutating func define(_ definition: TableDefinition) throws(SinkError) {
        let definer = TableDefiner(writer.connection, writer.options, store)
        tables[definition.id] = try definer.write(definition, after: tables[definition.id])
        hasDefined = true
    }

    /// Applies a commit's records one by one, as they are in the log: some constraints hold only in this order.
    private mutating func applyEach(of commit: OrderedCommit) throws(SinkError) {
        try Self.forEachChange(of: commit) { (record, bytes, sequence) throws(SinkError) in
            let batch = try makeBatch()
            try Self.append(record, in: bytes, sequence, to: batch)
            try apply(batch, levels: [])
        }
    }

    private mutating func apply(
        _ batch: ChangeBatch, levels: [Set<UInt32>], makesDefaults: Bool = false
    ) throws(SinkError) {
        batch.sort()
        var rows = BatchWriter(
            writer.connection, tables, writer.options, store: store,
            makesDefaults: makesDefaults)
        try rows.apply(batch, levels: levels)
        addsWithoutRow += rows.addsWithoutRow
    }

    /// An empty batch: always the same memory.
    private mutating func makeBatch() throws(SinkError) -> ChangeBatch {
        let batch: ChangeBatch
        if let spare {
            batch = spare
        } else {
            do throws(OutOfMemory) {
                batch = try ChangeBatch(after: writer.watermark, memory: 4 << 20)
            } catch {
                throw SinkError(.busy, "no memory for a batch: \(error)")
            }
            spare = batch
        }
        batch.reset(after: writer.watermark)
        for table in tables.values { batch.setDefaults(table.definition) }
        return batch
    }

    private static func append(_ commit: OrderedCommit, to batch: ChangeBatch) throws(SinkError) {
        try forEachChange(of: commit) { (record, bytes, sequence) throws(SinkError) in
            try append(record, in: bytes, sequence, to: batch)
        }
    }

    private static func append(
        _ record: Record, in bytes: Span<UInt8>, _ sequence: UInt64, to batch: ChangeBatch
    ) throws(SinkError) {
        do throws(MalformedRecord) {
            try batch.append(record, in: bytes, sequence: sequence)
        } catch {
            throw SinkError(malformed: error)
        }
    }

    private static func forEachChange(
        of commit: OrderedCommit,
        _ body: (Record, Span<UInt8>, _ sequence: UInt64) throws(SinkError) -> Void
    ) throws(SinkError) {
        let bytes = commit.records.span
        var reader = ByteReader(0..<bytes.count)
        var place = 0
        while !reader.isAtEnd {
            let record = try reader.sinkRecord(bytes)
            let sequence = commit.sequences?[place] ?? commit.firstSequence + UInt64(place)
            place += 1
            switch record.operation {
            case .put, .patch, .add, .delete, .clear: try body(record, bytes, sequence)
            case .mark, .settle: break
            case .define, .preamble:
                throw SinkError(.schema, "sequence \(sequence): a schema among changes of rows")
            }
        }
    }

    private func isOfDefinitions(_ commit: OrderedCommit) throws(SinkError) -> Bool {
        try !CommitReader.definitions(in: commit.records.span).isEmpty
    }
}
