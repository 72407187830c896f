/// The store's own verdict on its state.
///
/// A service's probe can answer with it as JSON: `JSONEncoder().encode(store.health)` makes one object whose keys are
/// the names of these properties.
///
///     {"verdict":"degraded","causes":["the database refuses since 12 s (9 tries): … is locked …"],
///      "secondsUnwell":12.5,"survivesKill":true,"quarantined":0,"quarantinedBytes":0,
///      "lag":{"staged":9,"durable":9,"materialized":4,"bytes":512,"seconds":12.5},
///      "rates":{"written":0.4,"applied":0},"indices":[],"secondaries":[],
///      "changeStreams":[],"projections":[]}
///
/// A property that is nil is left out.
///
/// Take a process out of service while the verdict is `failed` or `closed`. Do not restart it for another verdict: it
/// goes on working, and a restart does not remove its backlog.
public struct Health: Sendable, Encodable {
    /// The state in one word. A greater verdict is worse.
    #if compiler(>=6.2.3)
        @nonexhaustive
    #endif
    public enum Verdict: String, Sendable, Comparable, CaseIterable, Encodable {
        /// Everything works, and the database follows.
        case healthy
        /// The store works, but something is wrong or late: see ``Health/causes``.
        case degraded
        /// The database has not advanced, or a worker has hung, for ten times
        /// ``StoreConfiguration/stallAfter``. Writes go on until a backlog limit is reached.
        case stalled
        /// Writes are refused. If a sync of the log failed, or the store's files were moved or replaced while it was open,
        /// the store must be reopened. If the log is damaged, it must be recovered.
        case failed
        /// ``Store/close(deadline:)`` was called.
        case closed

        public static func < (left: Verdict, right: Verdict) -> Bool {
            allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!  // all cases are there
        }
    }

    /// The worst verdict of all causes.
    public var verdict: Verdict
    /// Why it is not `healthy`, in words for an operator.
    public var causes: [String]
    /// How long the store has been not `healthy`, without a break, in seconds; nil while it is `healthy`. The store checks
    /// four times a second.
    public var secondsUnwell: Double?
    /// Whether a write survives `kill -9` as soon as it returns, because the write buffer is a mapped file. If the
    /// file system does not allow that, a killed process loses the writes that were not yet flushed.
    public var survivesKill: Bool
    /// How far the database is behind.
    public var lag: Lag
    /// How fast writes come, and how fast the database takes them; nil until the store has been open for a moment.
    public var rates: Rates?
    /// How many commits the database refused.
    public var quarantined: Int
    /// The bytes of memory that rows in quarantine take. They count towards ``StoreConfiguration/dirtyLimit``, and stay until
    /// ``Quarantine`` is resolved.
    public var quarantinedBytes: Int = 0

    /// The databases beside the store's own, in the order in which they were given.
    public var secondaries: [Secondary] = []

    /// The indices in memory, in the order in which they were declared.
    public var indices: [Index] = []

    /// An index of a table.
    public struct Index: Sendable, Equatable, Encodable {
        /// The table that it orders.
        public var table: String
        public var name: String
        /// Whether it can be read.
        public var state: State
        /// How many rows are in it.
        public var rows: Int
        /// How many bytes of memory it takes, of ``StoreConfiguration/indexLimit``.
        public var bytes: Int
        /// Why it has stopped, or why it cannot be built, in words for an operator; nil if nothing is known to be wrong.
        public var cause: String?

        /// Whether an index can be read.
        public enum State: String, Sendable, Encodable {
            /// Rows from before it was declared are being added; reads wait.
            case building
            case ready
            /// Reads throw ``StoreError/indexUnavailable(table:index:reason:)``.
            case stopped
        }
    }

    /// A database beside the store's own. It follows the log by itself, and nothing waits for it.
    public struct Secondary: Sendable, Equatable, Encodable {
        public var name: String
        /// The last sequence that it holds, or has in its quarantine; nil if it could not be opened yet.
        public var materialized: UInt64?
        /// The last sequence that was assigned to a write.
        public var staged: UInt64
        /// How many commits it has refused. They are in its own quarantine: ``Store/quarantine(of:)``.
        public var quarantined: Int
        /// Why it does not follow, in words for an operator; nil if nothing is known to be wrong.
        public var cause: String?

        /// How many records it does not hold yet.
        public var records: UInt64 { staged - min(materialized ?? 0, staged) }
    }

    /// The change streams, by their names.
    public var changeStreams: [ChangeStream] = []

    /// A change stream: ``Store/changes(of:named:from:)``.
    public struct ChangeStream: Sendable, Equatable, Encodable {
        public var name: String
        /// The table that it follows; nil for all.
        public var table: String?
        /// Everything through this sequence was acknowledged, or holds nothing for the stream.
        public var acknowledged: UInt64
        /// The last sequence that was assigned to a write.
        public var staged: UInt64
        /// The age in seconds, at most, of the oldest change that is not acknowledged; 0 if there is none.
        public var seconds: Double
        /// Whether a consumer has it now.
        public var isConsumed: Bool
        /// Why it cannot go on, or is about to lose changes, in words for an operator; nil if nothing is known to be
        /// wrong.
        public var cause: String?

        /// How many records of the log, of any table, it has not passed yet.
        public var records: UInt64 { staged - min(acknowledged, staged) }
    }

    /// The projections, by their names.
    public var projections: [Projection] = []

    /// A projection: tables in the database that are kept up to date with a table of the store.
    public struct Projection: Sendable, Equatable, Encodable {
        public var name: String
        /// The version that the program has declared; if it has declared none, the version in the database.
        public var version: Int
        /// The table that it follows; nil if the store does not have it any more.
        public var table: String?
        /// Whether it is up to date.
        public var state: State
        /// How many rows it has read, while it is being built; otherwise nil.
        public var rows: Int?
        /// How many records of the log, of any table, it has not seen yet; nil if it must be built before it goes on.
        public var records: UInt64?
        /// Why it has stopped, or why it cannot be built, in words for an operator; nil if nothing is known to be wrong.
        public var cause: String?
        /// How long that has been so, in seconds; 0 if nothing is wrong.
        public var seconds: Double

        /// How far a projection is.
        public enum State: String, Sendable, Encodable {
            /// It is as of the same commit as the store's tables in the database.
            case current
            /// It is being built from the rows of its table, or waits for that. The tables of its former version, if there
            /// are any, stay as they are until it is complete.
            case building
            /// Its own code has failed. It stays as it is until it is declared with another version, or
            /// ``Store/rebuildProjection(named:)`` is called.
            case stopped
            /// The program has not declared it. It misses the changes that are written meanwhile.
            case undeclared
        }
    }

    /// What happened in the last ten seconds, in records a second.
    public struct Rates: Sendable, Equatable, Encodable {
        /// How many were written.
        public var written: Double
        /// How many the database took, or has in its quarantine.
        public var applied: Double
        /// About how many seconds the database needs at these rates until it holds everything; nil if it falls behind.
        public var secondsToCatchUp: Double?
    }

    /// How far the database is behind the last write.
    public struct Lag: Sendable, Equatable, Encodable {
        /// The last sequence that was assigned to a write.
        public var staged: UInt64
        /// The last sequence that survives power loss.
        public var durable: UInt64
        /// The last sequence that is in the database, or in quarantine.
        public var materialized: UInt64
        /// Log that the database does not reflect, in bytes on disk.
        public var bytes: Int
        /// The age of the oldest write that is not in the database, in seconds.
        public var seconds: Double

        /// How many records the database does not hold yet.
        public var records: UInt64 { staged - min(materialized, staged) }
    }
}
