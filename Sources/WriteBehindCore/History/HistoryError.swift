package import EventLog

/// Why the store's past cannot be read.
package enum HistoryError: Error, Sendable {
    case log(LogError)
    case snapshot(SnapshotError)
    /// Bytes passed their checksums, but are not records that a store writes.
    case malformed(sequence: UInt64, reason: String)
    /// The log starts at `oldest`, and no good snapshot reaches back to before `wanted`. `refused` are the
    /// snapshots that were tried.
    case gone(wanted: String, oldest: UInt64?, refused: [String])
    case unknownMark(String)
    /// The snapshot of this sequence reflects a history that is not the log's.
    case otherHistory(snapshot: UInt64)
    /// A row has a sum that no database can hold, so no snapshot may be made of it: a database could not be made of the
    /// snapshot.
    case sumOutOfRange(table: String)
    /// The log does not reach that far.
    case notReached(wanted: String, end: UInt64)
    /// A directory could not be synced while log was deleted.
    case unsynced(SystemError)
    /// A time outside the log and the snapshots; `span` says what they hold.
    case outsideSpan(wanted: String, span: String)
}

extension HistoryError {
    /// Whether a file could not be read. Reading it may succeed another time.
    package var isOfDisk: Bool {
        switch self {
        case .log(.system), .log(.diskFull), .snapshot(.system): true
        default: false
        }
    }

    /// Whether the store was closed meanwhile.
    fileprivate var isClosed: Bool {
        switch self {
        case .log(.closed): true
        case .snapshot(.system(let cause)): cause.isClosed
        default: false
        }
    }
}

extension HistoryError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .log(let error): "\(error)"
        case .snapshot(let error): "\(error)"
        case .malformed(let sequence, let reason):
            "the log at sequence \(sequence) or before holds what no store writes: \(reason)"
        case .gone(let wanted, let oldest, let refused):
            "\(wanted) is out of reach: the log starts at sequence "
                + (oldest.map(String.init) ?? "nothing") + " and no good snapshot reaches it"
                + (refused.isEmpty ? "" : " (\(refused.joined(separator: "; ")))")
        case .unknownMark(let name):
            "the log holds no mark \(StoredValue.text(name)); `writebehind log --operation mark` lists those it holds"
        case .otherHistory(let sequence):
            "the snapshot at sequence \(sequence) reflects another history than the log's"
        case .sumOutOfRange(let table):
            "a row of table \(StoredValue.text(table)) has a sum that does not fit into 64 bits; there is no new snapshot "
                + "until that is put right: see the commits in quarantine"
        case .notReached(let wanted, let end):
            "\(wanted) lies ahead: the log ends at sequence \(end)"
        case .unsynced(let error):
            "a directory could not be synced after files were changed in it (\(error)), so no more log is "
                + "deleted until the store is opened again"
        case .outsideSpan(let wanted, let span):
            "\(wanted) is out of reach: \(span)"
        }
    }
}

extension HistoryError {
    /// Reads the past on a thread of its own, and turns errors into the store's.
    static func reading<R: Sendable>(
        _ body: @escaping @Sendable () throws -> R
    ) async throws(StoreError) -> R {
        let read: @Sendable () throws(StoreError) -> R = { () throws(StoreError) in
            do {
                return try body()
            } catch let error as HistoryError where error.isClosed {
                throw StoreError(LogError.closed)
            } catch {
                throw .history("\(error)")
            }
        }
        return try await Worker.waiting("reader", throwing: read)
    }
}

/// Reads the log, and turns its errors into those of history.
func logErrors<R>(_ body: () throws(LogError) -> R) throws(HistoryError) -> R {
    do throws(LogError) {
        return try body()
    } catch {
        throw .log(error)
    }
}

/// Reads or writes snapshots, and turns their errors into those of history.
func snapshotErrors<R>(_ body: () throws(SnapshotError) -> R) throws(HistoryError) -> R {
    do throws(SnapshotError) {
        return try body()
    } catch {
        throw .snapshot(error)
    }
}
