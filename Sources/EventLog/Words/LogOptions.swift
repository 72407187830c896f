/// The options of the log. The defaults are those of the store.
package struct LogOptions: Sendable {
    /// Slots of the staging buffer. At least 2.
    package var slotCount = 16
    /// Bytes of one slot.
    package var slotSize = 2 << 20
    /// When records reach this many bytes, a block is written without waiting for a sync.
    package var blockSize = 256 << 10
    /// The most bytes of one block's payload: the bound on a commit and on readers' buffers.
    package var rawBlockBound = 1 << 20
    /// The length at which a segment is sealed and a new one started.
    package var segmentSize = 64 << 20
    /// The longest time until a commit is synced if no caller asks for it. Nanoseconds.
    package var syncInterval: UInt64 = 100_000_000
    /// If a caller waits, and at most this many bytes are unsynced, staging's pages are synced instead of a block. They
    /// are already on the disk, so neither a length nor an extent changes.
    package var stagingSyncLimit = 64 << 10
    /// zstd's level as long as the flusher keeps up.
    package var compressionLevel = 1

    package init() {}
}

/// The flusher's reports as it works. Called on the flusher's thread, or on the thread that finds the store's files
/// replaced.
package protocol LogObserver: Sendable {
    /// A block was written, and not synced yet. `nanoseconds` is how long packing and writing it took.
    func didWrite(_ block: BlockHeader, nanoseconds: UInt64)
    /// Everything through `sequence` survives power loss. `nanoseconds` is how long the sync took.
    ///
    /// - Parameter isReadable: whether segments hold it. Otherwise only staging was synced so far.
    func didSync(through sequence: UInt64, isReadable: Bool, nanoseconds: UInt64)
    /// Appends are refused from now on, for another reason than before, or admitted again.
    func didChangeRefusal(_ error: LogError?)
}
