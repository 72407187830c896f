import EventLog
import WriteBehind
import WriteBehindInspection

/// The meanings of the tool's exit codes; scripts rely on them.
enum ExitStatus: Int32, Error {
    case done = 0
    case error = 1
    case usage = 2
    /// Done, but something was lost or left out, or needs attention.
    case warnings = 3
    /// The end of the log was left half written; the next open cuts it off.
    case torn = 4
    /// Something that had been durable is damaged, or the database differs from the log.
    case corrupt = 5
    /// The log does not reach the sequence, time or mark that was asked for.
    case targetNotReached = 6
    /// Another process has the store open for writing.
    case locked = 7
    /// A file was written by a newer version.
    case unsupported = 8
    /// The store is being written, and its database does not follow any more.
    case stalled = 9

    init(_ error: any Error) {
        self =
            switch error {
            case let error as LogError: Self(error)
            case let error as StoreError: Self(error)
            case let error as HistoryError: Self(error)
            case let error as SnapshotError: Self(error)
            case let error as SinkError: error.kind == .corrupt ? .corrupt : .error
            case is Corruption, is MalformedRecord: .corrupt
            default: .error
            }
    }

    private init(_ error: LogError) {
        switch error {
        case .corrupt: self = .corrupt
        case .unsupported: self = .unsupported
        case .deleted: self = .targetNotReached
        default: self = .error
        }
    }

    private init(_ error: SnapshotError) {
        switch error {
        case .damaged: self = .corrupt
        case .unsupported: self = .unsupported
        case .system: self = .error
        }
    }

    private init(_ error: StoreError) {
        switch error {
        case .locked, .alreadyOpen: self = .locked
        case .damaged: self = .corrupt
        case .notAStore(_, let reason) where reason.hasPrefix("its format is"):
            self = .unsupported
        default: self = .error
        }
    }

    private init(_ error: HistoryError) {
        switch error {
        case .log(let error): self.init(error)
        case .snapshot(let error): self.init(error)
        case .malformed, .otherHistory: self = .corrupt
        case .gone, .unknownMark, .notReached, .outsideSpan: self = .targetNotReached
        case .unsynced, .sumOutOfRange: self = .error
        }
    }

    /// The state of a store as a code, for scripts.
    init(_ store: StoreInspection) {
        if store.damage != nil {
            self = .corrupt
        } else {
            self = store.isTorn ? .torn : .done
        }
    }

    /// Ends the command with this code, unless all is well.
    func check() throws {
        if self != .done { throw self }
    }
}
