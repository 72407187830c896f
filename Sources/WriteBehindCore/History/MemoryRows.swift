import EventLog

/// The changes of a fold that are in memory.
final class MemoryRows: RowSource {
    private let fold: LogFold
    private let order: [RowTable.Reference]
    private var index = -1
    /// How many rows ahead the processor fetches memory.
    private static let ahead = 8

    init(_ fold: LogFold) {
        self.fold = fold
        order = fold.sortedReferences()
    }

    func next() throws(HistoryError) -> Bool {
        index += 1
        if index + Self.ahead < order.count { fold.prefetch(order[index + Self.ahead]) }
        return index < order.count
    }

    var row: SnapshotRow { fold.row(order[index]) }

    func withRow(
        _ body: (_ key: Span<UInt8>, _ body: Span<UInt8>) throws(HistoryError) -> Void
    ) throws(HistoryError) {
        try fold.withRow(order[index], body)
    }

    func write(to writer: SnapshotWriter) throws(HistoryError) {
        let row = self.row
        try withRow { (key, body) throws(HistoryError) in
            try snapshotErrors { () throws(SnapshotError) in
                try writer.append(row, key: key, body: body)
            }
        }
    }
}
