import Glibc

/// An open file of the machine.
final class PosixFile: DiskFile {
    let path: String
    private let descriptor: Descriptor

    init(_ path: String, _ mode: OpenMode) throws(SystemError) {
        self.path = path
        descriptor =
            switch mode {
            case .read: try Descriptor(opening: path, O_RDONLY)
            case .readWrite: try Descriptor(opening: path, O_RDWR)
            case .createExclusively: try Descriptor(opening: path, O_RDWR | O_CREAT | O_EXCL)
            }
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
                // Writing nothing without an error is not known of any file system; it ends the loop.
                guard count > 0 else { throw SystemError(call: "pwrite", path: path, code: EIO) }
                done += count
            }
        }
    }

    /// One page at a time. The page cache keeps as one folio what is written with one call, up to 2 MiB, and a
    /// store to a mapped folio makes all of it dirty: a sync of 100 bytes would write hundreds of kilobytes
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
}

/// A held `flock`.
///
/// Its end lets go of it, not only closes its descriptor: a child between `fork` and `exec` has a copy of that
/// for a moment, which would hold on to the lock. A child that stays such a copy lets go of nothing.
final class PosixLock: DiskLock {
    private let descriptor: Descriptor
    private let forks = ForkGuard.current()

    private init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    deinit { if ForkGuard.isSame(forks) { descriptor.unlock() } }

    /// Locks the file that `path` names now; nil when another open file has the lock.
    ///
    /// The file could be unlinked or replaced between opening and locking. Then the lock would be on
    /// a file that nobody else can find, so it is compared and taken again.
    static func take(_ path: String) throws(SystemError) -> PosixLock? {
        while true {
            let descriptor = try Descriptor(opening: path, O_RDWR | O_CREAT)
            guard try descriptor.tryLock(path) else { return nil }
            let held = try descriptor.status(of: path)
            guard let named = try linkStatus(of: path) else { continue }
            if held.st_ino == named.st_ino, held.st_dev == named.st_dev {
                return PosixLock(descriptor)
            }
        }
    }
}

/// The status of what the path itself names, a link included; nil when there is nothing.
func linkStatus(of path: String) throws(SystemError) -> stat? {
    try refuseNUL(in: path, call: "lstat")
    var status = stat()
    do {
        try systemCall("lstat", on: path) { unsafe lstat(path, &status) }
        return status
    } catch let error where error.code == ENOENT {
        return nil
    }
}
