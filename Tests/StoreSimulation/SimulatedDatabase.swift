import EventLog
import TestSupport
import WriteBehindCore

/// A database in memory that outlives the sinks that are opened on it, as a file does.
///
/// Like SQLite with `synchronous=NORMAL`: a transaction is whole or not there; the death of the process
/// loses none, power loss any number of the last ones since the last checkpoint.
final class SimulatedDatabase: Sendable {
    /// The state after one committed transaction.
    struct Content {
        var watermark: Watermark
        var tables: [UInt32: TableDefinition] = [:]
        var rows: [Row: [UInt8]] = [:]
        var quarantine = QuarantineIndex()
        /// Rows that may not be written, only deleted: the user's constraints.
        var refused: Set<Row> = []
        /// The declared unique constraints that are in force: no rows broke them when they were made.
        var inForce: Set<Unique> = []
        var projections: [String: StoredProjection] = [:]
        var mirror = Mirror()
        /// In the transaction under way: the tables that a projection follows, and those whose rows were changed.
        var follows: Set<UInt32> = []
        var touched: Set<UInt32> = []
    }

    struct State {
        /// Every state since the last checkpoint, the present one last; empty: there is no file.
        var history: [Content] = []
        /// The errors of the next transactions.
        var failures: [SinkError] = []
        var nextReadFails = false
        /// The commits that broke a unique constraint, each time that they were tried.
        var conflicts: Set<UInt64> = []
        /// Runs between a read's snapshot and its return: other work that may happen meanwhile.
        var whileReading: (() -> Void)?
        /// Runs between a reader's call and the read's snapshot.
        var whileAsking: (() -> Void)?
    }

    private let state = Locked(State())
    /// See ``Flaw``.
    let losesPatchesBesideClears: Bool
    /// Whether it makes the declared unique constraints.
    let hasConstraints: Bool

    init(losesPatchesBesideClears: Bool = false, hasConstraints: Bool = true) {
        self.losesPatchesBesideClears = losesPatchesBesideClears
        self.hasConstraints = hasConstraints
    }

    func withState<R>(_ body: (inout State) throws -> R) rethrows -> R {
        try state.withLock(body)
    }

    /// Another database in the same state.
    func copy() -> SimulatedDatabase {
        let copy = SimulatedDatabase(hasConstraints: hasConstraints)
        let (history, conflicts) = withState { ($0.history, $0.conflicts) }
        copy.withState { ($0.history, $0.conflicts) = (history, conflicts) }
        return copy
    }

    var content: Content? { withState { $0.history.last } }

    /// Opens the database as a sink, and makes it first if there is none.
    func open(
        origin: Watermark, _ projections: ProjectionRegistry = ProjectionRegistry()
    ) -> SimulatedSink {
        let content = withState { state in
            guard var content = state.history.last else {
                let content = Content(watermark: origin)
                state.history = [content]
                return content
            }
            let before = content.inForce
            if hasConstraints { content.makeConstraints() }
            if content.inForce != before { state.history.append(content) }
            return content
        }
        return SimulatedSink(self, content, projections)
    }

    /// Loses some of the last transactions, as power loss may.
    func losePower(using random: inout SeededRandom) {
        withState { state in
            guard !state.history.isEmpty else { return }
            let kept = Int.random(in: 1...state.history.count, using: &random)
            state.history = [state.history[kept - 1]]
        }
    }

    /// Changes which rows are refused, as a user changes the constraints of a table.
    func refuse(_ change: (inout Set<Row>) -> Void) {
        withState { state in
            guard var content = state.history.last else { return }
            change(&content.refused)
            state.history.append(content)
        }
    }

    /// Another program deletes the file, or puts another file in its place.
    func replace(with content: Content?) {
        withState { $0.history = content.map { [$0] } ?? [] }
    }
}

extension SimulatedDatabase.Content {
    mutating func clear(_ table: UInt32) {
        rows = rows.filter { $0.key.table != table }
    }

    mutating func apply(
        _ kind: ChangeKind, _ row: Row, _ body: Span<UInt8>
    ) throws(SinkError) {
        guard let table = tables[row.table] else { throw SinkError(.schema, "no such table") }
        guard kind == .delete || !refused.contains(row) else {
            throw SinkError(.constraint, "the row is refused")
        }
        switch kind {
        case .put:
            let body = Array(copying: body)
            try checkConstraints(row, body)
            rows[row] = body
        case .delete: rows[row] = nil
        case .add:
            switch try AddedRow(
                adding: body, to: rows[row], table.schema, named: table.schema.name)
            {
            case .none: break
            case .patch(let patch): try apply(.patch, row, patch.span)
            case .put(let made): try apply(.put, row, made.span)
            }
        case .patch:
            let old = rows[row] ?? RowCodec.noValues
            if rows[row] == nil, !Self.makesRow(body, table.schema) {
                throw SinkError(.corrupt, "a patch of no row")
            }
            var merged: [UInt8] = []
            let defaults = RowCodec.defaults(table.schema)
            do throws(MalformedRecord) {
                try RowMerge.row(old.span, patch: body, defaults: defaults, into: &merged)
            } catch {
                throw SinkError(.corrupt, error.reason)
            }
            try checkConstraints(row, merged)
            rows[row] = merged
        }
    }
}

extension SimulatedDatabase.Content {
    /// Whether a patch makes its row if there is none, as the put of an older program does.
    private static func makesRow(_ patch: Span<UInt8>, _ schema: TableSchema) -> Bool {
        guard let changes = try? RowCodec.decodePatch(patch, schema) else { return false }
        return RowCodec.makesRow(changes.map(\.column), schema)
    }
}

extension [UInt8] {
    init(copying bytes: Span<UInt8>) {
        self = (0..<bytes.count).map { bytes[$0] }
    }
}
