package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Whether a store's database fits its log. `status`, `verify`, `recover` and opening use the same
/// judgement.
package enum DatabaseJudgement: Sendable {
    case missing
    /// It is a server's, and has nothing of the store yet. The next opening fills it.
    case empty
    /// It is no file of the store's directory, and its address was not given.
    case elsewhere(String)
    /// It belongs to another store, or to none.
    case foreign
    /// It cannot be read for good, or tables of the store are missing in it.
    case damaged(reason: String)
    /// It reflects another history than the log.
    case otherHistory(watermark: UInt64)
    /// It reflects more than the log holds.
    case ahead(watermark: UInt64, end: UInt64)
    /// The log no longer holds the records that it needs. Opening builds another one from a snapshot.
    case outdated(watermark: UInt64, reason: String)
    /// Neither log nor snapshots show what it must hold. It can be brought up to date nevertheless.
    case incomparable(watermark: UInt64, reason: String)
    /// Its watermark belongs to the log. No rows were compared.
    case uncompared(watermark: UInt64)
    /// Every row was compared.
    case compared(DatabaseVerification)

    /// - Parameters:
    ///   - verified: the snapshots that were just read to their ends.
    ///   - progress: gets the number of rows that were compared.
    ///   - report: gets each row that differs.
    /// - Throws: a reason why it cannot be read that proves nothing about it: no permission, a lock, a failing disk.
    package init(
        _ store: StoreInspection, verified: Set<UInt64> = [],
        progress: (UInt64) -> Void = { _ in },
        report: (String, DatabaseVerification.Difference) -> Void
    ) throws {
        self = try Self.judge(store) { _ in
            let result = try DatabaseVerification(
                store, verified: verified, progress: progress, report: report)
            if result.isOfOtherHistory { return .otherHistory(watermark: result.watermark) }
            if let fault = result.fault { return .damaged(reason: fault) }
            return .compared(result)
        }
    }

    /// Judges the database without its rows, so that the time does not grow with them.
    ///
    /// - Throws: as the initializer above.
    package init(withoutRowsOf store: StoreInspection) throws {
        self = try Self.judge(store) { watermark in
            let sequence = watermark.sequence
            // The writer has judged it when it opened the store, and has gone on since.
            if store.isLive { return .uncompared(watermark: sequence) }
            guard sequence <= store.end else { return .ahead(watermark: sequence, end: store.end) }
            let chain = try LogReader.chain(at: sequence, store.environment)
            return chain == watermark.chain || sequence > store.readable
                ? .uncompared(watermark: sequence) : .otherHistory(watermark: sequence)
        }
    }

    private static func judge(
        _ store: StoreInspection, _ look: (Watermark) throws -> DatabaseJudgement
    ) throws -> DatabaseJudgement {
        switch store.database.state {
        case .missing: .missing
        case .empty: .empty
        case .elsewhere(let place): .elsewhere(place)
        case .foreign: .foreign
        case .unreadable(let error):
            if error.kind == .corrupt { .damaged(reason: error.message) } else { throw error }
        case .readable(let contents): try judge(contents, store, look)
        }
    }

    private static func judge(
        _ contents: DatabaseContents, _ store: StoreInspection,
        _ look: (Watermark) throws -> DatabaseJudgement
    ) throws -> DatabaseJudgement {
        let watermark = contents.watermark.sequence
        let first = try store.first
        if watermark + 1 < first {
            return .outdated(
                watermark: watermark, reason: "the log begins at #\(first), behind its watermark")
        }
        if let refused = contents.quarantined.map(\.firstSequence).min(), refused < first {
            return .outdated(
                watermark: watermark,
                reason: "commit #\(refused) in its quarantine is older than the log")
        }
        if let damage = store.damage, damage.firstLost <= watermark, !damage.evidence.isByWitness {
            return .incomparable(
                watermark: watermark,
                reason:
                    "the log is damaged at #\(damage.firstLost), before its watermark #\(watermark)"
            )
        }
        do {
            return try look(contents.watermark)
        } catch let error as LogError {
            guard case .corrupt = error else { throw error }
            return .incomparable(watermark: watermark, reason: "\(error)")
        } catch let error as HistoryError {
            // A disk that cannot be read proves nothing about the database.
            if error.isOfDisk { throw error }
            if case .notReached(_, let end) = error {
                if watermark <= store.end {
                    return .incomparable(
                        watermark: watermark,
                        reason: "#\(end + 1) to #\(watermark) are in the write buffer, until the "
                            + "next open takes them")
                }
                return .ahead(watermark: watermark, end: end)
            }
            return .incomparable(watermark: watermark, reason: "\(error)")
        } catch {
            let error = SinkError(wrapping: error)
            guard error.kind == .corrupt else { throw error }
            return .damaged(reason: error.message)
        }
    }

    /// How serious the judgement is; nil if nothing is wrong.
    package var severity: Finding.Severity? {
        switch self {
        case .missing, .uncompared, .elsewhere: nil
        case .foreign, .damaged, .otherHistory, .ahead: .corrupt
        case .outdated, .incomparable, .empty: .warning
        case .compared(let result): result.differenceCount > 0 ? .corrupt : nil
        }
    }

    /// The fault of the database as a whole; nil if its rows could be compared, or there is no database.
    package var fault: String? {
        switch self {
        case .missing, .elsewhere, .uncompared, .compared: nil
        case .empty: "it has nothing of the store yet"
        case .foreign: "it belongs to another store"
        case .damaged(let reason): reason
        case .otherHistory(let watermark):
            "its watermark #\(watermark) belongs to another history than the log"
        case .ahead(let watermark, let end):
            "it reflects #\(watermark), and the log ends at #\(end)"
        case .outdated(_, let reason): "it is outdated: \(reason)"
        case .incomparable(_, let reason): "it cannot be compared: \(reason)"
        }
    }

    /// Why it must be replaced; nil if it can stay.
    package var reasonToReplace: String? {
        switch self {
        case .missing, .empty, .elsewhere, .incomparable, .uncompared: nil
        case .compared(let result):
            result.differenceCount > 0 ? "\(result.differenceCount) rows differ" : nil
        case .foreign, .damaged, .otherHistory, .ahead, .outdated: fault
        }
    }

    /// The sequence that it reflects; nil if the log cannot be applied from there on.
    package var watermark: UInt64? {
        switch self {
        case .incomparable(let watermark, _), .uncompared(let watermark): watermark
        case .compared(let result): result.watermark
        case .missing, .empty, .elsewhere, .foreign, .damaged, .otherHistory, .ahead, .outdated: nil
        }
    }
}
