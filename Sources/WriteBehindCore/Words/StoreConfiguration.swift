import EventLog
public import Logging

/// The limits and intervals of a store. Every value has a default that suits a server; all sizes are in bytes.
///
/// It is read when the store opens. The files do not depend on it, so it may differ at every opening.
/// Sizes and counts that are too small are raised to the least that works. Values that the files could not hold are refused
/// with ``StoreError/configuration(_:)``.
public struct StoreConfiguration: Sendable {
    /// Memory for cached rows, dirty ones included. Clean rows are evicted to stay within it. At least 8 MiB.
    /// SQLite takes up to a quarter of this in addition, for pages that it writes.
    public var cacheLimit = 256 << 20
    /// The part of ``cacheLimit`` that rows may take that the database does not hold yet; at most three quarters
    /// of it. Writes beyond it throw ``StoreError/backlogFull(_:)``.
    public var dirtyLimit = 192 << 20
    /// Memory for the indices of all tables together, in addition to ``cacheLimit``. An index over an integer takes about 55
    /// bytes for each row; longer keys and values take more. An index that would exceed the limit stops: its reads
    /// throw ``StoreError/indexUnavailable(table:index:reason:)``, and writes go on.
    public var indexLimit = 256 << 20
    /// How many bytes of log, on disk, the database may be behind. Writes beyond it throw
    /// ``StoreError/backlogFull(_:)``.
    public var backlogLimit = 16 << 30

    /// The longest time until a write is synced if no caller waits for it. A power failure can cost the writes of this
    /// time, and of the time that the disk takes to sync (longer while it is full). It never costs a write that a caller has
    /// seen as ``Stage/durable``.
    public var syncInterval: Duration = .milliseconds(100)
    /// The pause between two batches when the database is caught up. It is the usual lag of the database.
    public var materializeInterval: Duration = .milliseconds(100)
    /// The most log records that go into one database transaction.
    public var batchRecords = 200_000
    /// The most memory that one batch takes before it is applied. With a backlog, the next batch is made meanwhile.
    public var batchBytes = 64 << 20

    /// How many slots of ``stagingSlotSize`` the log's buffer has, which takes writes before they are
    /// compressed. It is a mapped file as long as all of them, 32 MiB by default. 2 to 4,096 slots, at most 4 GiB together.
    public var stagingSlots = 16
    /// The size of one slot, at most 1 GiB. A commit must fit into one.
    public var stagingSlotSize = 2 << 20
    /// When records reach this many bytes, they are compressed into a block.
    public var blockSize = 256 << 10
    /// The length at which a segment file is sealed and the next one started.
    public var segmentSize = 64 << 20
    /// zstd's compression level. Negative levels are faster. While writes come faster than this level can
    /// compress them, -1 and then -5 are used.
    public var compressionLevel = 1

    /// The longest pause between two tries of a database that cannot be written. Pauses are random: at first at
    /// most 10 ms, then at most twice as long each time, up to this.
    public var retryLimit: Duration = .seconds(30)
    /// If a worker with work makes no progress for this long, health is `degraded`; after ten times that, it is `stalled`.
    public var stallAfter: Duration = .seconds(5)
    /// How long ``Store/close(deadline:)`` may take to bring the database up to date, if the call gives no deadline. The rest
    /// is applied after the next opening.
    public var closeDeadline: Duration = .seconds(30)
    /// How often the store looks for rows that have expired.
    public var expiryInterval: Duration = .seconds(1)
    /// How many connections read the database, for `get` and for ``Store/database``.
    public var readers = 4

    /// A snapshot is made after this many bytes of log since the last one, or after as many as the last snapshot has, if
    /// that is more; nil makes snapshots only on request. A lost database is rebuilt from a snapshot, and old log can be
    /// deleted only behind one.
    public var snapshotAfter: Int? = 64 << 20
    /// Memory for making a snapshot. Changes that exceed it go through temporary files in `snapshots/`.
    public var snapshotMemory = 64 << 20
    /// How many good snapshots are kept. At least 2, because one may turn out to be bad.
    public var snapshotsKept = 2
    /// Whether ``Store/close(deadline:)`` makes a snapshot, as far as its deadline allows.
    public var snapshotAtClose = false
    /// How long log is kept that no snapshot, database, quarantine or change stream needs any more. So far back
    /// ``StoredTable/history(of:)`` and reads of a past moment can go. Segments that are older, or that
    /// exceed ``logBytesKept``, are deleted, oldest first.
    public var logKept: Duration = .seconds(7 * 24 * 3600)
    /// How many bytes of log are kept at most that nothing needs any more, however young they are. With `Int.max`, only
    /// ``logKept`` decides.
    public var logBytesKept = 16 << 30

    /// How many bytes of log, on disk, are kept for one change stream (``Store/changes(of:named:from:)``). If its consumer is
    /// further behind, log that it has not seen may be deleted, and its stream then ends with an error that names the
    /// sequences.
    public var changeStreamLimit = 16 << 30

    /// Gets the store's messages about its work in the background, which no call can throw.
    public var logger = Logger(label: "writebehind")

    /// The defaults.
    public init() {}
}

extension StoreConfiguration {
    /// Refuses values with which a store would write files that it could not read back.
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
        // Both are bounded at this point, so the product does not overflow.
        guard options.slotCount * options.slotSize <= StagingHeader.byteCountLimit else {
            throw .configuration(
                "stagingSlots * stagingSlotSize is \(options.slotCount * options.slotSize) bytes, and "
                    + "\(StagingHeader.byteCountLimit) is the most")
        }
    }
}
