package import EventLog

/// Why the store refused a call. Unless a case says otherwise, nothing was changed.
#if compiler(>=6.2.3)
    @nonexhaustive
#endif
public enum StoreError: Error, Sendable, Equatable {
    /// Another process has the store open for writing. `path` is its lock file.
    case locked(path: String)
    /// This process has the store open already, by another ``Store``. `path` is the store's directory.
    case alreadyOpen(path: String)
    /// No store can be opened or made at the path: it is no directory, its parent does not exist, or it holds other
    /// files, a log whose `store.json` is missing, or a store that this version cannot read. An empty
    /// directory becomes a store.
    case notAStore(path: String, reason: String)
    /// The store's directory, its file `LOCK`, its write buffer or its log was removed, moved or replaced while it was open.
    /// Another process may have the store now, so nothing is written any more. Reads go on. Close the store, put the right
    /// directory back in its place, and open it again.
    case fenced(String)
    /// The directory cannot be reached: a permission is missing, the path is a symbolic link, or the disk fails.
    case inaccessible(String)
    /// The log is damaged in a part that had been durable. The store can be read up to the damage, and cannot be
    /// written. `writebehind recover` shows what can be done.
    case damaged(String)
    /// Reading, writing or syncing the log failed, or a newer version wrote it. It is unknown whether commits that were not
    /// yet durable survive power loss. Reads go on. Reopening the store recovers everything that is in the log.
    case logFailed(String)
    /// There is no space for the log. Writes succeed again once there is.
    case diskFull(String)
    /// A backlog limit is reached, because the database is too far behind. Reads go on. Writes succeed again when the
    /// database has caught up.
    case backlogFull(Backlog)
    /// One commit exceeds what a block of the log may hold, about 1 MiB, or a slot of its buffer
    /// (``StoreConfiguration/stagingSlotSize``).
    case commitTooLarge(bytes: Int, limit: Int)
    /// A row or key does not fit its table.
    case row(RowError)
    /// A value of ``StoreConfiguration`` exceeds what the files can hold. Nothing was opened or made.
    case configuration(String)
    /// A table's schema is invalid, or changes the stored one in a way that is not possible.
    case schema(SchemaError)
    /// The table was declared with another store. Call ``Store/table(_:)`` of this store.
    case unknownTable(String)
    /// The table has no index with this name.
    case noIndex(table: String, index: String)
    /// An index cannot be read because it has stopped. ``Health/indices`` has the same reason.
    case indexUnavailable(table: String, index: String, reason: String)
    /// The receipt is of another store, or of this one before it was opened again.
    case foreignReceipt
    /// An `update` gave the row another key. To change a key, delete the row and put the new one.
    case keyChanged(table: String)
    /// A transaction, `update`, `increment` or `insert`, or giving up a commit in quarantine, was tried this many times, and
    /// each time a row that it had read was changed before it ended.
    case contended(tries: Int)
    /// The row given as `orPut` to an `increment` has another key than the row to increment.
    case initialHasAnotherKey(table: String)
    /// An `insert` found a row with its key. `key` is the key as text for people.
    case duplicateKey(table: String, key: String)
    /// An `update` or `increment` found no row with this key, which is given as people read it.
    case noSuchRow(table: String, key: String)
    /// An `increment` would exceed 64 bits or its property's type, or its column holds no integer.
    case cannotIncrement(table: String, column: String, reason: String)
    /// An amount cannot be added to a column: it holds no plain integers, or the table's log has whole rows.
    case cannotAdd(table: String, column: String, reason: String)
    /// The database could not be read or opened, or is being rebuilt and does not hold the row yet.
    case database(String)
    /// The file at the path of the store's database belongs to another store or another program. It was not
    /// touched. (A database with another history of this store is moved aside instead: <doc:Recovery>.)
    case foreignDatabase(path: String, reason: String)
    /// The database refused the commit for good. It is in quarantine under this sequence.
    case quarantined(sequence: UInt64, reason: String)
    /// Other commits in quarantine share rows with this one, directly or through others, and would be given up with
    /// it. Pass `includingFollowers: true` to allow that. They were written no later than `through`.
    case quarantineHasOthers(sequence: UInt64, others: Int, through: UInt64)
    /// The commit in quarantine does not change the row that was to be corrected.
    case notOfCommit(sequence: UInt64, row: String)
    /// The process or the machine gives no thread, or no memory for rows or for the log. If opening throws it,
    /// raise the limits, or choose a smaller ``StoreConfiguration/cacheLimit``. A write that throws it may succeed later.
    case noResources(String)
    /// No commit with this first sequence is in quarantine.
    case notInQuarantine(sequence: UInt64)
    /// A snapshot could not be made. The store goes on without it.
    case snapshotFailed(String)
    /// The requested past cannot be read: it was deleted, is damaged, or lies in the future.
    case history(String)
    /// A change stream (``Store/changes(of:named:from:)``) cannot go on. Its position stays as it was acknowledged.
    case changeStream(name: String, ChangeStreamProblem)
    /// A projection (``Store/projections``) cannot be declared.
    case projection(name: String, reason: String)
    /// The time given for waiting is over. The write itself stays, and goes on through its stages.
    case timedOut(Stage)
    /// The task was cancelled while it waited or read. A write that was made before stays.
    case cancelled
    /// The store has been closed, or the process is a child made by `fork()`.
    case closed(String)

    /// Which backlog limit was reached.
    #if compiler(>=6.2.3)
        @nonexhaustive
    #endif
    public enum Backlog: Sendable, Equatable {
        /// Bytes of log that the database does not reflect: ``StoreConfiguration/backlogLimit``.
        case bytesOnDisk(limit: Int)
        /// Bytes of memory for rows that the database does not hold yet: ``StoreConfiguration/dirtyLimit``, or three
        /// quarters of ``StoreConfiguration/cacheLimit`` where that is less.
        case dirtyBytes(limit: Int)
    }
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .locked(let path):
            "another process has the store open for writing (it holds \(path)); "
                + "close it there first; what only reads works meanwhile"
        case .alreadyOpen(let path):
            "this process has the store at \(path) open already: use that Store, or close it and "
                + "wait until `close()` has returned"
        case .notAStore(let path, let reason): "\(path) is not a store: \(reason)"
        case .fenced(let what): "the store is fenced off: \(what)"
        case .inaccessible(let what): "the store cannot be opened: \(what)"
        case .damaged(let what): "the log is damaged, so the store is read-only: \(what)"
        case .logFailed(let what): "the log can no longer be written: \(what)"
        case .diskFull(let what): "no space for the log: \(what)"
        case .backlogFull(.bytesOnDisk(let limit)):
            "the database is \(limit) bytes of log behind, which is the limit (backlogLimit)"
        case .backlogFull(.dirtyBytes(let limit)):
            "rows that the database does not hold, because it is behind or because they are in quarantine, "
                + "take \(limit) bytes of memory, which is the limit (dirtyLimit, at most three quarters of "
                + "cacheLimit); health says how many are in quarantine"
        case .commitTooLarge(let bytes, let limit):
            "the commit takes \(bytes) bytes, more than the limit of \(limit)"
        case .row(let error): "\(error)"
        case .configuration(let what): "the configuration cannot be used: \(what)"
        case .schema(let error): "\(error)"
        case .unknownTable(let name):
            "table \(StoredValue.text(name)) was not declared with this store"
        case .noIndex(let table, let index):
            "table \(StoredValue.text(table)) has no index \(StoredValue.text(index)): mark the property @Index, or name the index "
                + "in the table's schema"
        case .indexUnavailable(let table, let index, let reason):
            "index \(StoredValue.text(index)) of table \(StoredValue.text(table)) cannot be read: \(reason)"
        case .foreignReceipt:
            "the receipt is of another store, or of this one before it was opened again; "
                + "wait for it with the store whose write returned it"
        case .keyChanged(let table):
            "table \(StoredValue.text(table)): an update may not change a row's key; "
                + "delete the row and put the new one"
        case .contended(let tries):
            "a row that was read was changed before the commit, \(tries) times in a row: by its own closure, which must "
                + "write through its transaction only, or by other writes all the time"
        case .initialHasAnotherKey(let table):
            "table \(StoredValue.text(table)): the row given as `orPut` has another key than the row to increment; "
                + "give both the same"
        case .duplicateKey(let table, let key):
            "table \(StoredValue.text(table)): a row with the key \(key) exists already; to write it anyway, use put"
        case .noSuchRow(let table, let key):
            "table \(StoredValue.text(table)): there is no row with the key \(key); to make one, use put or insert"
        case .cannotAdd(let table, let column, let reason):
            "cannot add to column \(StoredValue.text(column)) of table \(StoredValue.text(table)): \(reason)"
        case .cannotIncrement(let table, let column, let reason):
            "table \(StoredValue.text(table)), column \(StoredValue.text(column)): cannot increment: \(reason)"
        case .database(let what): "the database: \(what)"
        case .foreignDatabase(let path, let reason):
            "\(path) is not this store's database: \(reason)"
        case .quarantined(let sequence, let reason):
            "commit \(sequence) is in quarantine: \(reason)"
        case .quarantineHasOthers(let sequence, let others, let through):
            "\(others) other commit\(others == 1 ? "" : "s") in quarantine, through sequence "
                + "\(through), share rows with commit \(sequence) and would be given up with it; "
                + "say so (includingFollowers, --with-followers), or retry"
        case .notOfCommit(let sequence, let row):
            "commit \(sequence) does not change \(row); only a row of its own can be corrected"
        case .noResources(let what): what
        case .notInQuarantine(let sequence):
            "no commit \(sequence) is in quarantine; `writebehind quarantine list` shows those that are"
        case .snapshotFailed(let why): "no snapshot could be made: \(why)"
        case .history(let why): "the past cannot be read: \(why)"
        case .changeStream(let name, let problem):
            "the change stream \(StoredValue.text(name)): \(problem)"
        case .projection(let name, let reason):
            "the projection \(StoredValue.text(name)): \(reason)"
        case .timedOut(let stage): "the wait for `\(stage)` timed out; the write itself stays"
        case .cancelled: "the task was cancelled; what it had written before stays"
        case .closed(let why): why
        }
    }
}

extension StoreError {
    package init(_ error: LogError) {
        switch error {
        case .corrupt(let corruption): self = .damaged("\(corruption)")
        case .fenced: self = .fenced("\(error)")
        case .diskFull(let cause): self = .diskFull("\(cause)")
        case .noRoom: self = .diskFull("\(error)")
        case .commitTooLarge(let bytes, let limit):
            self = .commitTooLarge(bytes: bytes, limit: limit)
        case .closed: self = .closed("the store is closed")
        case .forked: self = .closed("\(error)")
        case .system(let cause) where cause.isOutOfMemory:
            self = .noResources(
                "no memory for the log: \(cause); see the limit of the process (ulimit -v)")
        case .system, .poisoned, .bufferChanged, .unsupported, .deleted, .readsDifferently,
            .missing:
            self = .logFailed("\(error)")
        }
    }

    /// A call that failed on the way to a store's directory or its store.json.
    package init(reaching path: String, _ error: SystemError) {
        self =
            error.isMissing
            ? .notAStore(path: path, reason: "\(error)") : .inaccessible("\(error)")
    }

    package init(_ error: SinkError) {
        self = .database("\(error)")
    }

    /// Runs code that reads or writes the log, and turns its errors into the store's.
    static func ofLog<R>(_ body: () throws(LogError) -> R) throws(StoreError) -> R {
        do throws(LogError) {
            return try body()
        } catch {
            throw StoreError(error)
        }
    }

    /// Runs code that reads or writes the database, and turns its errors into the store's.
    static func ofSink<R>(_ body: () throws(SinkError) -> R) throws(StoreError) -> R {
        do throws(SinkError) {
            return try body()
        } catch {
            throw StoreError(error)
        }
    }
}
