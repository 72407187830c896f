import Glibc

/// An open file descriptor with one owner, and the only place that holds its number.
///
/// Dropping the value closes it. The error of that close is lost, which is right: what has to
/// survive was synchronized before, and nothing may rest on a close.
struct Descriptor: ~Copyable, Sendable {
    private let number: Int32

    /// Opens `path`, never through a link in its last component, never kept across `exec`.
    init(opening path: String, _ flags: Int32) throws(SystemError) {
        try refuseNUL(in: path, call: "open")
        number = try systemCall("open", on: path) {
            unsafe Glibc::open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
    }

    deinit { _ = Glibc::close(number) }

    func status(of path: String) throws(SystemError) -> stat {
        var status = stat()
        try systemCall("fstat", on: path) { unsafe fstat(number, &status) }
        return status
    }

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

    /// Takes the exclusive advisory lock; false when another open file has it.
    func tryLock(_ path: String) throws(SystemError) -> Bool {
        do {
            try systemCall("flock", on: path) { flock(number, LOCK_EX | LOCK_NB) }
            return true
        } catch let error where error.code == EWOULDBLOCK {
            return false
        }
    }

    /// Lets go of the lock, whoever else has a copy of the descriptor.
    func unlock() { _ = flock(number, LOCK_UN) }

    /// Maps the file shared and returns the address.
    func map(_ path: String, byteCount: Int, writable: Bool) throws(SystemError) -> Int {
        let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
        let address = try systemCall("mmap", on: path) {
            // The failure value is -1; addresses of a process are positive on 64-bit Linux.
            unsafe Int(bitPattern: mmap(nil, byteCount, protection, MAP_SHARED, number, 0))
        }
        // Writable mappings are staging: all of it is about to be written, so fault it in at once. For
        // writing, as MAP_POPULATE would not: else the first write to each page is a fault of its own.
        // Advice only: a kernel before 5.14 does not know it.
        if writable {
            let start = unsafe UnsafeMutableRawPointer(bitPattern: address)
            _ = unsafe madvise(start, byteCount, MADV_POPULATE_WRITE)
        }
        return address
    }
}

/// The names in a directory, without `.` and `..`.
func directoryNames(_ path: String) throws(SystemError) -> [String] {
    // scandir follows links; opening first is what refuses one.
    _ = try Descriptor(opening: path, O_RDONLY | O_DIRECTORY)
    // readdir would say the end and a failure alike, but for errno; scandir returns -1.
    var entries: UnsafeMutablePointer<UnsafeMutablePointer<dirent>?>?
    let count = try systemCall("scandir", on: path) { unsafe scandir(path, &entries, nil, nil) }
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

/// Swift hands C a string up to its first NUL; such a path would name another file.
func refuseNUL(in path: String, call: String) throws(SystemError) {
    guard !path.utf8.contains(0) else { throw SystemError(call: call, path: path, code: EINVAL) }
}
