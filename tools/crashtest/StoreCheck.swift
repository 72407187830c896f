import EventLog
import WriteBehind
import WriteBehindInspection

/// The checks of `writebehind verify --database`: log, snapshots, and the database compared row by row with
/// the log at its watermark.
enum StoreCheck {
    /// - Parameter isClosed: whether the store was closed. Right after a kill the log's end may be torn, and
    ///   the database may not be there yet.
    static func run(_ directory: String, isClosed: Bool) throws {
        // The child may have been killed before there was a store.
        guard try isClosed || PosixDisk().exists(StoreLayout(root: directory).identity) else {
            return
        }
        let store = try StoreInspection(path: directory)
        for finding in try LogVerification(store).findings
        where isClosed || finding.severity == .corrupt {
            throw Loss(
                "\(finding.path) at offset \(finding.offset ?? 0), \(finding.severity.rawValue): "
                    + finding.reason)
        }
        for snapshot in try SnapshotVerification(store.environment).snapshots {
            if let fault = snapshot.fault {
                throw Loss("snapshot \(snapshot.sequence): \(fault)")
            }
        }
        guard case .readable = store.database.state else {
            if isClosed { throw Loss("the database is \(store.database.state)") }
            return
        }
        var differing: [String] = []
        let database = try DatabaseVerification(store) { differing.append("\($0): \($1)") }
        if let fault = database.fault { throw Loss("the database: \(fault)") }
        guard differing.isEmpty else {
            throw Loss(
                "the database is not the log at \(database.watermark): "
                    + differing.prefix(5).joined(separator: "; "))
        }
    }
}
