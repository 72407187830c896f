import EventLog

/// Recent failures in the background, for ``Health``.
final class Status: Sendable {
    struct State {
        /// Why the log refuses writes.
        var refusal: LogError?
        var sinkError: String?
        /// Why the log cannot be read for the database.
        var logError: String?
        var sinkAttempts = 0
        /// When the first of these tries was, monotonic nanoseconds.
        var sinkFailsSince: UInt64?
        /// When the watermark last moved, or had no reason to; monotonic nanoseconds.
        var lastProgress: UInt64
        /// Workers that died, by name, and why.
        var deaths: [String: String] = [:]
        /// Why the last snapshot, or tidying up after it, failed.
        var snapshotError: String?
        /// Objects that users had made in a database that was put aside, and that could not be made again.
        var carryFailures: [CarryFailure] = []
        /// Why secondary databases do not follow, by their names.
        var secondaryTroubles: [String: Trouble] = [:]
        /// Why the store is read-only, if it is.
        var damage: String?
    }

    struct Trouble {
        var cause: String
        /// When the first of these tries was, monotonic nanoseconds.
        var since: UInt64
        var attempts: Int
    }

    private let state: Lock<State>

    init(now: UInt64) {
        state = Lock(State(lastProgress: now))
    }

    var current: State { state.withLock { $0 } }

    func update(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
    }
}
