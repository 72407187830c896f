import EventLog
import TestSupport
import WriteBehindCore

// Unique constraints that tables declare, as a database has them.

/// Columns of a table, by their places outside the key, in which no two rows may have the same values.
struct Unique: Hashable {
    var table: UInt32
    var places: [Int]

    static func all(of table: TableDefinition) -> Set<Unique> {
        let unique = table.schema.sqlIndices.filter(\.isUnique)
        return Set(
            unique.map { index in
                Unique(table: table.id, places: index.columns.compactMap(table.schema.valueIndex))
            })
    }
}

extension SimulatedDatabase.Content {
    /// Takes a definition: what it does not declare any more is dropped, and what is new is made if no rows break it.
    mutating func define(_ table: TableDefinition, hasConstraints: Bool) {
        tables[table.id] = table
        guard hasConstraints else { return }
        let declared = Unique.all(of: table)
        inForce = inForce.filter { $0.table != table.id || declared.contains($0) }
        makeConstraints()
    }

    /// Makes the constraints that rows do not break any more.
    mutating func makeConstraints() {
        for unique in tables.values.flatMap(Unique.all) where !isBroken(unique) {
            inForce.insert(unique)
        }
    }

    private func values(_ unique: Unique, _ body: [UInt8]) -> [StoredValue]? {
        guard let schema = tables[unique.table]?.schema,
            let all = try? RowCodec.decodeRow(body.span, schema)
        else { return nil }
        let values = unique.places.map { all[$0] }
        return values.contains(.null) ? nil : values
    }

    private func isBroken(_ unique: Unique) -> Bool {
        let all = rows.filter { $0.key.table == unique.table }
            .compactMap { values(unique, $0.value) }
        return Set(all).count < all.count
    }

    /// Throws if a row would have the same values as another.
    func checkConstraints(_ row: Row, _ body: [UInt8]) throws(SinkError) {
        for unique in inForce where unique.table == row.table {
            guard let own = values(unique, body) else { continue }
            let isTaken = rows.contains {
                $0.key.table == row.table && $0.key != row && values(unique, $0.value) == own
            }
            if isTaken { throw SinkError(.constraint, code: Self.uniqueCode, "\(own) is taken") }
        }
    }

    static let uniqueCode: Int32 = 2067

    /// The constraint in force that rows break; nil if there is none, as must be.
    var brokenConstraint: Unique? { inForce.first(where: isBroken) }
}

extension SimulatedSink: ReplaceableSink {
    func aside() -> AsideDatabase? { nil }
    func carryOver() -> [CarryFailure] { [] }

    func dropCarriedOver(named names: [String]) throws(SinkError) {
        try transaction { (content) throws(SinkError) in content.inForce = [] }
    }

    func makeIndices() throws(SinkError) {
        guard database.hasConstraints else { return }
        try transaction { (content) throws(SinkError) in content.makeConstraints() }
    }
}

extension SimulatedDatabase {
    /// Notes that a commit was refused.
    func noteRefusal(of commit: OrderedCommit, _ error: SinkError) {
        guard error.code == Content.uniqueCode else { return }
        withState { _ = $0.conflicts.insert(commit.firstSequence) }
    }
}

extension SimulatedStore {
    /// The commits that broke a unique constraint at some time.
    var conflicts: Set<UInt64> { database.withState(\.conflicts) }

    /// Declares the last version of the table that has constraints, which has none: then nothing is refused for them.
    func liftConstraints() throws {
        while let known = engine?.tables[2]?.schema, let next = Tables.next(after: known, 2) {
            try declare(next)
        }
        catchUp()
    }

    /// What survives of the log has the tables as they were declared, with the ids that were reserved.
    func checkDefinitions() {
        guard fault == nil, let engine else { return }
        let end = engine.log.lastSequence
        definitions.removeAll { $0.sequence > end }
        for table in engine.tables.tables {
            let right = definitions.last { $0.definition.id == table.id }?.definition
            if table != right {
                fail("definition", "\(table) is not \(right.map { "\($0)" } ?? "there")")
            }
        }
        given = given.filter { $0.value <= end }
    }

    /// The same of the database, as of its watermark; and its rows keep to its constraints.
    func checkConstraints(_ content: SimulatedDatabase.Content) {
        for table in content.tables.values {
            let right = definitions.last {
                $0.definition.id == table.id && $0.sequence <= content.watermark.sequence
            }
            if let right, right.definition != table {
                fail("definition", "the database has \(table), and not \(right.definition)")
            }
        }
        if let broken = content.brokenConstraint {
            let name = Tables.names[Int(broken.table) - 1]
            fail("constraint", "rows of \(name) break \(broken.places)")
        }
    }

    // MARK: ids

    /// Notes definitions that the store has logged by itself.
    func noteDefinitions() {
        guard let engine else { return }
        while model.lastSequence < engine.log.lastSequence {
            let sequence = model.lastSequence + 1
            model.append(
                .init(receipt: Receipt(firstSequence: sequence, sequence: sequence, store: 0)))
            guard let table = engine.tables[Tables.assigned] else { continue }
            definitions.append((sequence, table))
        }
    }

    /// Writes a new row under an id that the store gives, as `insert` does.
    func insert(_ values: [StoredValue]) throws {
        let table = Tables.assigned
        guard let engine, engine.tables[table] != nil, let values = present(values, table) else {
            return
        }
        var search = FreeKeySearch()
        while fault == nil {
            let result = Result { try engine.nextKey(of: UInt16(table), past: search.past) }
            noteDefinitions()
            let id = try result.get()
            if let sequence = given[id] {
                return fail("id", "\(id) was given to the row of \(sequence), and is given again")
            }
            if id <= 0 || id > engine.tables[table]?.assigned ?? 0 {
                return fail("id", "\(id) is not reserved")
            }
            let row = Row(table: table, id: id)
            let fetched = try engine.fetchBlocking(UInt16(table), Tables.key(id))
            guard fetched.body == nil else {
                if model.rows[row] == nil { fail("id", "\(row) is not there, and was read") }
                search.pass(Int(id))
                continue
            }
            let body = try RowCodec.encodeRow(values, schema(table))
            var commit = CommitBuilder()
            commit.append(
                .put, table: UInt16(table), key: Tables.key(id).span, body: body.span)
            let read = ReadVersion(
                table: UInt16(table), key: Tables.key(id), version: fetched.version)
            guard let receipt = try engine.commit(commit, reads: [read]) else { return }
            wrote(receipt, [.put(row, values)])
            given[id] = receipt.sequence
            return note("\(row) is new")
        }
    }

    /// The ids of a table that rows may have.
    func ids(of table: UInt32) -> [Int64] {
        let first = 0..<Tables.keyCount(table)
        guard table == Tables.assigned else { return Array(first) }
        let others = model.rows.keys.filter { $0.table == table }.map(\.id)
        return Set(first).union(others).union(given.keys).sorted()
    }
}
