import EventLog
import TestSupport
import WriteBehindCore

/// Opens a ``SimulatedDatabase``.
struct SimulatedOpener: SinkOpener {
    let database: SimulatedDatabase

    func name(for owner: SinkOwner) -> String { "the simulated database" }
    func open(for owner: SinkOwner) throws(SinkError) -> any Sink {
        database.open(origin: owner.origin, owner.projections)
    }
    func putAside(for owner: SinkOwner, reason: String) throws(SinkError) {
        database.replace(with: nil)
    }
}

/// A sink over a ``SimulatedDatabase``, written from the protocol's documentation alone.
final class SimulatedSink: Sink {
    typealias Content = SimulatedDatabase.Content

    let database: SimulatedDatabase
    private let isClosed = Locked(false)
    private let known: Locked<Content>
    /// The watermark of its last transaction: no other writer may have moved it since.
    private let expected: Locked<Watermark>

    private let registry: ProjectionRegistry

    init(
        _ database: SimulatedDatabase, _ content: SimulatedDatabase.Content,
        _ registry: ProjectionRegistry
    ) {
        self.database = database
        self.registry = registry
        known = Locked(content)
        expected = Locked(content.watermark)
    }

    var present: Content { lastContent }
    var declared: ProjectionRegistry { registry }

    private func content() throws(SinkError) -> Content {
        guard !isClosed.withLock({ $0 }), let content = database.content else {
            throw SinkError(.gone, "the database is closed or deleted")
        }
        return content
    }

    /// Runs `body` on a copy, which becomes the present state if nothing throws.
    func transaction<R>(
        _ body: (inout Content) throws(SinkError) -> R
    ) throws(SinkError) -> R {
        var content = try content()
        let failure = nextFailure
        guard content.watermark == expected.withLock({ $0 }) else {
            throw SinkError(.gone, "another program changed the database's watermark")
        }
        let old = content.watermark
        let before = content.rows
        content.follows = Set(currentProjections(of: content).map(\.table))
        content.touched = []
        let result = try body(&content)
        followTransaction(&content, from: old, before)
        if let failure { throw failure }
        expected.withLock { $0 = content.watermark }
        known.withLock { $0 = content }
        database.withState { $0.history.append(content) }
        return result
    }

    private var nextFailure: SinkError? {
        database.withState { $0.failures.isEmpty ? nil : $0.failures.removeFirst() }
    }

    func watermark() throws(SinkError) -> Watermark { try content().watermark }

    func apply(_ batch: some SortedChanges) throws(SinkError) {
        try transaction { (content) throws(SinkError) in
            func check(_ key: QuarantinedKey) throws(SinkError) {
                try content.quarantine.refuse(key)
            }
            for table in batch.cleared {
                try check(.table(table))
                try content.refuseFollowed(table)
                content.touched.insert(table)
                content.clear(table)
            }
            func apply(
                _ table: UInt32, _ kind: ChangeKind, _ key: Span<UInt8>, _ body: Span<UInt8>
            ) throws(SinkError) {
                let row = try Tables.row(table, key)
                try check(.row(table: table, key: Array(copying: key)))
                try content.refuseFollowed(table)
                // Also if there is no such row: a projection would have seen the change.
                content.touched.insert(table)
                if database.losesPatchesBesideClears, kind == .patch, !batch.cleared.isEmpty {
                    return
                }
                try content.apply(kind, row, body)
            }
            try batch.forEach(apply)
            content.watermark = batch.through
        }
    }

    func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        try transaction { (content) throws(SinkError) in
            for commit in commits {
                try Self.withQuarantine(of: &content) { (quarantine, content) throws(SinkError) in
                    try quarantine.admit(commit, at: 0) { (commit) throws(SinkError) in
                        try attempt(commit, &content)
                    }
                }
            }
            content.watermark = through
            return content.quarantine.takeChanges()
        }
    }

    func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes {
        var next = pass
        let changes = try transaction { (content) throws(SinkError) in
            content.quarantine.follow(&next)
            for commit in commits {
                try Self.withQuarantine(of: &content) { (quarantine, content) throws(SinkError) in
                    try quarantine.readmit(commit, in: &next, at: 0) { (commit) throws(SinkError) in
                        try attempt(commit, &content)
                    }
                }
            }
            if isLast { content.quarantine.replace(with: next.left) }
            return content.quarantine.takeChanges()
        }
        pass = next
        return changes
    }

    private static func withQuarantine(
        of content: inout Content,
        _ body: (inout QuarantineIndex, inout Content) throws(SinkError) -> Void
    ) throws(SinkError) {
        var quarantine = QuarantineIndex()
        swap(&quarantine, &content.quarantine)
        defer { swap(&quarantine, &content.quarantine) }
        try body(&quarantine, &content)
    }

    /// Applies a commit, or nothing of it: then it returns the reason.
    private func attempt(
        _ commit: OrderedCommit, _ content: inout Content
    ) throws(SinkError) -> SinkError? {
        var copy = content
        var place = 0
        do throws(SinkError) {
            try commit.walk { (record, key, body) throws(SinkError) in
                let sequence = commit.sequences?[place] ?? commit.firstSequence + UInt64(place)
                place += 1
                func apply(_ kind: ChangeKind) throws(SinkError) {
                    let row = try Tables.row(record.table, key)
                    let old = copy.rows[row]
                    try copy.apply(kind, row, body)
                    copy.project(row, from: old, sequence)
                }
                switch record.operation {
                case .put: try apply(.put)
                case .patch: try apply(.patch)
                case .add: try apply(.add)
                case .delete: try apply(.delete)
                case .clear:
                    copy.clear(record.table)
                    copy.projectClear(of: record.table, sequence)
                case .mark, .settle: break
                case .define, .preamble: throw SinkError(.schema, "a schema among changes")
                }
            }
        } catch {
            guard error.kind == .constraint else { throw error }
            database.noteRefusal(of: commit, error)
            return error
        }
        content = copy
        return nil
    }

    func define(
        _ table: TableDefinition, through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        try transaction { (content) throws(SinkError) in
            content.define(table, hasConstraints: database.hasConstraints)
            content.watermark = through
        }
        return QuarantineIndex.Changes()
    }

    var tables: [TableDefinition] { lastContent.tables.values.sorted { $0.id < $1.id } }

    func holds(_ table: UInt32) -> Bool { lastContent.tables[table] != nil }

    func read(_ table: UInt32, key: Span<UInt8>) throws(SinkError) -> StoredRow {
        try stored(try Tables.row(table, key))
    }

    func read(_ table: UInt32, keys: [[UInt8]]) async throws(SinkError) -> [StoredRow] {
        var rows: [StoredRow] = []
        for key in keys { rows.append(try stored(try Tables.row(table, key.span))) }
        return rows
    }

    private func stored(_ row: Row) throws(SinkError) -> StoredRow {
        database.withState { $0.whileAsking.take() }?()
        let content = try content()
        let (fails, meanwhile) = database.withState { state in
            defer { (state.nextReadFails, state.whileReading) = (false, nil) }
            return (state.nextReadFails, state.whileReading)
        }
        if fails { throw SinkError(.busy, "injected") }
        meanwhile?()
        return StoredRow(body: content.rows[row], watermark: content.watermark.sequence)
    }

    func scan(
        _ table: UInt32, columns: [Int], after key: [UInt8]?, limit: Int
    ) throws(SinkError) -> ScannedRows {
        let content = try content()
        var found: [ScannedRows.Row] = []
        for (row, body) in content.rows where row.table == table {
            guard let schema = content.tables[table]?.schema,
                let values = try? RowCodec.decodeRow(body.span, schema)
            else { throw SinkError(.corrupt, "a malformed row") }
            let wanted = columns.filter { $0 < schema.valueColumns.count }.map { values[$0] }
            found.append(ScannedRows.Row(key: Tables.key(row.id), columns: RowCodec.body(wanted)))
        }
        found.sort { $0.key.lexicographicallyPrecedes($1.key) }
        if let key { found.removeAll { !key.lexicographicallyPrecedes($0.key) } }
        return ScannedRows(
            rows: Array(found.prefix(limit)), watermark: content.watermark.sequence)
    }

    func dueRows(
        _ table: UInt32, before seconds: Int64, limit: Int
    ) throws(SinkError) -> DueRows {
        let content = try content()
        guard let schema = content.tables[table]?.schema, let column = schema.expiryIndex else {
            return DueRows(keys: [])
        }
        var due: [(moment: Int64, key: [UInt8])] = []
        for (row, body) in content.rows where row.table == table {
            guard let values = try? RowCodec.decodeRow(body.span, schema) else {
                throw SinkError(.corrupt, "a malformed row")
            }
            if case .integer(let moment) = values[column], moment <= seconds {
                due.append((moment, Tables.key(row.id)))
            }
        }
        due.sort { left, right in
            left.moment == right.moment
                ? left.key.lexicographicallyPrecedes(right.key) : left.moment < right.moment
        }
        return DueRows(
            keys: due.prefix(limit).map(\.key), watermark: content.watermark.sequence,
            column: column)
    }

    var quarantine: QuarantineIndex { lastContent.quarantine }

    /// The content that the sink last saw, also if the database was deleted or replaced while it was open.
    private var lastContent: Content {
        known.withLock { known in
            // Once it is closed, there may be another database under its name.
            if !isClosed.withLock({ $0 }), let content = database.content,
                content.watermark == expected.withLock({ $0 })
            {
                known = content
            }
            return known
        }
    }

    func checkpoint() throws(SinkError) -> Watermark {
        let content = try content()
        if let failure = nextFailure { throw failure }
        database.replace(with: content)
        return content.watermark
    }

    func close() throws(SinkError) { isClosed.withLock { $0 = true } }
}

extension OrderedCommit {
    func walk(
        _ body: (Record, Span<UInt8>, Span<UInt8>) throws(SinkError) -> Void
    ) throws(SinkError) {
        let bytes = records.span
        var reader = ByteReader(0..<bytes.count)
        while !reader.isAtEnd {
            let record: Record
            do throws(MalformedRecord) {
                record = try reader.record(bytes)
            } catch {
                throw SinkError(.corrupt, error.reason)
            }
            try body(record, bytes.extracting(record.key), bytes.extracting(record.body))
        }
    }
}
