package import EventLog
import WriteBehindCore
import WriteBehindSQLite

extension StoreInspection {
    /// Puts the rows at the log's end together from snapshot and log, as a replay or a rebuilt database would, and
    /// returns what keeps them from it: a change of a row that is not there, for instance.
    ///
    /// - Parameters:
    ///   - verified: the snapshots that were read wholly just now.
    ///   - progress: gets the number of records that were folded in.
    /// - Throws: what says nothing of the store: a disk that cannot be read.
    package func faultOfRows(
        verified: Set<UInt64>, progress: (UInt64) -> Void = { _ in }
    ) throws -> Finding? {
        do throws(HistoryError) {
            let rows = try history(verified: verified).fold(to: .end, progress: progress)
            while try rows.advance() {}
            return nil
        } catch {
            if error.isOfDisk { throw error }
            // Its files may be merged or deleted while they are read.
            if isLive, error.isOfMovingLog { return nil }
            let severity: Finding.Severity = if case .gone = error { .warning } else { .corrupt }
            return Finding(
                severity: severity, path: layout.log, offset: nil, lost: nil,
                reason: "the rows cannot be computed: \(error)")
        }
    }
}

extension HistoryError {
    /// Whether a log that is written meanwhile may be the cause.
    fileprivate var isOfMovingLog: Bool {
        switch self {
        case .malformed: false
        default: true
        }
    }
}
