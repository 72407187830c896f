import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// Takes one commit back: the records that give its rows the values that they had before it.
///
/// | the row before | after the commit | what takes it back |
/// |---|---|---|
/// | none | there | a delete |
/// | there | gone | a put of the row |
/// | there | other values | a patch of the columns that differ |
/// | there | other sums | an add of the negative amounts |
///
/// Later adds to a row are no obstacle if the commit only added to it: the negative amounts leave them alone. They are also
/// written if the commit made the row, because the row then belongs to the later adds, too.
package struct UndoPlan {
    /// A change of one of its rows since.
    package struct Later: Sendable, Equatable {
        package var sequence: UInt64
        /// The row, or the table that was cleared.
        package var name: String
    }

    package let first: UInt64
    package let last: UInt64
    /// Milliseconds since 1970.
    package let time: UInt64
    /// The records that take it back. Deletes come first, because other records may need a unique value that a delete frees.
    /// The sequences of these records have no meaning.
    package private(set) var changes: [LoggedRecord] = []
    /// The first later change of one of its rows, or of a table that it cleared.
    package private(set) var later: Later?
    /// The tables as they are now.
    package let catalog: Catalog
    private let limit: Int
    private var byteCount = 0
    private var rows: TouchedRows

    /// - Parameters:
    ///   - sequence: one of the commit's sequences.
    ///   - limit: the most bytes that a commit may hold.
    package init(_ sequence: UInt64, _ history: StoreHistory, limit: Int) throws {
        guard sequence > 0, sequence <= history.readable else {
            throw HistoryError.notReached(wanted: "sequence \(sequence)", end: history.readable)
        }
        self.limit = limit
        let (commit, records) = try Self.commit(holding: sequence, history)
        (first, last, time) = (commit.firstSequence, commit.lastSequence, commit.time)
        if records.contains(where: { $0.operation == .settle }) { throw UndoError.settles(first) }
        rows = TouchedRows(records)
        guard !rows.isEmpty else { throw UndoError.noRows(first) }
        let lookup = CatalogLookup(history.environment)
        catalog = try lookup.catalog(through: history.readable)
        try findLater(history)
        try takeBack(history)
        let deletes = changes.filter { $0.operation == .delete }
        changes = deletes + changes.filter { $0.operation != .delete }
    }

    private static func commit(
        holding sequence: UInt64, _ history: StoreHistory
    ) throws -> (Commit, [LoggedRecord]) {
        let reader = try LogReader(history.environment, from: sequence)
        guard try reader.next(through: history.readable) else {
            throw HistoryError.notReached(wanted: "sequence \(sequence)", end: history.readable)
        }
        let payload = reader.payload
        var commits = try reader.commits()
        while let commit = try commits.next(payload.span) {
            guard commit.lastSequence >= sequence else { continue }
            var records: [LoggedRecord] = []
            try forEachRecord(of: commit, in: payload.span) {
                records.append($0)
                return true
            }
            return (commit, records)
        }
        throw HistoryError.malformed(sequence: sequence, reason: "no commit holds it")
    }

    // MARK: since then

    private mutating func findLater(_ history: StoreHistory) throws {
        guard last < history.readable else { return }
        let needles = rows.needles
        let reader = try LogReader(history.environment, from: last + 1)
        while try reader.next(through: history.readable) {
            let payload = reader.payload
            guard needles.mayOccur(in: payload.span) else { continue }
            var commits = try reader.commits()
            while let commit = try commits.next(payload.span) {
                guard commit.firstSequence > last else { continue }
                try forEachRecord(of: commit, in: payload.span) { record in
                    try note(record)
                    return true
                }
            }
        }
    }

    private mutating func note(_ record: LoggedRecord) throws {
        guard try rows.noteLater(record, catalog), later == nil else { return }
        let schema = catalog[record.table]?.schema
        let name = schema.map {
            record.operation == .clear ? RowName.plain($0.name) : RowName.text($0, record.key)
        }
        later = Later(sequence: record.sequence, name: name ?? "table \(record.table)")
    }

    // MARK: the rows before

    private mutating func takeBack(_ history: StoreHistory) throws {
        let before = LogPoint.sequence(first - 1)
        if let few = rows.few {
            // These are found without computing the whole table.
            for (table, key) in few {
                guard let definition = catalog[table] else { continue }
                let row = try history.row(of: key, in: definition, asOf: before)
                try takeBack(table, key, before: row?.body)
            }
            return
        }
        let old = try history.fold(to: before, tables: rows.tables)
        while let row = try old.next() {
            guard rows.touches(row.table, row.key) else { continue }
            try takeBack(row.table, row.key, before: row.body)
        }
        for (table, key) in rows.rest { try takeBack(table, key, before: nil) }
    }

    private mutating func takeBack(_ table: UInt32, _ key: [UInt8], before: [UInt8]?) throws {
        guard let schema = catalog[table]?.schema else { return }
        let after = try rows.after(table, key, before, RowCodec.defaults(schema))
        let isGone = rows.isGone(table, key)
        if let add = try negativeAdd(table, key, schema, before: before, after: after) {
            rows.settle(table, key)
            return try append(.add, table, key, add)
        }
        rows.settle(table, key)
        // Other stores count into its rows.
        guard !schema.isShared else { return }
        switch (before, after) {
        case (nil, nil): break
        case (nil, _): if !isGone { try append(.delete, table, key, []) }
        case (let before?, let after?) where !isGone:
            if let patch = try RowCodec.diff(old: after.span, new: before.span, schema) {
                try append(.patch, table, key, patch)
            }
        case (let before?, let after):
            // If the row does not exist any more, a put is needed, because a patch needs its row.
            if after == before { return }
            try append(.put, table, key, RowCodec.completed(before.span, schema) ?? before)
        }
    }

    /// The add that takes back what the commit added to a row; nil if that is not all that it takes.
    private func negativeAdd(
        _ table: UInt32, _ key: [UInt8], _ schema: TableSchema, before: [UInt8]?, after: [UInt8]?
    ) throws -> [UInt8]? {
        guard let amounts = try rows.amounts(table, key, schema) else { return nil }
        let negative = amounts.filter { $0.amount != 0 }
            .map { ColumnAmount(column: $0.column, amount: -$0.amount) }
        guard !negative.isEmpty else { return nil }
        let add = RowCodec.encodeAdd(negative, makesRow: false)
        if schema.isShared { return add }
        switch (rows.later(table, key), before) {
        case (.adds, _), (.otherColumns, .some): return add
        case (.nothing, let before?):
            guard let after else { return nil }
            var back: [UInt8] = []
            try RowMerge.row(
                after.span, patch: add.span.extracting(1..<add.count),
                defaults: RowCodec.defaults(schema), into: &back)
            // A column that was null would be 0.
            return try ShownValue.row(back, schema) == ShownValue.row(before, schema) ? add : nil
        default: return nil
        }
    }

    private mutating func append(
        _ operation: Operation, _ table: UInt32, _ key: [UInt8], _ body: [UInt8]
    ) throws {
        if let schema = catalog[table]?.schema {
            // The row before may hold a sum that no record can.
            if operation == .put { _ = try RowCodec.decodeRow(body.span, schema) }
            if operation == .patch { _ = try RowCodec.decodePatch(body.span, schema) }
        }
        byteCount += key.count + body.count + CommitBuilder.recordOverhead
        guard byteCount <= limit else { throw UndoError.tooLarge(first, limit: limit) }
        changes.append(
            LoggedRecord(
                sequence: 0, time: 0, commit: 0, commitCount: 0, operation: operation,
                table: table, key: key, body: body, byteCount: key.count + body.count))
    }
}

/// Why a commit cannot be taken back.
package enum UndoError: Error, CustomStringConvertible {
    case noRows(UInt64)
    case settles(UInt64)
    case tooLarge(UInt64, limit: Int)

    package var description: String {
        switch self {
        case .noRows(let first):
            "the commit of #\(first) changes no row: definitions and marks cannot be taken back"
        case .settles(let first):
            "the commit of #\(first) gives up a quarantined one, which cannot be taken back; write the "
                + "rows again"
        case .tooLarge(let first, let limit):
            "taking #\(first) back takes more than \(limit) bytes, which is the most that one commit holds; "
                + "`replay --to-sequence \(first - 1)` makes a database or a store as it was before"
        }
    }
}
