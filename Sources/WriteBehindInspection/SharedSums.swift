import EventLog
import WriteBehindCore

/// What a store's log has added to the columns of its shared tables.
///
/// Rows of such a table say nothing about one store, because all of them count into it. So the database notes in the
/// transactions of each store how much that has added, and this is what it must be.
struct SharedSums {
    struct Column: Hashable {
        var table: UInt32
        /// Counts from 0 among the columns outside the key.
        var place: Int
    }

    /// Columns that are not here were not added to.
    private(set) var sums: [Column: Int128] = [:]

    /// Why the sums of a log are not known; nil if they are.
    private(set) var obstacle: String?

    /// - Parameters:
    ///   - watermark: adds behind it do not count.
    ///   - quarantine: what is in it does not count either.
    init(
        _ store: StoreInspection, of tables: Set<UInt32>, through watermark: UInt64,
        without quarantine: QuarantineIndex
    ) throws {
        let first = try store.first
        guard first == 1 else {
            obstacle = "the log begins at #\(first)"
            return
        }
        let walk = try LogWalk(store.environment, from: 1)
        while try walk.next(through: min(watermark, store.readable)) {
            let goesOn = try walk.records { record in
                guard record.sequence <= watermark else { return false }
                if record.operation == .settle {
                    obstacle = "commits were given up at #\(record.sequence)"
                    return false
                }
                let key = QuarantinedKey.row(table: record.table, key: record.key)
                guard record.operation == .add, tables.contains(record.table),
                    !quarantine.contains(record.commit, [key, .table(record.table)])
                else { return true }
                for (place, sum) in try RowMerge.sums(ofAdds: [record.body]) {
                    sums[Column(table: record.table, place: place), default: 0] += sum
                }
                return true
            }
            guard goesOn else { return }
        }
    }
}
