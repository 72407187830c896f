import Glibc

/// The bytes of ``Staging``: a mapped file if the file system makes that safe, otherwise plain memory.
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

    /// Plain memory, with a file of one page that marks the store as open and publishes the readable sequence.
    init(byteCount: Int, marker: any DiskFile, path: String) throws(SystemError) {
        // Not allocated by Swift, which ends the process if there is no memory.
        var memory: UnsafeMutableRawPointer?
        let code = unsafe posix_memalign(&memory, 4096, byteCount)
        guard let memory = unsafe memory, code == 0 else {
            throw SystemError(call: "posix_memalign", path: path, code: code)
        }
        mapping = nil
        self.marker = marker
        unsafe base = memory
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit {
        if mapping == nil { unsafe free(base) }
    }

    var survivesProcessDeath: Bool { mapping != nil }

    /// Whether copies of the file can share its blocks, so that room has to be reserved again and again.
    var mayShareBlocks: Bool { mapping?.mayShareBlocks ?? false }

    @inline(__always)
    @unsafe func slot(_ index: Int, _ header: StagingHeader) -> UnsafeMutableRawPointer {
        unsafe base + (StagingHeader.byteCount + index * header.slotSize)
    }

    func slotBytes(_ index: Int, _ header: StagingHeader) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: slot(index, header), count: header.slotSize)
    }

    /// Begins a slot: its header, and the copy at its end.
    func write(_ slotHeader: SlotHeader, slot index: Int, _ header: StagingHeader) {
        let bytes = slotHeader.encoded(salt: header.salt)
        unsafe bytes.withUnsafeBytes { bytes in
            let start = unsafe slot(index, header)
            let source = bytes.baseAddress!  // a slot header is never empty
            unsafe start.copyMemory(from: source, byteCount: bytes.count)
            unsafe (start + header.commitsEnd).copyMemory(from: source, byteCount: bytes.count)
        }
    }

    /// Returns once these bytes survive power loss. Must not be called for plain memory.
    func synchronize(_ range: Range<Int>) throws(SystemError) {
        guard let mapping else { preconditionFailure("plain memory cannot be synced") }
        try mapping.synchronize(range)
    }

    /// Makes sure that storing to these bytes needs no room on the disk. Plain memory needs none.
    func reserve(_ range: Range<Int>) throws(SystemError) { try mapping?.reserve(range) }

    /// Shows followers in other processes how far they may read, and recovery how far was synced. An aligned
    /// store of eight bytes is never seen half done, but the checksum behind it may come a moment later. An error of the
    /// marker file is ignored, because a follower that sees a lower sequence only waits.
    func publish(_ progress: PublishedProgress, salt: UInt64) {
        let bytes = progress.encoded(salt: salt)
        for offset in stride(from: 0, to: bytes.count, by: 8) {
            unsafe (base + (StagingHeader.publishedOffset + offset)).storeBytes(
                of: bytes.span.integer(UInt64.self, at: offset).littleEndian, as: UInt64.self)
        }
        try? marker?.write(bytes.span, at: StagingHeader.publishedOffset)
    }
}
