import CLinux
import Glibc

/// An open file descriptor with one owner. Only ``PosixDirectory`` uses its number, too.
///
/// Dropping the value closes it. The error of that close is ignored, because bytes that must
/// survive were synced before, and nothing may depend on a close.
struct Descriptor: ~Copyable, Sendable {
    fileprivate let number: Int32

    /// Opens `path`, never through a link in its last component, never kept across `exec`.
    init(
        opening path: String, _ flags: Int32, from directory: PosixDirectory? = nil
    ) throws(SystemError) {
        number = try at(directory, path, "open") { start, name in
            unsafe openat(start, name, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
    }

    deinit { _ = Glibc::close(number) }

    func status(of path: String) throws(SystemError) -> stat {
        var status = stat()
        try systemCall("fstat", on: path) { unsafe fstat(number, &status) }
        return status
    }

    /// The file in `/proc` that describes the descriptor.
    var infoPath: String { "/proc/self/fdinfo/\(number)" }

    /// Reads once at `offset`; 0 at the end of the file.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int, of path: String
    ) throws(SystemError) -> Int {
        try systemCall("pread", on: path) {
            unsafe pread(number, buffer.baseAddress, buffer.count, off_t(offset))
        }
    }

    /// Writes once at `offset`, perhaps only a part.
    func write(
        _ buffer: UnsafeRawBufferPointer, at offset: Int, of path: String
    ) throws(SystemError) -> Int {
        try systemCall("pwrite", on: path) {
            unsafe pwrite(number, buffer.baseAddress, buffer.count, off_t(offset))
        }
    }

    func truncate(_ path: String, to byteCount: Int) throws(SystemError) {
        try systemCall("ftruncate", on: path) { ftruncate(number, off_t(byteCount)) }
    }

    func synchronizeData(of path: String) throws(SystemError) {
        try systemCall("fdatasync", on: path) { fdatasync(number) }
    }

    func synchronize(_ path: String) throws(SystemError) {
        try systemCall("fsync", on: path) { fsync(number) }
    }

    /// Gives the file to another user. If the system does not allow that even to root (in a container, or on a
    /// network file system), the owner stays.
    func give(to owner: PosixDirectory.Owner, _ path: String) throws(SystemError) {
        do throws(SystemError) {
            try systemCall("fchown", on: path) { fchown(number, owner.user, owner.group) }
        } catch {
            guard error.code == EPERM || error.code == EINVAL else { throw error }
        }
    }

    /// Drops the file's clean pages from memory. Advice only.
    func dropCache() { _ = posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED) }

    /// Whether copies of the file can share its blocks, as with `cp --reflink`.
    func canShareBlocks(of path: String) throws(SystemError) -> Bool {
        can_share_blocks(number, Int(try status(of: path).st_size)) == 0
    }

    /// Whether a range shares blocks with a copy of the file. If the file system does not tell, it may.
    func sharesBlocks(_ range: Range<Int>, of path: String) throws(SystemError) -> Bool {
        do throws(SystemError) {
            return try systemCall("fiemap", on: path) {
                shares_blocks(number, range.lowerBound, range.count)
            } > 0
        } catch {
            guard error.isUnsupported else { throw error }
            return true
        }
    }

    /// Gives a range its own blocks, if it shares some with a copy of the file, so that storing to
    /// it needs no more room. Only file systems that share blocks support the call.
    ///
    /// On XFS the call fails on a full disk even if the range has blocks of its own already.
    func unshare(_ range: Range<Int>, of path: String) throws(SystemError) {
        do throws(SystemError) {
            try systemCall("fallocate", on: path) {
                fallocate(
                    number, FALLOC_FL_UNSHARE_RANGE, off_t(range.lowerBound), off_t(range.count))
            }
        } catch {
            guard error.isUnsupported else { throw error }
        }
    }

    /// Takes the exclusive advisory lock; false if another open file holds it.
    func tryLock(_ path: String) throws(SystemError) -> Bool {
        do {
            try systemCall("flock", on: path) { flock(number, LOCK_EX | LOCK_NB) }
            return true
        } catch let error where error.code == EWOULDBLOCK {
            return false
        }
    }

    /// Releases the lock, even if another process has a copy of the descriptor.
    func unlock() { _ = flock(number, LOCK_UN) }

    /// Maps the file shared and returns the address.
    func map(_ path: String, byteCount: Int, writable: Bool) throws(SystemError) -> Int {
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        let address = try systemCall("mmap", on: path) {
            // A failure returns -1; the addresses of a process are positive on 64-bit Linux.
            unsafe Int(bitPattern: mmap(nil, byteCount, protection, MAP_SHARED, number, 0))
        }
        // Only staging is mapped writable. All of it will be written, so its pages are faulted in together, and for
        // writing. MAP_POPULATE would fault them in for reading, and the first write to each page would be another
        // fault. This is only advice: a kernel before 5.14 does not support it.
        if writable {
            let start = unsafe UnsafeMutableRawPointer(bitPattern: address)
            _ = unsafe madvise(start, byteCount, MADV_POPULATE_WRITE)
        }
        return address
    }
}

/// The names in a directory, without `.` and `..`.
func directoryNames(
    _ path: String, from directory: PosixDirectory?
) throws(SystemError) -> [String] {
    // scandir follows links, so the directory is opened first, which refuses a link.
    let opened = try Descriptor(opening: path, O_RDONLY | O_DIRECTORY, from: directory)
    // readdir returns the same for the end and for a failure, apart from errno; scandirat returns -1.
    var entries: UnsafeMutablePointer<UnsafeMutablePointer<dirent>?>?
    let count = try systemCall("scandir", on: path) {
        unsafe scandirat(opened.number, ".", &entries, nil, nil)
    }
    defer { unsafe free(entries) }
    var names: [String] = []
    for index in 0..<Int(count) {
        guard let entry = unsafe entries?[index] else { continue }
        defer { unsafe free(entry) }
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
            unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}

extension PosixDisk {
    func fileSystemStatus(_ path: String) throws(SystemError) -> statfs {
        let opened = try Descriptor(opening: path, O_RDONLY | O_DIRECTORY, from: directory)
        var status = statfs()
        try systemCall("statfs", on: path) { unsafe fstatfs(opened.number, &status) }
        return status
    }
}

/// A directory that is held open. Everything below it is found from it, even if its path has changed.
final class PosixDirectory: Sendable {
    /// The owner that new files of a directory must get.
    struct Owner: Sendable {
        var user: uid_t
        var group: gid_t
    }

    private let path: String
    private let descriptor: Descriptor
    /// The owner for files that root makes here, because the directory's owner could not use files of root; nil if the
    /// process does not run as root.
    let owner: Owner?

    init(_ path: String) throws(SystemError) {
        self.path = path
        descriptor = try Descriptor(opening: path, O_RDONLY | O_DIRECTORY)
        let status = try descriptor.status(of: path)
        owner = geteuid() == 0 ? Owner(user: status.st_uid, group: status.st_gid) : nil
    }

    /// The descriptor and the name by which calls like `openat` find a path.
    static func place(
        of path: String, in directory: PosixDirectory?
    ) -> (directory: Int32, name: String) {
        guard let directory, path.hasPrefix(directory.path) else { return (AT_FDCWD, path) }
        let rest = path.dropFirst(directory.path.count)
        guard rest.isEmpty || rest.hasPrefix("/") else { return (AT_FDCWD, path) }
        let name = rest.drop { $0 == "/" }
        return (directory.descriptor.number, name.isEmpty ? "." : String(name))
    }
}

/// Makes a system call that finds `path` from a directory where it lies below it.
@discardableResult
func at<T: SignedInteger>(
    _ directory: PosixDirectory?, _ path: String, _ call: String, _ body: (Int32, String) -> T
) throws(SystemError) -> T {
    try refuseNUL(in: path, call: call)
    let place = PosixDirectory.place(of: path, in: directory)
    return try withExtendedLifetime(directory) { () throws(SystemError) in
        try systemCall(call, on: path) { body(place.directory, place.name) }
    }
}

/// Swift passes a string to C only up to its first NUL, so such a path would name another file.
func refuseNUL(in path: String, call: String) throws(SystemError) {
    guard !path.utf8.contains(0) else { throw SystemError(call: call, path: path, code: EINVAL) }
}
