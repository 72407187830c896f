import EventLog
import Synchronization

/// Changes that become one commit, and the reads that they depend on.
///
/// No other reader sees the changes until they are written; after a crash all of them are there or none. They are written
/// only if no row that the transaction has read was changed meanwhile. The transaction sees its own changes.
///
/// It exists only while the closure runs that gets it: it cannot be copied, and a closure or task that outlives
/// the call cannot keep it. Pass it to your own functions as an `inout` argument.
///
/// Its methods throw ``StoreError/row(_:)`` for a row that does not fit its table, and
/// ``StoreError/unknownTable(_:)`` for a table of another store. Methods that read also throw
/// ``StoreError/database(_:)`` if a row is not in memory and the database cannot be read, and ``StoreError/cancelled``.
public struct Transaction: ~Copyable, Sendable {
    private struct RowID: Hashable {
        var table: UInt16
        var key: [UInt8]
    }

    let engine: Engine
    /// The engine's generation before any row was encoded.
    let generation: UInt32
    /// Whether it may read. If so, it remembers what it has written.
    private let reads: Bool
    package var commit = CommitBuilder()
    /// The conditions that must still hold when the commit is written.
    private(set) var versions: [ReadVersion] = []
    /// The bytes of rows as this transaction sees them; nil is deleted or absent.
    private var seen: [RowID: [UInt8]?] = [:]
    private var cleared: Set<UInt16> = []
    /// What was added to rows that the transaction has not seen.
    private var added: [RowID: [[UInt8]]] = [:]
    /// Rows of which ``seen`` may lack columns that this program does not have.
    private var incomplete: Set<RowID> = []

    init(engine: Engine, reads: Bool = false) {
        self.engine = engine
        self.reads = reads
        generation = engine.generation.load(ordering: .relaxed)
    }

    // MARK: writing without reading

    /// Writes a whole row. It replaces the row with the same key, if there is one. Columns that a later version of the
    /// program added, and that `Row` lacks, keep their values.
    public mutating func put<Row>(
        _ row: Row, in table: StoredTable<Row>
    ) throws(StoreError) {
        try check(table)
        let (key, body) = try table.encoded(row)
        guard table.lacksColumns else {
            commit.append(.put, table: table.id, key: key.span, body: body.span)
            return note(table.id, key, body)
        }
        let patch = try rowErrors { () throws(RowError) in
            try RowCodec.patch(settingAllOf: body.span, table.layout.schema)
        }
        commit.append(.patch, table: table.id, key: key.span, body: patch.span)
        try note(table, key, patch)
    }

    /// Notes a row of which only some columns are set.
    private mutating func note<Row>(
        _ table: StoredTable<Row>, _ key: [UInt8], _ patch: [UInt8]
    ) throws(StoreError) {
        guard reads else { return }
        let id = RowID(table: table.id, key: key)
        // A row that was not read may have more columns than this program declares. They stay unknown here; this program
        // does not read them.
        if seen[id] == nil, !cleared.contains(table.id) { incomplete.insert(id) }
        let before = (seen[id] ?? nil) ?? RowCodec.noValues
        seen[id] = .some(try table.patched(before, patch))
    }

    /// Deletes the row with this key, if there is one.
    public mutating func delete<Row>(
        _ key: Row.Key, in table: StoredTable<Row>
    ) throws(StoreError) {
        try check(table)
        let bytes = try table.encoded(key)
        commit.append(.delete, table: table.id, key: bytes.span, body: Span())
        note(table.id, bytes, nil)
    }

    /// Deletes all rows of a table.
    public mutating func clear<Row>(_ table: StoredTable<Row>) throws(StoreError) {
        try check(table)
        commit.appendClear(table: table.id)
        guard reads else { return }
        seen = seen.filter { $0.key.table != table.id }
        added = added.filter { $0.key.table != table.id }
        cleared.insert(table.id)
    }

    // MARK: reading

    /// The row with this key, with this transaction's own changes; nil if there is none.
    public nonisolated(nonsending) mutating func get<Row>(
        _ key: Row.Key, in table: StoredTable<Row>
    ) async throws(StoreError) -> Row? {
        let bytes = try table.encoded(key)
        return try await body(bytes, table).map { body throws(StoreError) in
            try table.decode(key: bytes, body: body)
        }
    }

    /// The rows with these keys, with this transaction's own changes: from memory, and the rest together from the
    /// database.
    ///
    /// - Returns: a row for each key, in the order of the keys; nil if there is none.
    public nonisolated(nonsending) mutating func get<Row>(
        all keys: some Sequence<Row.Key>, in table: StoredTable<Row>
    ) async throws(StoreError) -> [Row?] {
        try check(table)
        let keys = try keys.map { key throws(StoreError) in try table.encoded(key) }
        if !cleared.contains(table.id) {
            let unknown = Array(
                Set(keys.filter { seen[RowID(table: table.id, key: $0)] == nil }))
            for (key, fetched) in zip(unknown, try await engine.fetch(table.id, unknown)) {
                try take(fetched, table, key)
            }
        }
        return try keys.map { key throws(StoreError) in
            guard let body = seen[RowID(table: table.id, key: key)] ?? nil else { return nil }
            return try table.decode(key: key, body: body)
        }
    }

    /// Changes a row; only the columns that differ are logged.
    ///
    /// - Throws: ``StoreError/noSuchRow(table:key:)`` if there is no row with this key; ``StoreError/keyChanged(table:)`` if
    ///   `change` gave it another key, and what `change` throws. Then the transaction has not changed, and can go on.
    public nonisolated(nonsending) mutating func update<Row>(
        _ key: Row.Key, in table: StoredTable<Row>, _ change: (inout Row) throws -> Void
    ) async throws {
        let bytes = try table.encoded(key)
        guard let body = try await body(bytes, table) else { throw table.missing(bytes) }
        var row = try table.decode(key: bytes, body: body)
        try change(&row)
        if let after = try patch(table, key: bytes, from: body, to: row) {
            note(table.id, bytes, after)
        }
    }

    /// Writes a row that must not be there yet.
    ///
    /// - Throws: ``StoreError/duplicateKey(table:key:)`` if there is a row with its key. Then the transaction has not
    ///   changed, and can go on.
    public nonisolated(nonsending) mutating func insert<Row>(
        _ row: Row, in table: StoredTable<Row>
    ) async throws(StoreError) {
        let (key, _) = try table.encoded(row)
        guard try await body(key, table) == nil else { throw table.duplicate(key) }
        try put(row, in: table)
    }

    /// Adds to an integer column of a row.
    ///
    /// - Parameters:
    ///   - initial: the row to put, as it is, if there is none yet: `amount` is not added to it. It must have
    ///     this key.
    /// - Returns: the new value.
    /// - Throws: as ``StoredTable/increment(_:_:by:orPut:)-(_,String,_,_)``. Then the transaction has not changed.
    @discardableResult
    public nonisolated(nonsending) mutating func increment<Row>(
        _ key: Row.Key, _ column: String, in table: StoredTable<Row>, by amount: Int = 1,
        orPut initial: Row? = nil
    ) async throws(StoreError) -> Int {
        try await increment(
            key, column, in: table, by: amount, within: .min ... .max, orPut: initial)
    }

    /// - Parameter range: the sum must be in it.
    nonisolated(nonsending) mutating func increment<Row>(
        _ key: Row.Key, _ column: String, in table: StoredTable<Row>, by amount: Int,
        within range: ClosedRange<Int64>, orPut initial: Row?
    ) async throws(StoreError) -> Int {
        let bytes = try table.encoded(key)
        let before = try await body(bytes, table)
        let sum = try increment(
            table, key: bytes, body: before, column, by: amount, within: range, orPut: initial)
        note(table.id, bytes, sum.body)
        return sum.value
    }

    private nonisolated(nonsending) mutating func body<Row>(
        _ key: [UInt8], _ table: StoredTable<Row>
    ) async throws(StoreError) -> [UInt8]? {
        try check(table)
        let id = RowID(table: table.id, key: key)
        if let known = seen[id] { return known }
        if cleared.contains(table.id) { return nil }
        let fetched = try await engine.fetch(table.id, key)
        return try take(fetched, table, key)
    }

    /// Notes a row that was read. Returns it with what this transaction has added to it.
    @discardableResult
    private mutating func take<Row>(
        _ fetched: Engine.Fetched, _ table: StoredTable<Row>, _ key: [UInt8]
    ) throws(StoreError) -> [UInt8]? {
        versions.append(ReadVersion(table: table.id, key: key, version: fetched.version))
        let id = RowID(table: table.id, key: key)
        seen[id] = .some(fetched.body)
        for add in added.removeValue(forKey: id) ?? [] { try note(table, key, added: add) }
        return seen[id] ?? nil
    }

    /// Notes what was added to a row.
    mutating func note<Row>(
        _ table: StoredTable<Row>, _ key: [UInt8], added add: [UInt8]
    ) throws(StoreError) {
        guard reads else { return }
        let id = RowID(table: table.id, key: key)
        guard let known = seen[id] ?? (cleared.contains(table.id) ? .some(nil) : nil) else {
            return added[id, default: []].append(add)
        }
        let makesRow = add[0] == RowMerge.Origin.making.rawValue
        guard let before = known ?? (makesRow ? RowCodec.noValues : nil) else { return }
        seen[id] = .some(try table.patched(before, Array(add[1...])))
    }

    private mutating func note(_ table: UInt16, _ key: [UInt8], _ body: [UInt8]?) {
        if reads { seen[RowID(table: table, key: key)] = .some(body) }
    }

    func check<Row>(_ table: StoredTable<Row>) throws(StoreError) {
        guard table.engine === engine else { throw .unknownTable(table.name) }
    }
}

extension Transaction {
    /// Logs the columns in which a row differs from its bytes. Returns the row's new bytes; nil if it differs in no column.
    mutating func patch<Row>(
        _ table: StoredTable<Row>, key: [UInt8], from body: [UInt8], to row: Row
    ) throws(StoreError) -> [UInt8]? {
        let (newKey, newBody) = try table.encoded(row)
        guard newKey == key else { throw .keyChanged(table: table.name) }
        let schema = table.layout.schema
        let known = try rowErrors { () throws(RowError) in try RowCodec.trimmed(body.span, schema) }
        let patch = try rowErrors { () throws(RowError) in
            let old = known ?? body
            return try RowCodec.diff(old: old.span, new: newBody.span, schema)
        }
        guard let patch else { return nil }
        append(patch, of: key, before: body, table)
        return known == nil ? newBody : try table.patched(body, patch)
    }

    /// Logs a patch of a row, with the row before it if the table's log has whole rows.
    private mutating func append<Row>(
        _ patch: [UInt8], of key: [UInt8], before: [UInt8], _ table: StoredTable<Row>
    ) {
        let isCarried =
            table.logsWholeRows && !incomplete.contains(RowID(table: table.id, key: key))
        commit.append(
            .patch, table: table.id, key: key.span, body: patch.span,
            before: isCarried ? before : nil)
    }

    /// Logs the sum of a column's value and an amount, or the initial row if there is none yet. Returns the new value and the
    /// row's new bytes.
    mutating func increment<Row>(
        _ table: StoredTable<Row>, key: [UInt8], body: [UInt8]?, _ column: String,
        by amount: Int, within range: ClosedRange<Int64>, orPut initial: Row?
    ) throws(StoreError) -> (value: Int, body: [UInt8]) {
        guard let body else {
            guard let initial else { throw table.missing(key) }
            return try put(initial, in: table, key: key, column)
        }
        let schema = table.layout.schema
        let (index, old) = try table.integer(column, in: body)
        let (sum, overflow) = old.addingReportingOverflow(Int64(amount))
        guard !overflow else { throw table.cannotIncrement(column, "it would exceed 64 bits") }
        guard range.contains(sum) else {
            throw table.cannotIncrement(
                column, "\(sum) is not in \(range), as its property must be")
        }
        let change = ColumnChange(column: index, value: .integer(sum))
        let patch = try rowErrors { () throws(RowError) in
            try RowCodec.encodePatch([change], schema)
        }
        append(patch, of: key, before: body, table)
        return (Int(sum), reads ? try table.patched(body, patch) : [])
    }

    /// Puts the first row of a counter. Returns the counter's value in it.
    private mutating func put<Row>(
        _ row: Row, in table: StoredTable<Row>, key: [UInt8], _ column: String
    ) throws(StoreError) -> (value: Int, body: [UInt8]) {
        let (newKey, body) = try table.encoded(row)
        guard newKey == key else { throw .initialHasAnotherKey(table: table.name) }
        let (_, value) = try table.integer(column, in: body)
        commit.append(.put, table: table.id, key: key.span, body: body.span)
        return (Int(value), body)
    }
}

extension StoredTable {
    /// The place of an integer column among those outside the key, and its value in a row.
    func integer(
        _ column: String, in body: [UInt8]
    ) throws(StoreError) -> (index: Int, value: Int64) {
        let schema = layout.schema
        guard let index = layout.valueIndex(of: column) else {
            throw cannotIncrement(column, "there is no such column outside the key")
        }
        let value = try rowErrors { () throws(RowError) in
            try RowCodec.value(at: index, in: body.span, schema)
        }
        guard case .integer(let value) = value else {
            throw cannotIncrement(column, "it holds no integer")
        }
        return (index, value)
    }

    /// A row after a patch of its columns.
    func patched(_ row: [UInt8], _ patch: [UInt8]) throws(StoreError) -> [UInt8] {
        var merged: [UInt8] = []
        do throws(MalformedRecord) {
            let defaults = RowCodec.defaults(layout.schema)
            try RowMerge.row(row.span, patch: patch.span, defaults: defaults, into: &merged)
        } catch {
            throw .row(RowError(table: name, .malformed(error.reason)))
        }
        return merged
    }

    func cannotIncrement(_ column: String, _ reason: String) -> StoreError {
        .cannotIncrement(table: name, column: column, reason: reason)
    }
}

/// Runs code that reads or writes rows, and turns its errors into the store's.
func rowErrors<R>(_ body: () throws(RowError) -> R) throws(StoreError) -> R {
    do throws(RowError) {
        return try body()
    } catch {
        throw .row(error)
    }
}
