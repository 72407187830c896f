import EventLog

/// Applies commits one by one inside a transaction, and puts into quarantine what is refused.
///
/// A commit is refused when a statement of it breaks a constraint, when a foreign key dangles after
/// its last statement, or when it touches a key that quarantine holds: then it must follow, or the
/// changes of that key would be applied out of order. A savepoint takes back what it did.
struct OrderedApply {
    let writer: SQLiteWriter
    let table: QuarantineTable
    var index: QuarantineIndex
    /// Commits that are known to take the whole transaction with them, and why.
    let known: [UInt64: SinkError]
    let now: Int64
    private(set) var refused: [QuarantinedCommit] = []
    /// The commit that took the transaction with it.
    private(set) var destroyer: UInt64?

    init(
        writer: SQLiteWriter, table: QuarantineTable, index: QuarantineIndex,
        known: [UInt64: SinkError], now: Int64
    ) {
        self.writer = writer
        self.table = table
        self.index = index
        self.known = known
        self.now = now
    }

    mutating func apply(_ commit: OrderedCommit) throws(SinkError) {
        guard let refusal = try attempt(commit) else { return }
        let quarantined = QuarantinedCommit(
            firstSequence: commit.firstSequence, recordCount: commit.recordCount,
            error: refusal.error, refusedAt: now, attempts: refusal.follows == nil ? 1 : 0,
            dependsOn: refusal.follows, keys: try CommitReader.contents(of: commit).keys)
        try table.insert(quarantined)
        index.insert(quarantined)
        refused.append(quarantined)
    }

    /// Tries a quarantined commit again. Returns whether it is applied now.
    mutating func retry(_ commit: OrderedCommit) throws(SinkError) -> Bool {
        guard var quarantined = index[commit.firstSequence] else { return false }
        if let refusal = try attempt(commit) {
            quarantined.error = refusal.error
            quarantined.attempts += 1
            quarantined.dependsOn = refusal.follows
            try table.insert(quarantined)
            index.insert(quarantined)
            return false
        }
        try table.remove(commit.firstSequence)
        index.remove(commit.firstSequence)
        return true
    }

    private struct Refusal {
        var error: SinkError
        var follows: UInt64?
    }

    /// Applies a commit, or says why not and leaves nothing of it behind.
    private mutating func attempt(_ commit: OrderedCommit) throws(SinkError) -> Refusal? {
        if let error = known[commit.firstSequence] { return Refusal(error: error) }
        let contents = index.isEmpty ? nil : try CommitReader.contents(of: commit)
        var released: [UInt64] = []
        let before = index
        for settled in contents?.settles ?? [] { released += index.release(settled) }
        if let follows = index.blocker(of: contents?.keys ?? [], before: commit.firstSequence) {
            index = before
            let error = SinkError(
                .constraint, "follows quarantined sequence \(follows), which has a key of it")
            return Refusal(error: error, follows: follows)
        }
        try writer.beginCommit()
        do throws(SinkError) {
            for sequence in released { try table.remove(sequence) }
            try CommitReader.apply(commit, to: writer)
            guard !writer.hasDanglingForeignKey() else { throw .danglingForeignKey }
        } catch {
            guard error.kind == .constraint else { throw error }
            guard !writer.transactionIsGone else {
                destroyer = commit.firstSequence
                throw error
            }
            try writer.undoCommit()
            index = before
            return Refusal(error: error)
        }
        try writer.keepCommit()
        return nil
    }
}

/// What a commit's bytes say, as far as a sink is concerned.
enum CommitReader {
    struct Contents {
        var keys: [QuarantinedKey] = []
        /// The quarantined commits that it gives up.
        var settles: [UInt64] = []
    }

    static func contents(of commit: OrderedCommit) throws(SinkError) -> Contents {
        var contents = Contents()
        var seen: Set<QuarantinedKey> = []
        let bytes = commit.records.span
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd {
            let record = try reader.sinkRecord(bytes)
            var key: QuarantinedKey?
            switch record.operation {
            case .put, .patch, .delete:
                key = .row(table: record.table, key: Array(commit.records[record.key]))
            case .clear: key = .table(record.table)
            case .settle: contents.settles.append(try settled(record, bytes))
            case .define, .mark, .preamble: break
            }
            if let key, seen.insert(key).inserted { contents.keys.append(key) }
        }
        return contents
    }

    static func apply(
        _ commit: OrderedCommit, to writer: SQLiteWriter
    ) throws(SinkError) {
        let bytes = commit.records.span
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd {
            let record = try reader.sinkRecord(bytes)
            let kind: ChangeKind
            switch record.operation {
            case .put: kind = .put
            case .patch: kind = .patch
            case .delete: kind = .delete
            case .clear:
                try writer.clear(table: record.table)
                continue
            case .mark, .settle: continue
            case .define, .preamble:
                throw SinkError(
                    .schema, "sequence \(commit.firstSequence): a schema among changes of rows")
            }
            try writer.apply(
                kind, table: record.table, key: bytes.extracting(record.key),
                body: bytes.extracting(record.body))
        }
    }

    private static func settled(
        _ record: Record, _ bytes: Span<UInt8>
    ) throws(SinkError) -> UInt64 {
        var reader = ByteReader(record.body)
        return try reader.column(bytes)
    }
}

extension ByteReader {
    fileprivate mutating func sinkRecord(_ bytes: Span<UInt8>) throws(SinkError) -> Record {
        do throws(MalformedRecord) { return try record(bytes) } catch {
            throw SinkError(malformed: error)
        }
    }
}

extension SinkError {
    fileprivate static var danglingForeignKey: SinkError {
        SinkError(code: 787, "FOREIGN KEY constraint failed")  // SQLITE_CONSTRAINT_FOREIGNKEY
    }
}
