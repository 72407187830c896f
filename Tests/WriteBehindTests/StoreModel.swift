import WriteBehind

/// What the store must show, told in values: the commits in their order, and their fold.
struct StoreModel {
    enum Change {
        /// The columns outside the key.
        case put(RowID, [Value])
        case patch(RowID, column: Int, Value)
        case delete(RowID)
        case clear(UInt32)
    }

    struct Commit {
        var receipt: Receipt
        var changes: [Change]
    }

    private(set) var commits: [Commit] = []
    /// The fold of all of them.
    private(set) var rows: [RowID: [Value]] = [:]

    mutating func append(_ commit: Commit) {
        commits.append(commit)
        for change in commit.changes { Self.apply(change, to: &rows) }
    }

    /// Forgets the commits above `sequence`, which power loss took.
    mutating func cut(after sequence: UInt64) {
        commits.removeAll { $0.receipt.sequence > sequence }
        rows = fold(through: .max)
    }

    /// The rows as of a sequence, but for some commits.
    func fold(through sequence: UInt64, without: Set<UInt64> = []) -> [RowID: [Value]] {
        var rows: [RowID: [Value]] = [:]
        for commit in commits
        where commit.receipt.sequence <= sequence && !without.contains(commit.receipt.firstSequence)
        {
            for change in commit.changes { Self.apply(change, to: &rows) }
        }
        return rows
    }

    private static func apply(_ change: Change, to rows: inout [RowID: [Value]]) {
        switch change {
        case .put(let row, let values): rows[row] = values
        case .patch(let row, let column, let value):
            var values = rows[row] ?? []
            // A row from before the column was added holds its default.
            while values.count <= column { values.append(SimulatedStore.addedDefault) }
            values[column] = value
            rows[row] = values
        case .delete(let row): rows[row] = nil
        case .clear(let table): rows = rows.filter { $0.key.table != table }
        }
    }
}
