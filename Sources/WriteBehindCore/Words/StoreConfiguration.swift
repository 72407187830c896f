import EventLog
public import Logging

/// How a store works. Every value has a default that suits a server; all sizes are in bytes.
///
/// It is read when the store opens. The files do not depend on it, so it may be another one at every opening.
/// Sizes and counts that are too small are taken as the least that works. Values that the files could not hold are refused
/// with ``StoreError/configuration(_:)``.
public struct StoreConfiguration: Sendable {
    /// Memory for cached rows, dirty ones included. Clean rows are evicted to keep to it. At least 8 MiB.
    /// SQLite takes up to a quarter as much besides, for pages that it writes.
    public var cacheLimit = 256 << 20
    /// How much of ``cacheLimit`` rows may take that the database does not hold yet; at most three quarters
    /// of it. Writes beyond it throw ``StoreError/backlogFull(_:)``.
    public var dirtyLimit = 192 << 20
    /// Memory for the indices of all tables together, beside ``cacheLimit``: about 55 bytes a row and index of an
    /// integer, and as many more as keys and values are longer. Where it is exceeded, the index that grew stops: its reads
    /// throw ``StoreError/indexUnavailable(table:index:reason:)``, and writes go on.
    public var indexLimit = 256 << 20
    /// How many bytes of log, on disk, the database may be behind. Writes beyond it throw
    /// ``StoreError/backlogFull(_:)``.
    public var backlogLimit = 16 << 30

    /// The longest time until a write is synced if no caller waits for it. A power failure can cost the writes of this
    /// time, and those of the time that the disk takes to sync (longer while it is full). It never costs a write that was
    /// waited for as ``Stage/durable``.
    public var syncInterval: Duration = .milliseconds(100)
    /// How often the database is brought up to date when it is caught up: its usual lag.
    public var materializeInterval: Duration = .milliseconds(100)
    /// The most log records that go into one database transaction.
    public var batchRecords = 200_000
    /// The most memory that one batch takes before it is applied; under a backlog the next one is made meanwhile.
    public var batchBytes = 64 << 20

    /// How many slots of ``stagingSlotSize`` the log's buffer has, which takes writes before they are
    /// compressed: a mapped file as long as all of them, 32 MiB by default. 2 to 4,096, and
    /// together at most 4 GiB.
    public var stagingSlots = 16
    /// The size of one slot, at most 1 GiB. A commit must fit into one.
    public var stagingSlotSize = 2 << 20
    /// From how many bytes on records are compressed into a block.
    public var blockSize = 256 << 10
    /// The length at which a segment file is sealed and the next one started.
    public var segmentSize = 64 << 20
    /// zstd's compression level. Negative levels are faster; while writes come faster than this level can
    /// take, -1 and then -5 are used.
    public var compressionLevel = 1

    /// The longest pause between two tries of a database that cannot be written. Pauses are random: at first at
    /// most 10 ms, then at most twice as long each time, up to this.
    public var retryLimit: Duration = .seconds(30)
    /// How long a worker may make no progress while it has work until health is `degraded`; ten times that
    /// and it is `stalled`.
    public var stallAfter: Duration = .seconds(5)
    /// How long ``Store/close(deadline:)`` may take to bring the database up to date, if the call does not say it. What the
    /// database lacks then is applied after the next opening.
    public var closeDeadline: Duration = .seconds(30)
    /// How often rows past their expiry column are looked for.
    public var expiryInterval: Duration = .seconds(1)
    /// How many connections read the database, for `get` and for ``Store/database``.
    public var readers = 4

    /// From how many bytes of log on a snapshot is made by itself, or from as many as the last snapshot has
    /// where they are more; nil makes them only on request. A snapshot is what a lost database is rebuilt
    /// from, and what lets old log be deleted.
    public var snapshotAfter: Int? = 64 << 20
    /// Memory for making a snapshot; what exceeds it goes through temporary files in `snapshots/`.
    public var snapshotMemory = 64 << 20
    /// How many good snapshots are kept. At least 2: one may turn out bad.
    public var snapshotsKept = 2
    /// Whether ``Store/close(deadline:)`` makes a snapshot, as far as its deadline allows.
    public var snapshotAtClose = false
    /// How long log is kept that neither the kept snapshots nor the database nor quarantine nor a change stream need:
    /// how far back ``StoredTable/history(of:)`` and reading as of a past moment reach. Segments that are older, or that
    /// exceed ``logBytesKept``, are deleted, oldest first.
    public var logKept: Duration = .seconds(7 * 24 * 3600)
    /// How many bytes of log are kept at most, however young, where nothing needs them. `Int.max` leaves it to
    /// ``logKept``.
    public var logBytesKept = 16 << 30

    /// How many bytes of log, on disk, one change stream may hold that nothing else needs
    /// (``Store/changes(of:named:from:)``). Where a consumer is further behind, what it has not seen is deleted, and its
    /// stream ends with an error that names it.
    public var changeStreamLimit = 16 << 30

    /// Where the store tells what no caller can be thrown.
    public var logger = Logger(label: "writebehind")

    /// The defaults.
    public init() {}
}

extension StoreConfiguration {
    /// Refuses what a store would write and no store could read back.
    func check() throws(StoreError) {
        let options = LogOptions(self)
        guard options.slotCount <= StagingHeader.slotCountLimit else {
            throw .configuration(
                "stagingSlots is \(stagingSlots), and \(StagingHeader.slotCountLimit) is the most")
        }
        guard options.slotSize <= StagingHeader.slotSizeLimit else {
            throw .configuration(
                "stagingSlotSize is \(stagingSlotSize), and \(StagingHeader.slotSizeLimit) is the most"
            )
        }
        // Each is bounded by now, so the product does not overflow.
        guard options.slotCount * options.slotSize <= StagingHeader.byteCountLimit else {
            throw .configuration(
                "stagingSlots * stagingSlotSize is \(options.slotCount * options.slotSize) bytes, and "
                    + "\(StagingHeader.byteCountLimit) is the most")
        }
    }
}
