import WriteBehindCore

/// The state that the store must show, in values: the commits in their order, and their fold.
struct StoreModel {
    enum Change: Equatable {
        /// The columns outside the key.
        case put(Row, [StoredValue])
        case patch(Row, column: Int, StoredValue)
        /// Adds to an integer column. Without a row, it makes one of the defaults, or changes nothing.
        case add(Row, column: Int, Int64, makesRow: Bool)
        /// Puts a row if there is none.
        case putIfAbsent(Row, [StoredValue])
        case delete(Row)
        case clear(UInt32)
    }

    struct Commit {
        var receipt: Receipt
        /// None for a commit that changes no row.
        var changes: [Change] = []
    }

    typealias Rows = [Row: [StoredValue]]

    private(set) var commits: [Commit] = []
    /// The fold of all commits.
    private(set) var rows: Rows = [:]
    /// An earlier fold, from which a fold through a later sequence continues.
    private var folded: (count: Int, rows: Rows) = (0, [:])

    var lastSequence: UInt64 { commits.last?.receipt.sequence ?? 0 }

    mutating func append(_ commit: Commit) {
        commits.append(commit)
        for change in commit.changes { Self.apply(change, to: &rows) }
    }

    /// Forgets the commits above `sequence`, which power loss took.
    mutating func cut(after sequence: UInt64) {
        guard lastSequence > sequence else { return }
        commits.removeLast(commits.count - count(through: sequence))
        if folded.count > commits.count { folded = (0, [:]) }
        rows = fold(through: .max)
    }

    /// How many commits end at or before a sequence.
    func count(through sequence: UInt64) -> Int {
        var (low, high) = (0, commits.count)
        while low < high {
            let middle = (low + high) / 2
            if commits[middle].receipt.sequence <= sequence {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// The rows as of a sequence, without some commits.
    mutating func fold(through sequence: UInt64, without: Set<UInt64> = []) -> Rows {
        let count = count(through: sequence)
        if !without.isEmpty {
            var rows: Rows = [:]
            for commit in commits[..<count]
            where !without.contains(commit.receipt.firstSequence) {
                for change in commit.changes { Self.apply(change, to: &rows) }
            }
            return rows
        }
        if folded.count > count { folded = (0, [:]) }
        for commit in commits[folded.count..<count] {
            for change in commit.changes { Self.apply(change, to: &folded.rows) }
        }
        folded.count = count
        return folded.rows
    }

    static func apply(_ change: Change, to rows: inout Rows) {
        switch change {
        case .put(let row, let values): rows[row] = values
        case .patch(let row, let column, let value):
            var values = rows[row] ?? []
            // A row from before the column was added holds its default.
            let columns = Tables.columns(row.table)
            while values.count <= column { values.append(columns[values.count].missingValue) }
            values[column] = value
            rows[row] = values
        case .add(let row, let column, let amount, let makesRow):
            guard var values = rows[row] ?? (makesRow ? [] : nil) else { return }
            let columns = Tables.columns(row.table)
            while values.count <= column { values.append(columns[values.count].missingValue) }
            var sum = amount
            for case .integer(let number) in [values[column], columns[column].missingValue] {
                sum += number
                break
            }
            values[column] = .integer(sum)
            rows[row] = values
        case .putIfAbsent(let row, let values): rows[row] = rows[row] ?? values
        case .delete(let row): rows[row] = nil
        case .clear(let table): rows = rows.filter { $0.key.table != table }
        }
    }
}
