import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// A part of the log as SQL: each commit is a transaction, and each record is a statement with the same effect.
package struct SQLScript {
    /// A definition that the `sqlite3` program would read with other characters.
    package struct Unwritable: Error, CustomStringConvertible {
        var table: String
        package var description: String {
            "the definition of table \(StoredValue.text(table)) has a carriage return before a line feed, which "
                + "sqlite3 drops; use replay --into"
        }
    }

    private let store: StoreInspection
    private let start: UInt64
    private let startTime: UInt64
    private let end: FoldLimit
    private let tables: Set<UInt32>?
    /// The rows before the first commit, if the beginning of the log was deleted.
    private let base: MergedRows?

    /// - Parameters:
    ///   - start: the first commit: the one that holds a sequence, the first at a time or later, or the first after a
    ///     mark. nil begins with the oldest commit.
    ///   - tables: the tables that matter; nil for all.
    package init(
        _ store: StoreInspection, from start: LogPoint?, to end: LogPoint, tables: Set<UInt32>?
    ) throws {
        self.store = store
        self.tables = tables
        let history = store.history()
        for point in [start, end].compactMap(\.self) { try history.requireSpan(of: point) }
        self.end = try history.limit(of: end)
        let first = try store.first
        var startTime: UInt64 = 0
        var base: MergedRows?
        switch start {
        case nil where first > 1:
            let snapshot = try Self.snapshot(store, behind: first, self.end)
            base = try history.fold(to: .sequence(snapshot), tables: tables)
            self.start = snapshot + 1
        case nil: self.start = 1
        case .end: self.start = store.readable + 1
        case .sequence(let sequence):
            guard sequence <= store.readable + 1 else {
                throw HistoryError.notReached(wanted: "sequence \(sequence)", end: store.readable)
            }
            self.start = max(1, sequence)
        case .mark: self.start = try history.limit(of: start ?? .end).sequence + 1
        case .time(let time):
            self.start =
                try LogSeek(store.environment).sequence(notBefore: time) ?? store.readable + 1
            startTime = time
        }
        self.startTime = startTime
        self.base = base
    }

    private static func snapshot(
        _ store: StoreInspection, behind first: UInt64, _ end: FoldLimit
    ) throws -> UInt64 {
        let sequences = try SnapshotReader.sequences(store.environment)
        let found = sequences.first { sequence in
            sequence + 1 >= first
                && (try? SnapshotReader(of: sequence, in: store.environment)).map {
                    end.admits(LogPosition($0.head))
                } ?? false
        }
        guard let found else {
            throw HistoryError.gone(wanted: "the beginning", oldest: first, refused: [])
        }
        return found
    }

    /// Calls `line` for each line of the script.
    ///
    /// - Returns: how many commits it holds.
    package func write(_ line: (String) throws -> Void) throws -> Int {
        if let base { try write(base, line) }
        var catalog = Catalog()
        var count = 0
        let through = min(end.sequence, store.readable)
        guard start <= through else { return 0 }
        let reader = try LogReader(store.environment, from: start)
        var isFirst = true
        while try reader.next(through: through) {
            let payload = reader.payload
            var commits = try reader.commits()
            if isFirst { catalog = try tables(before: reader.block, commits.preamble, payload) }
            isFirst = false
            while let commit = try commits.next(payload.span) {
                guard end.admits(commit) else { return count }
                let isWanted = commit.lastSequence >= start && commit.time >= startTime
                var lines: [String] = []
                try forEachRecord(of: commit, in: payload.span) { record in
                    lines += try Self.statements(record, &catalog, tables)
                    return true
                }
                guard isWanted, !lines.isEmpty else { continue }
                try write(commit, lines, line)
                count += 1
            }
        }
        return count
    }

    /// The tables before a block's first record.
    private func tables(
        before block: BlockHeader?, _ preamble: Range<Int>?, _ payload: [UInt8]
    ) throws -> Catalog {
        if let preamble {
            return try Catalog(defineRecords: payload.span.extracting(preamble))
        }
        return try CatalogLookup(store.environment).catalog(before: block?.firstSequence ?? 1)
    }

    private func write(
        _ commit: Commit, _ lines: [String], _ line: (String) throws -> Void
    ) rethrows {
        let place =
            commit.count == 1
            ? "#\(commit.firstSequence)" : "#\(commit.firstSequence) to #\(commit.lastSequence)"
        try line("-- \(place), \(MomentText.iso(milliseconds: commit.time))")
        let isComment = lines.allSatisfy { $0.hasPrefix("-- ") }
        if !isComment { try line("BEGIN;") }
        for text in lines { try line(text) }
        if !isComment { try line("COMMIT;") }
    }

    private func write(_ base: MergedRows, _ line: (String) throws -> Void) throws {
        try line(
            "-- the rows of snapshot #\(base.position.sequence), since the log begins behind it")
        try line("BEGIN;")
        for table in base.catalog.tables where tables?.contains(table.id) ?? true {
            for text in try Self.statements(define: table, from: nil) { try line(text) }
        }
        while let row = try base.next() {
            guard let schema = base.catalog[row.table]?.schema else { continue }
            if try WideSums(row.body) != nil {
                let name = RowName.text(schema, row.key)
                try line("-- left out: \(name), with a sum that does not fit into 64 bits")
                continue
            }
            try line(
                SQLText(schema).put(
                    try KeyCodec.decode(row.key.span, schema),
                    try RowCodec.decodeRow(row.body.span, schema)))
        }
        try line("COMMIT;")
    }

    // MARK: records

    private static func statements(
        _ record: LoggedRecord, _ catalog: inout Catalog, _ tables: Set<UInt32>?
    ) throws -> [String] {
        let isWanted = tables?.contains(record.table) ?? true
        switch record.operation {
        case .define:
            let old = catalog[record.table]
            try catalog.apply(define: record.table, body: record.body.span)
            guard isWanted, let new = catalog[record.table] else { return [] }
            return try statements(define: new, from: old)
        case .mark, .settle:
            let decoded = DecodedRecord(record, catalog)
            return ["-- \(record.operation.word) \(StoredValue.text(decoded.text ?? ""))"]
        case .preamble: return []
        case .put, .patch, .add, .delete, .clear:
            return isWanted ? try statements(record, catalog) : []
        }
    }

    private static func statements(
        _ record: LoggedRecord, _ catalog: Catalog
    ) throws -> [String] {
        guard let schema = catalog[record.table]?.schema else {
            throw HistoryError.malformed(
                sequence: record.sequence, reason: "table \(record.table) is not defined")
        }
        let sql = SQLText(schema)
        if record.operation == .clear { return [sql.clear] }
        let key = try KeyCodec.decode(record.key.span, schema)
        switch record.operation {
        case .put: return [sql.put(key, try RowCodec.decodeRow(record.body.span, schema))]
        case .add:
            let add = try RowCodec.decodeAdd(record.body.span, schema)
            if let row = add.row { return [sql.make(key, row)] }
            return (add.makesRow ? [sql.make(key)] : []) + [sql.add(key, add.amounts)]
        case .patch:
            let changes = try RowCodec.decodePatch(record.body.span, schema)
            if RowCodec.makesRow(changes.map(\.column), schema) { return [sql.put(key, changes)] }
            return [changes.isEmpty ? "-- a patch of nothing" : sql.patch(key, changes)]
        default: return [sql.delete(key)]
        }
    }

    /// The statements for declared indices. Unique constraints are left out, because the log has rows that a database
    /// refused.
    private static func indices(_ new: TableSQL, after old: TableSQL?) -> [String] {
        let before = old?.indices().filter { !$0.index.isUnique } ?? []
        let after = new.indices().filter { !$0.index.isUnique }
        let (known, wanted) = (Set(before.map(\.name)), Set(after.map(\.name)))
        return known.subtracting(wanted).sorted().map { "DROP INDEX \($0)" }
            + after.filter { !known.contains($0.name) }.map(\.sql)
    }

    private static func statements(
        define new: TableDefinition, from old: TableDefinition?
    ) throws -> [String] {
        let sql = TableSQL(definition: new)
        var statements: [String] = []
        if let old {
            let before = TableSQL(definition: old)
            let isKept = sql.onlyGrows(from: before)
            statements =
                isKept
                ? new.schema.columns[old.schema.columns.count...].map(sql.add)
                : sql.remake(from: before)
            if isKept, new.schema.expiryIndex != old.schema.expiryIndex {
                statements += [sql.dropExpiryIndex, sql.createExpiryIndex].compactMap(\.self)
            }
            statements += indices(sql, after: isKept ? before : nil)
        } else {
            statements = [sql.create, sql.createExpiryIndex].compactMap(\.self)
            statements += indices(sql, after: nil)
        }
        // Compares Characters: a carriage return with a line feed is one Character, different from both.
        guard !statements.contains(where: { $0.contains("\r\n") }) else {
            throw Unwritable(table: new.schema.name)
        }
        return statements.map { $0 + ";" }
    }
}
