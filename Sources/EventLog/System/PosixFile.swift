import Glibc

/// An open file of the machine.
final class PosixFile: DiskFile {
    let path: String
    private let directory: PosixDirectory?
    private let descriptor: Descriptor

    init(
        _ path: String, _ mode: OpenMode, from directory: PosixDirectory?
    ) throws(SystemError) {
        self.path = path
        self.directory = directory
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .createExclusively: O_RDWR | O_CREAT | O_EXCL
            }
        // A FIFO would block the call until another process writes to it.
        descriptor = try Descriptor(opening: path, flags | O_NONBLOCK, from: directory)
        do throws(SystemError) {
            guard try descriptor.status(of: path).st_mode & S_IFMT == S_IFREG else {
                throw SystemError(call: "open", path: path, code: EINVAL)
            }
            if mode == .createExclusively, let owner = directory?.owner {
                try descriptor.give(to: owner, path)
            }
        } catch {
            // The owner may have no quota left. The caller gets no file, so its name must be free again.
            if mode == .createExclusively {
                _ = try? at(directory, path, "unlink") { unsafe unlinkat($0, $1, 0) }
            }
            throw error
        }
    }

    /// Maps the file shared and returns the address. The mapping outlives this object.
    func map(byteCount: Int, writable: Bool) throws(SystemError) -> Int {
        try descriptor.map(path, byteCount: byteCount, writable: writable)
    }

    /// Whether copies of the file can share its blocks.
    func canShareBlocks() throws(SystemError) -> Bool { try descriptor.canShareBlocks(of: path) }

    /// Gives a range its own blocks, if it shares some with a copy of the file.
    func unshare(_ range: Range<Int>) throws(SystemError) {
        guard try descriptor.sharesBlocks(range, of: path) else { return }
        try descriptor.unshare(range, of: path)
    }

    func standing(at path: String) throws(SystemError) -> Standing {
        try descriptor.standing(at: path, from: directory)
    }

    func byteCount() throws(SystemError) -> Int {
        Int(try descriptor.status(of: path).st_size)
    }

    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int {
        try unsafe bytes.withUnsafeMutableBytes { (buffer) throws(SystemError) -> Int in
            var done = 0
            while done < buffer.count {
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                let count = try unsafe descriptor.read(into: rest, at: offset + done, of: path)
                if count == 0 { break }
                done += count
            }
            return done
        }
    }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError) {
        try unsafe bytes.withUnsafeBytes { (buffer) throws(SystemError) in
            var done = 0
            while done < buffer.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
                let count = try unsafe descriptor.write(rest, at: offset + done, of: path)
                // No file system is known to write 0 bytes without an error. If one does, this ends the loop.
                guard count > 0 else { throw SystemError(call: "pwrite", path: path, code: EIO) }
                done += count
            }
        }
    }

    /// Writes one page at a time. The page cache keeps the bytes of one call as one folio, up to 2 MiB, and a
    /// store to a mapped folio makes all of it dirty, so a sync of 100 bytes would write hundreds of kilobytes
    /// (measured: 350 to 500 µs instead of 90).
    func write(zeros count: Int, at offset: Int) throws(SystemError) {
        let zeros = [UInt8](repeating: 0, count: PosixMapping.pageSize)
        let end = offset + count
        var position = offset
        while position < end {
            let rest = zeros.count - position % zeros.count
            let piece = min(rest, end - position)
            try write(zeros.span.extracting(..<piece), at: position)
            position += piece
        }
    }

    func synchronize() throws(SystemError) {
        try descriptor.synchronizeData(of: path)
    }

    func truncate(to byteCount: Int) throws(SystemError) {
        try descriptor.truncate(path, to: byteCount)
    }

    func dropCache() { descriptor.dropCache() }
}
