package import EventLog
import WriteBehindCore
import WriteBehindSQLite

extension StoreInspection {
    /// Computes the rows at the log's end from snapshot and log, as a replay or a rebuilt database would. Returns
    /// the fault if that is not possible: for instance a change of a row that does not exist.
    ///
    /// - Parameters:
    ///   - verified: the snapshots that were read wholly just now.
    ///   - progress: gets the number of records that were folded in.
    /// - Throws: an error that proves nothing about the store, such as a disk that cannot be read.
    package func faultOfRows(
        verified: Set<UInt64>, progress: (UInt64) -> Void = { _ in }
    ) throws -> Finding? {
        do throws(HistoryError) {
            let rows = try history(verified: verified).fold(to: .end, progress: progress)
            while try rows.advance() {}
            return nil
        } catch {
            if error.isOfDisk { throw error }
            // A writer may merge or delete files while they are read.
            if isLive, error.isOfMovingLog { return nil }
            let severity: Finding.Severity = if case .gone = error { .warning } else { .corrupt }
            return Finding(
                severity: severity, path: layout.log, offset: nil, lost: nil,
                reason: "the rows cannot be computed: \(error)")
        }
    }
}

extension HistoryError {
    /// Whether the cause may be that the log is written meanwhile.
    fileprivate var isOfMovingLog: Bool {
        switch self {
        case .malformed: false
        default: true
        }
    }
}
