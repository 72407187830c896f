import EventLog
import Synchronization

/// A table of a store: reads and writes its rows.
///
/// A handle is cheap; keep it. Writes return when they are ``Stage/staged``: in the log's buffer and visible to
/// every read. Reads never return a row older than the last write that returned.
///
/// A write takes about a microsecond on the caller's thread. If writes come faster than the disk takes them, the log's
/// buffer fills up, and the write waits there for room.
///
/// Writes throw ``StoreError``, and a write that throws has changed nothing: ``StoreError/row(_:)`` for a row
/// that does not fit its table, ``StoreError/commitTooLarge(bytes:limit:)``, ``StoreError/backlogFull(_:)``,
/// ``StoreError/diskFull(_:)``, ``StoreError/logFailed(_:)``, ``StoreError/fenced(_:)``, ``StoreError/noResources(_:)``,
/// ``StoreError/damaged(_:)`` and ``StoreError/closed(_:)``. Methods that read throw ``StoreError/database(_:)`` if a row is
/// not in memory and the database cannot be read. All methods may be called from any thread or task.
public struct StoredTable<Row: TableRow>: Sendable {
    let engine: Engine
    let id: UInt16
    let layout: RowLayout
    let encoders: EncoderPool

    init(engine: Engine, id: UInt16, layout: RowLayout) {
        self.engine = engine
        self.id = id
        self.layout = layout
        encoders = EncoderPool(
            layout, Self.form(engine, id, layout, checksLeft: EncoderPool.Form.checkCount))
    }

    private static func form(
        _ engine: Engine, _ id: UInt16, _ layout: RowLayout, checksLeft: Int
    ) -> EncoderPool.Form {
        // Read before the schema: if the table changes in between, the first put looks again.
        let generation = engine.generation.load(ordering: .relaxed)
        let schema = engine.tables[UInt32(id)]?.schema
        return EncoderPool.Form(
            generation: generation, lacksColumns: schema.map(layout.lacksColumns) ?? false,
            logsWholeRows: schema?.changes == .wholeRows,
            addsMakeRows: schema.map(RowCodec.addsMakeRows) ?? false,
            addable: schema.map { addable(layout, $0) } ?? 0, checksLeft: checksLeft)
    }

    /// Which of the row's columns outside the key take amounts, a bit for each of the first.
    private static func addable(_ layout: RowLayout, _ schema: TableSchema) -> UInt64 {
        var bits: UInt64 = 0
        for (index, place) in layout.places.prefix(64).enumerated()
        where schema.reasonAgainstAdding(to: place) == nil {
            bits |= 1 << UInt64(index)
        }
        return bits
    }

    /// Whether the table has columns that rows of this handle lack: the program is an older one, or the table got them
    /// after the handle was made.
    var lacksColumns: Bool {
        let known = encoders.current
        if known.lacksColumns || known.generation == engine.generation.load(ordering: .relaxed) {
            return known.lacksColumns
        }
        return currentForm(known).lacksColumns
    }

    /// Whether an update is logged with the row before it.
    var logsWholeRows: Bool {
        let known = encoders.current
        if known.generation == engine.generation.load(ordering: .relaxed) {
            return known.logsWholeRows
        }
        return currentForm(known).logsWholeRows
    }

    func currentForm(_ known: EncoderPool.Form) -> EncoderPool.Form {
        let now = Self.form(engine, id, layout, checksLeft: known.checksLeft)
        encoders.note(now)
        return now
    }

    var name: String { layout.schema.name }

    // MARK: writing without reading

    /// Writes a whole row. It replaces the row with the same key, if there is one. Columns that a later version of the
    /// program added, and that `Row` lacks, keep their values.
    ///
    /// - Parameters:
    ///   - row: all of its columns.
    ///   - lifetime: how long the cached copy may serve reads once the database holds the row. The row itself
    ///     stays; to have it deleted, give its table an expiry column.
    /// - Returns: the receipt of the write, which is ``Stage/staged`` now. It survives power loss once it is
    ///   ``Stage/durable``: see ``Store/wait(for:_:timeout:)``.
    /// - Throws: the errors of any write: see ``StoredTable``. Then nothing was written.
    @discardableResult
    public func put(_ row: Row, cachedFor lifetime: Duration? = nil) throws(StoreError) -> Receipt {
        let until = lifetime.map { deadline(after: $0) }
        return try encoders.withEncoder { (encoder) throws(StoreError) in
            try encoder.encode(row)
            return try put(encoder.row.key.span, encoder.row.row.span, until)
        }
    }

    @inline(__always)
    func put(
        _ key: Span<UInt8>, _ body: Span<UInt8>, _ until: UInt64?
    ) throws(StoreError) -> Receipt {
        let known = encoders.current
        if known.isPlain,
            let receipt = try engine.write(
                .put, table: id, key: key, body: body, deadline: until,
                generation: known.generation)
        {
            return receipt
        }
        return try putAgain(key, body, until)
    }

    /// Puts one of the first rows, or a row of a table that has changed since the handle was made.
    @inline(never)
    private func putAgain(
        _ key: Span<UInt8>, _ body: Span<UInt8>, _ until: UInt64?
    ) throws(StoreError) -> Receipt {
        try checkOrder(key, body)
        while !lacksColumns {
            let written = try engine.write(
                .put, table: id, key: key, body: body, deadline: until,
                generation: encoders.current.generation)
            if let written { return written }
        }
        let patch = try rowErrors { () throws(RowError) in
            try RowCodec.patch(settingAllOf: body, layout.schema)
        }
        return try engine.write(.patch, table: id, key: key, body: patch.span)
    }

    /// Reads a row back from its bytes, if it is one of the first.
    private func checkOrder(_ key: Span<UInt8>, _ body: Span<UInt8>) throws(StoreError) {
        let known = encoders.current
        guard known.checksLeft > 0 else { return }
        try rowErrors { () throws(RowError) in
            try ColumnOrder.check(Row.self, key: key, body: body, layout)
        }
        encoders.note(known.checked())
    }

    /// Deletes the row with this key, if there is one.
    ///
    /// - Returns: the receipt of the write, which is ``Stage/staged`` now.
    /// - Throws: the errors of any write: see ``StoredTable``. Then nothing was deleted.
    @discardableResult
    public func delete(_ key: Row.Key) throws(StoreError) -> Receipt {
        try encoders.withEncoder { (encoder) throws(StoreError) in
            try encoder.encode(key)
            return try engine.write(
                .delete, table: id, key: encoder.key.key.span, body: Span())
        }
    }

    /// Deletes all rows.
    ///
    /// - Returns: the receipt of the write, which is ``Stage/staged`` now.
    /// - Throws: the errors of any write: see ``StoredTable``. Then no row was deleted.
    @discardableResult
    public func clear() throws(StoreError) -> Receipt {
        var commit = CommitBuilder()
        commit.appendClear(table: id)
        return try engine.commit(commit)
    }

    // MARK: reading

    /// The row with this key, as of the last write: from memory, else from the database. If amounts were added to a row that
    /// only the database has, the call waits until the database has taken them; not longer than five seconds in which it
    /// takes nothing.
    ///
    /// - Parameters:
    ///   - key: the row's key.
    ///   - lifetime: how long a copy that this call brings into memory may serve reads.
    /// - Returns: nil if there is no such row.
    /// - Throws: ``StoreError/database(_:)`` if the row is not in memory and the database cannot be read, or is behind with
    ///   what was added to the row; and ``StoreError/cancelled`` if the task is cancelled while the database is read.
    public nonisolated(nonsending) func get(
        _ key: Row.Key, cachedFor lifetime: Duration? = nil
    ) async throws(StoreError) -> Row? {
        if case .known(let row) = try resident(key) { return row }
        let bytes = try encoded(key)
        let fetched = try await engine.fetch(
            id, bytes, deadline: lifetime.map { deadline(after: $0) })
        return try fetched.body.map { body throws(StoreError) in try decode(key: bytes, body: body)
        }
    }

    /// The row with this key if it is in memory; nil says nothing about whether it exists.
    ///
    /// - Throws: ``StoreError/row(_:)`` if the key does not fit its table, or the stored values do not fit the row's type.
    public func cached(_ key: Row.Key) throws(StoreError) -> Row? {
        guard case .known(let row) = try resident(key) else { return nil }
        return row
    }

    private enum Resident {
        case known(Row?)
        case unknown
    }

    /// The row in memory, if it is there. Only the row itself allocates.
    private func resident(_ key: Row.Key) throws(StoreError) -> Resident {
        try encoders.withEncoder { (encoder) throws(StoreError) in
            try encoder.encode(key)
            var body: [UInt8] = []
            swap(&body, &encoder.body)
            defer { swap(&body, &encoder.body) }
            switch engine.copyResident(id, encoder.key.key.span, to: &body) {
            case .full:
                // Not under the shard's lock: this runs the user's code, which may use the store.
                return .known(try rowOf(key: encoder.key.key.span, body: body.span))
            case .tombstone: return .known(nil)
            case .absent, .partial: return .unknown
            }
        }
    }

    /// Drops the copy in memory, never the row. Does nothing while the database does not hold the row's last
    /// change.
    ///
    /// - Returns: whether the row is out of memory now.
    /// - Throws: ``StoreError/row(_:)`` if the key does not fit its table.
    @discardableResult
    public func evict(_ key: Row.Key) throws(StoreError) -> Bool {
        let bytes = try encoded(key)
        return engine.evict(id, bytes.span)
    }

    // MARK: writing after reading

    /// Changes a row. Only the columns that differ afterwards are logged, and become `UPDATE … SET` of just
    /// these.
    ///
    /// `change` runs where the caller does, on an actor as well, and again if another write changed the row
    /// meanwhile. Nothing is written if it throws.
    ///
    /// - Returns: the receipt. If no column differs, nothing is logged, and the receipt is that of the row as it was found.
    /// - Throws: ``StoreError/noSuchRow(table:key:)`` if there is no row with this key; ``StoreError/keyChanged(table:)``, what
    ///   `change` throws, and the errors of any write or read.
    @discardableResult
    public nonisolated(nonsending) func update(
        _ key: Row.Key, _ change: (inout Row) throws -> Void
    ) async throws -> Receipt {
        let bytes = try encoded(key)
        var turn = Turn(engine)
        defer { turn.end() }
        while true {
            var transaction = Transaction(engine: engine)
            let fetched = try await engine.fetch(id, bytes)
            guard let body = fetched.body else { throw missing(bytes) }
            var row = try decode(key: bytes, body: body)
            try change(&row)
            guard try transaction.patch(self, key: bytes, from: body, to: row) != nil else {
                return receipt(for: fetched)
            }
            let read = ReadVersion(table: id, key: bytes, version: fetched.version)
            if let receipt = try turn.commit(transaction.commit, reads: [read]) {
                return receipt
            }
            try await turn.next([read])
        }
    }

    /// Adds to an integer column of a row, atomically.
    ///
    /// - Parameters:
    ///   - key: the row's key.
    ///   - column: the column's name.
    ///   - amount: what to add; may be negative.
    ///   - initial: the row to put, as it is, if there is none yet: `amount` is not added to it. It must have
    ///     this key.
    /// - Returns: the new value and the receipt.
    /// - Throws: ``StoreError/noSuchRow(table:key:)`` if there is neither a row nor an `initial`;
    ///   ``StoreError/cannotIncrement(table:column:reason:)`` on overflow, null, another type, or if
    ///   no column outside the key has the name; ``StoreError/initialHasAnotherKey(table:)``; what any
    ///   write or read throws.
    @discardableResult
    public nonisolated(nonsending) func increment(
        _ key: Row.Key, _ column: String, by amount: Int = 1, orPut initial: Row? = nil
    ) async throws(StoreError) -> (value: Int, receipt: Receipt) {
        try await increment(key, column, by: amount, within: .min ... .max, orPut: initial)
    }

    /// - Parameter range: the sum must be in it.
    nonisolated(nonsending) func increment(
        _ key: Row.Key, _ column: String, by amount: Int, within range: ClosedRange<Int64>,
        orPut initial: Row?
    ) async throws(StoreError) -> (value: Int, receipt: Receipt) {
        let bytes = try encoded(key)
        var turn = Turn(engine)
        defer { turn.end() }
        while true {
            let fetched = try await engine.fetch(id, bytes)
            var transaction = Transaction(engine: engine)
            let sum = try transaction.increment(
                self, key: bytes, body: fetched.body, column, by: amount, within: range,
                orPut: initial)
            let read = ReadVersion(table: id, key: bytes, version: fetched.version)
            if let receipt = try turn.commit(transaction.commit, reads: [read]) {
                return (sum.value, receipt)
            }
            try await turn.next([read])
        }
    }

    // MARK: bytes

    func encoded(_ key: Row.Key) throws(StoreError) -> [UInt8] {
        try encoders.withEncoder { (encoder) throws(StoreError) in
            try encoder.encode(key)
            return encoder.key.key
        }
    }

    func encoded(_ row: Row) throws(StoreError) -> (key: [UInt8], body: [UInt8]) {
        try encoders.withEncoder { (encoder) throws(StoreError) in
            try encoder.encode(row)
            try checkOrder(encoder.row.key.span, encoder.row.row.span)
            return (encoder.row.key, encoder.row.row)
        }
    }

    func decode(key: [UInt8], body: [UInt8]) throws(StoreError) -> Row {
        try rowOf(key: key.span, body: body.span)
    }

    func rowOf(key: Span<UInt8>, body: Span<UInt8>) throws(StoreError) -> Row {
        try rowErrors { () throws(RowError) in
            try RowDecoder.decode(Row.self, key: key, row: body, layout)
        }
    }

    private func deadline(after lifetime: Duration) -> UInt64 {
        engine.milliseconds + lifetime.nanoseconds / 1_000_000
    }

    /// A receipt for a row as it was found.
    private func receipt(for fetched: Engine.Fetched) -> Receipt {
        switch fetched.version {
        case .resident(let sequence), .stored(let sequence):
            Receipt(
                firstSequence: fetched.isFromDatabase ? 0 : sequence, sequence: sequence,
                store: engine.number)
        }
    }
}
