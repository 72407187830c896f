import EventLog

/// Merges runs into one, piece by piece. It holds at most one change of each row, merged by the rules of ``MergedRows``.
final class RunMerge {
    /// The new run. It is complete once ``step(rows:)`` has returned true.
    let run: RunFile
    private let rows: MergedRows
    private let writer: SnapshotWriter

    /// - Parameter runs: neighbours, oldest first, all of one level.
    init(_ runs: [RunFile], of fold: LogFold, into run: RunFile, _ writer: SnapshotWriter)
        throws(HistoryError)
    {
        self.run = run
        self.writer = writer
        rows = try MergedRows(merging: runs, of: fold)
    }

    /// Merges about so many rows. Returns whether these were the last.
    func step(rows limit: Int) throws(HistoryError) -> Bool {
        for _ in 0..<limit {
            guard try rows.advance() else {
                try snapshotErrors { () throws(SnapshotError) in
                    try writer.finish(isDurable: false)
                }
                return true
            }
            let row = rows.row
            try rows.withRow { (key, body) throws(HistoryError) in
                try snapshotErrors { () throws(SnapshotError) in
                    try writer.append(row, key: key, body: body)
                }
            }
        }
        return false
    }
}
