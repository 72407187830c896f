import EventLog
import Synchronization

/// The indices of all tables of a store.
package final class TableIndices: Sendable {
    private struct State {
        /// Those of each table are in the order of their numbers, in which a write locks them.
        var tables: [UInt16: [OrderedIndex]] = [:]
        var count = 0
    }

    private let state = Lock(State())
    package let memory: IndexMemory

    init(limit: Int) { memory = IndexMemory(limit: limit) }

    /// All indices, in the order of their numbers.
    package var all: [OrderedIndex] {
        state.withLock { $0.tables.values.flatMap(\.self) }.sorted { $0.number < $1.number }
    }

    /// The indices of a table, in the order of their numbers.
    package func indices(of table: UInt16) -> [OrderedIndex] {
        state.withLock { $0.tables[table] ?? [] }
    }

    /// Adds those indices that the table does not have yet.
    ///
    /// - Parameter declared: the table as a program declares it, which may have other names for its columns.
    fileprivate func add(
        of declared: TableSchema, to table: TableDefinition
    ) throws(SchemaError) {
        let places = table.schema.valuePlaces(of: declared)
        try state.withLock { (state) throws(SchemaError) in
            for definition in declared.indices {
                let known = state.tables[UInt16(table.id)] ?? []
                // The names were checked (``TableSchema/validate()``).
                let columns = definition.columns.compactMap { declared.valueIndex(of: $0) }
                    .map { places[$0] }
                if let index = known.first(where: { $0.definition.name == definition.name }) {
                    guard index.columns.parts.map(\.place) == columns else {
                        throw SchemaError(
                            table: table.schema.name,
                            .unfitIndex(
                                name: definition.name,
                                reason:
                                    "this program has declared it with other columns: give one of the two "
                                    + "another name"))
                    }
                    continue
                }
                let index = OrderedIndex(
                    definition, on: columns, of: table, number: state.count, memory: memory)
                state.tables[UInt16(table.id)] = known + [index]
                state.count += 1
            }
        }
    }

    /// Follows a later definition of a table. An index over a column that may be null now, or holds reals now, is built
    /// again, because its entries have another form. An index over a column that was dropped stops.
    ///
    /// Called before any row can be written by the new definition.
    fileprivate func follow(_ table: TableDefinition) {
        let replaced = state.withLock { state -> [OrderedIndex] in
            var replaced: [OrderedIndex] = []
            let followed = state.tables[UInt16(table.id)]?.compactMap { index -> OrderedIndex? in
                let places = index.columns.parts.map(\.place)
                let isDropped = places.contains { table.schema.valueColumns[$0].isDropped }
                if !isDropped,
                    IndexColumns(places, in: table.schema).hasForm(of: index.columns)
                {
                    return index
                }
                replaced.append(index)
                if isDropped { return nil }
                defer { state.count += 1 }
                return OrderedIndex(
                    index.definition, on: places, of: table, number: state.count, memory: memory)
            }
            // One that is built again has a higher number than those behind it.
            state.tables[UInt16(table.id)] = followed?.sorted { $0.number < $1.number }
            return replaced
        }
        for index in replaced { index.stop("the table was declared otherwise meanwhile") }
        if !replaced.isEmpty { memory.work.raise() }
    }

    /// Ends all waiting for indices: the store is closed.
    package func fail(_ error: StoreError) {
        for index in all { index.fail(error) }
    }
}

extension Engine {
    /// Declares a table, and its indices, which are built in the background.
    package func declare(
        _ declared: TableSchema, byName: Bool = false
    ) throws(StoreError) -> TableDefinition {
        try Self.schemaErrors { () throws(SchemaError) in try declared.validate() }
        let table = try define(declared.withoutIndices, byName: byName)
        if !declared.indices.isEmpty { try addIndices(of: declared, to: table) }
        return table
    }

    /// See ``TableIndices/follow(_:)``.
    func followInIndices(_ table: TableDefinition) { indices.follow(table) }

    private func addIndices(
        of declared: TableSchema, to table: TableDefinition
    ) throws(StoreError) {
        // Set before the builder can find the index. The builder takes each shard's lock, and later writes see the bit.
        indexedTables.bitwiseOr(Self.bit(of: UInt16(table.id)), ordering: .relaxed)
        try Self.schemaErrors { () throws(SchemaError) in
            try indices.add(of: declared, to: table)
        }
        indices.memory.work.raise()
    }

    private static func bit(of table: UInt16) -> UInt64 { 1 << UInt64(table & 63) }

    /// Whether a table may have an index. For a table without one this costs one load and one test, unless a table with an
    /// index has a number with the same last six bits. To be called with a shard's lock held.
    @inline(__always)
    func mayHaveIndex(_ table: UInt16) -> Bool {
        indexedTables.load(ordering: .relaxed) & Self.bit(of: table) != 0
    }

    /// Applies a change that was logged to the indices. The lock of the row's shard must be held.
    @inline(never)
    func index(
        _ change: ChangeKind, _ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>,
        _ body: Span<UInt8>
    ) {
        index(change, hash, key, body, in: indices.indices(of: table)[...])
    }

    private func index(
        _ change: ChangeKind, _ hash: UInt64, _ key: Span<UInt8>, _ body: Span<UInt8>,
        in indices: ArraySlice<OrderedIndex>
    ) {
        guard let first = indices.first else { return }
        first.apply(change, hash, key, body) {
            index(change, hash, key, body, in: indices.dropFirst())
        }
    }

    /// Applies a commit that was logged to the indices. The locks of its shards must be held.
    func index(_ commit: CommitBuilder, _ hashes: [UInt64]) {
        guard commit.steps.contains(where: { $0.table.map(mayHaveIndex) ?? false }) else { return }
        let tables = Set(commit.steps.compactMap(\.table))
        let found = tables.flatMap { indices.indices(of: $0) }.sorted { $0.number < $1.number }
        index(commit, hashes, in: found[...])
    }

    private func index(
        _ commit: CommitBuilder, _ hashes: [UInt64], in indices: ArraySlice<OrderedIndex>
    ) {
        guard let first = indices.first else { return }
        first.apply(commit, hashes) { index(commit, hashes, in: indices.dropFirst()) }
    }

    /// - Throws: ``StoreError/noIndex(table:index:)``.
    func index(_ name: String, of table: UInt16) throws(StoreError) -> OrderedIndex {
        let found = indices.indices(of: table).first { $0.definition.name == name }
        if let found { return found }
        throw .noIndex(table: tables[UInt32(table)]?.schema.name ?? "", index: name)
    }
}

extension CommitBuilder.Step {
    fileprivate var table: UInt16? {
        switch self {
        case .change(let change): change.table
        case .clear(let table): table
        case .other: nil
        }
    }
}
