/// The bytes behind ``Staging``: a mapped file where that is safe, plain memory elsewhere.
@safe final class StagingMemory: Sendable {
    /// Valid for as long as this object lives: it holds the mapping, or frees the memory at the end.
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer
    private let mapping: (any MappedBytes)?
    private let marker: (any DiskFile)?

    /// A mapped staging file.
    init(mapping: any MappedBytes) {
        self.mapping = mapping
        marker = nil
        unsafe base = mapping.bytes.baseAddress!  // a staging file is never empty
    }

    /// Plain memory, with a file of one page that marks the store as open and publishes the durable sequence.
    init(byteCount: Int, marker: any DiskFile) {
        mapping = nil
        self.marker = marker
        unsafe base = .allocate(byteCount: byteCount, alignment: 4096)
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit {
        if mapping == nil { unsafe base.deallocate() }
    }

    var survivesProcessDeath: Bool { mapping != nil }

    @inline(__always)
    @unsafe func slot(_ index: Int, _ header: StagingHeader) -> UnsafeMutableRawPointer {
        unsafe base + (StagingHeader.byteCount + index * header.slotSize)
    }

    func slotBytes(_ index: Int, _ header: StagingHeader) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: slot(index, header), count: header.slotSize)
    }

    func write(_ bytes: [UInt8], slot index: Int, _ header: StagingHeader) {
        assert(bytes.count <= header.slotSize)
        unsafe bytes.withUnsafeBytes {
            unsafe slot(index, header).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
        }
    }

    /// Returns once these bytes survive power loss. Plain memory never does.
    func synchronize(_ range: Range<Int>) throws(SystemError) {
        guard let mapping else { preconditionFailure("plain memory cannot be synced") }
        try mapping.synchronize(range)
    }

    /// Makes sure that storing to these bytes needs no room on the disk. Plain memory needs none.
    func reserve(_ range: Range<Int>) throws(SystemError) { try mapping?.reserve(range) }

    /// Shows followers in other processes how far they may read. An aligned store of eight bytes is never
    /// seen half-done. The marker file's error is ignored: a follower that sees too little only waits.
    func publish(durable sequence: UInt64) {
        unsafe (base + StagingHeader.durableOffset).storeBytes(
            of: sequence.littleEndian, as: UInt64.self)
        if let marker {
            var bytes: [UInt8] = []
            bytes.append(integer: sequence)
            try? marker.write(bytes.span, at: StagingHeader.durableOffset)
        }
    }
}
