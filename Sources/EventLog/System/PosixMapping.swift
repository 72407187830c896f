import Glibc

/// A file's first bytes, mapped shared with the page cache.
final class PosixMapping: MappedBytes {
    private let path: String
    /// nil once the mapping is detached.
    private let file: Lock<PosixFile?>
    private let address: Int
    private let byteCount: Int
    let mayShareBlocks: Bool

    init(
        _ path: String, byteCount: Int, writable: Bool, from directory: PosixDirectory?
    ) throws(SystemError) {
        let file = try PosixFile(path, writable ? .readWrite : .read, from: directory)
        // Touching a page beyond the end of the file would kill the process.
        guard try byteCount <= file.byteCount() else {
            throw SystemError(call: "mmap", path: path, code: EINVAL)
        }
        mayShareBlocks = writable ? try file.canShareBlocks() : false
        address = try file.map(byteCount: byteCount, writable: writable)
        self.file = Lock(file)
        self.path = path
        self.byteCount = byteCount
    }

    deinit { _ = unsafe munmap(unsafe bytes.baseAddress, byteCount) }

    @unsafe var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: address), count: byteCount)
    }

    func synchronize(_ range: Range<Int>) throws(SystemError) {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "beyond the mapping")
        guard !range.isEmpty else { return }
        // msync needs the address of a page; it rounds up the length itself. MS_SYNC writes these
        // pages only and waits for the device, as fdatasync does for the whole file.
        let start = range.lowerBound & ~(Self.pageSize - 1)
        try systemCall("msync", on: path) {
            unsafe msync(bytes.baseAddress?.advanced(by: start), range.upperBound - start, MS_SYNC)
        }
    }

    func reserve(_ range: Range<Int>) throws(SystemError) {
        guard mayShareBlocks else { return }
        try file.withLock { $0 }?.unshare(range)
    }

    /// Replaces the mapped file by plain memory, so that a thread that still has the address cannot fault.
    func detach() {
        file.withLock { $0 = nil }
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
        _ = unsafe mmap(bytes.baseAddress, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
    }

    static let pageSize = sysconf(Int32(_SC_PAGESIZE))
}
