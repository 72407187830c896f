/// How the log writes. The defaults are the store's.
package struct LogOptions: Sendable {
    /// Slots of the staging buffer. At least 2.
    package var slotCount = 16
    /// Bytes of one slot.
    package var slotSize = 2 << 20
    /// From how many bytes of records on a block is written without waiting for a sync.
    package var blockSize = 256 << 10
    /// The most bytes of one block's payload: the bound on a commit and on readers' buffers.
    package var rawBlockBound = 1 << 20
    /// The length from which on a segment is sealed and a new one started.
    package var segmentSize = 64 << 20
    /// The longest time until a commit is synced if no caller asks for it. Nanoseconds.
    package var syncInterval: UInt64 = 100_000_000
    /// If a caller waits for a sync of at most so many bytes, it writes staging's pages instead of a block. They
    /// are on the disk already, so no length and no extents change with them.
    package var stagingSyncLimit = 64 << 10
    /// zstd's level, where the flusher keeps up.
    package var compressionLevel = 1

    package init() {}
}

/// The flusher's reports as it works. Called on the flusher's thread.
package protocol LogObserver: Sendable {
    /// A block was written, not synced; how long packing and writing it took.
    func didWrite(_ block: BlockHeader, nanoseconds: UInt64)
    /// Everything through `sequence` survives power loss. Nanoseconds are those of the sync.
    ///
    /// - Parameter isReadable: segments hold it; otherwise only staging was synced so far.
    func didSync(through sequence: UInt64, isReadable: Bool, nanoseconds: UInt64)
    /// Appends are refused from now on, or admitted again.
    func didChangeRefusal(_ error: LogError?)
}
