import EventLog
import WriteBehindCore

// Indices: they hold every acknowledged row, in the order of SQL's ORDER BY.

extension Tables {
    /// The indices of a table whose columns it has. The columns may have other names by now.
    static func indices(_ table: UInt32, _ schema: TableSchema) -> [IndexDefinition] {
        let all: [[IndexDefinition]] = [
            [
                IndexDefinition("n"), IndexDefinition("byName", on: "name", "n"),
                IndexDefinition("byExtra", on: "extra", "note"),
            ],
            [], [IndexDefinition("until")], [], [IndexDefinition("byMark", on: "mark", "n")], [],
        ]
        return all[Int(table) - 1].compactMap { index in
            let columns = index.columns.compactMap { name -> String? in
                guard let place = place(of: name, table), place < schema.valueColumns.count,
                    !schema.valueColumns[place].isDropped
                else { return nil }
                return schema.valueColumns[place].name
            }
            return columns.count == index.columns.count
                ? IndexDefinition(index.name, columns: columns) : nil
        }
    }
}

extension SimulatedStore {
    /// Declares the indices of all tables. They are built step by step.
    func declareIndices() throws {
        guard hasIndices, let engine else { return }
        for table in engine.tables.tables where !table.schema.isShared {
            let schema = table.schema
            _ = try engine.declare(
                TableSchema(
                    schema.name, schema.columns.filter { !$0.isDropped }, expiry: schema.expiry,
                    indices: Tables.indices(table.id, schema), sqlIndices: schema.sqlIndices,
                    changes: schema.changes))
        }
    }

    /// Adds the indices in the middle of a life, and builds a part of them.
    func addIndices() {
        guard fault == nil, let store, store.damage == nil, !hasIndices else { return }
        hasIndices = true
        check { try declareIndices() }
        for _ in 0..<model.commits.count % 16 { _ = store.indexBuilder.step() }
        note("indices are added, of which \(readyCount) are ready")
    }

    private var readyCount: Int {
        engine?.indices.all.count { $0.phase == .ready } ?? 0
    }

    /// Does a piece of work on indices that are not ready, and checks those that are.
    func stepIndices() {
        guard fault == nil, let store else { return }
        _ = store.indexBuilder.step()
        checkIndices()
    }

    /// Builds every index to its end. Without trouble, each must become ready.
    func finishIndices() {
        guard fault == nil, let store, let engine else { return }
        for _ in 0..<10_000 where engine.indices.all.contains(where: { $0.phase == .building }) {
            _ = store.indexBuilder.step()
            _ = engine.log.flusher?.step()
        }
        noteDurable()
        for index in engine.indices.all where index.phase != .ready {
            fail("index", "\(index.tableName).\(index.definition.name) is \(index.phase)")
        }
        checkIndices()
    }

    private func checkIndices() {
        guard fault == nil, let engine else { return }
        for index in engine.indices.all {
            check { try checkIndex(index, engine) }
        }
    }

    private func checkIndex(_ index: OrderedIndex, _ engine: Engine) throws {
        let name = "\(index.tableName).\(index.definition.name)"
        if let wrong = index.fault() { return fail("index", "\(name): \(wrong)") }
        let right = expectedOrder(index)
        let descending = Array(right.reversed().prefix(3))
        let middle = right.isEmpty ? nil : right[right.count / 2]
        let key = Tables.key(middle ?? 0)
        let hash = engine.view.hash(table: index.table, key: key.span)
        let found = try index.readIfReady { entries -> ([[UInt8]], [[UInt8]], Int?) in
            let all = entries.entries(IndexPart(), limit: .max)
            var part = IndexPart()
            part.isDescending = true
            let top = entries.entries(part, limit: 3)
            return (
                (0..<all.count).map { all.key($0) }, (0..<top.count).map { top.key($0) },
                middle == nil ? nil : entries.rank(hash, key.span)
            )
        }
        guard let (all, top, rank) = found else { return }
        if all != right.map(Tables.key) {
            let ids = all.map { $0.last.map(Int.init) ?? -1 }
            return fail("index", "\(name) is \(ids), and should be \(right)")
        }
        if top != descending.map(Tables.key) { return fail("index", "\(name): another top") }
        if middle != nil, rank != right.count / 2 {
            fail("index", "\(name): the rank of \(middle ?? 0) is \(rank ?? -1)")
        }
    }

    /// The rows of the model in the order of an index.
    private func expectedOrder(_ index: OrderedIndex) -> [Int64] {
        let table = UInt32(index.table)
        let schema = schema(table)
        let places = index.definition.columns.compactMap { Tables.place(of: $0, table) }
        let rows = model.rows.filter { $0.key.table == table }.map { row, values in
            (id: row.id, values: Tables.completed(values, schema))
        }
        return rows.sorted { left, right in
            for place in places where left.values[place] != right.values[place] {
                return Self.isBefore(left.values[place], right.values[place])
            }
            return left.id < right.id
        }.map(\.id)
    }

    /// The order of SQL's ORDER BY.
    private static func isBefore(_ left: StoredValue, _ right: StoredValue) -> Bool {
        switch (left, right) {
        case (.null, _): true
        case (_, .null): false
        case (.integer(let left), .integer(let right)): left < right
        case (.real(let left), .real(let right)): left < right
        case (.text(let left), .text(let right)):
            left.utf8.lexicographicallyPrecedes(right.utf8)
        default: false
        }
    }
}
