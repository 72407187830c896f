/// The part of the file system that a store needs.
///
/// The store uses the machine's files only through this protocol. ``PosixDisk`` is the real disk. The tests'
/// `SimulatedDisk` remembers what was synced and what was not, crashes, and fails on demand. Paths
/// are absolute or relative to the working directory. ``StoreLayout`` makes them; a disk does not interpret them.
package protocol Disk: Sendable {
    /// Creates a directory (mode 0700) if it is not there yet. The parent must exist.
    func createDirectory(_ path: String) throws(SystemError)
    /// The names in a directory, without `.` and `..`, in no particular order.
    func list(_ path: String) throws(SystemError) -> [String]
    /// Opens a file (new ones with mode 0600). Never follows a symbolic link.
    func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile
    /// Renames atomically, replacing the target. Survives power loss only after
    /// ``synchronizeDirectory(_:)``.
    func rename(_ source: String, to target: String) throws(SystemError)
    func remove(_ path: String) throws(SystemError)
    /// Whether there is something with this path (a link itself counts, not its target).
    func exists(_ path: String) throws(SystemError) -> Bool
    /// The length of the file with this path; nil if there is none. Never follows a symbolic link.
    ///
    /// It does not open the file: by closing a file, a process gives up all its locks on it (`fcntl(2)`), SQLite's too.
    func byteCount(of path: String) throws(SystemError) -> Int?
    /// Makes changes of names in a directory (created, renamed, removed) survive power loss.
    func synchronizeDirectory(_ path: String) throws(SystemError)
    /// Maps the first `byteCount` bytes of a file, shared with the page cache. The file must have
    /// been written to that length before, because storing to a page in a hole needs room, and could fail.
    func map(_ path: String, byteCount: Int, writable: Bool) throws(SystemError) -> any MappedBytes
    /// Whether a shared mapping in this directory is coherent and cheap: false on network file
    /// systems and on those that copy on write (btrfs, ZFS).
    func supportsSharedMapping(_ directory: String) -> Bool
    /// Takes the exclusive advisory lock on a file, creating it if needed. The lock is released when the
    /// value is dropped or the process dies.
    func lock(_ path: String) throws(SystemError) -> Locking
    /// Takes the exclusive advisory lock on a directory.
    func lockDirectory(_ path: String) throws(SystemError) -> Locking
    /// Holds the file or directory at `path`, without a lock. As long as it is held, no later
    /// file can be mistaken for it.
    func hold(_ path: String) throws(SystemError) -> any Held
    /// This disk as seen from a directory: every path below `path` is found from the directory that is there
    /// now, even if it is moved later.
    func entering(_ path: String) throws(SystemError) -> any Disk
    /// Throws if this disk belongs to a store whose files were moved or replaced; see
    /// ``FencedDisk``. Any other disk has nothing to check.
    func checkFence() throws(SystemError)
}

extension Disk {
    package func checkFence() throws(SystemError) {}
}

package enum OpenMode: Sendable {
    case read
    case readWrite
    /// Read and write a file that must not exist yet.
    case createExclusively
}

/// The outcome of an attempt to lock.
package enum Locking: Sendable {
    case taken(any Held)
    /// This process has the lock already.
    case heldHere
    /// Another process has the lock.
    case heldElsewhere

    /// The lock, if it could be taken.
    package var taken: (any Held)? {
        if case .taken(let lock) = self { lock } else { nil }
    }
}

/// A file or directory that is held: its inode stays in use until the last reference is dropped.
package protocol Held: AnyObject, Sendable {
    /// Checks whether `path` still leads to it.
    func standing(at path: String) throws(SystemError) -> Standing
}

/// Whether a path still leads to the file or directory to which it once led.
package enum Standing: Sendable {
    case inPlace
    /// There is nothing at the path.
    case missing
    /// Something else is at the path.
    case replaced
}

/// An open file. Dropping the last reference closes it.
package protocol DiskFile: Held {
    var path: String { get }
    func byteCount() throws(SystemError) -> Int
    /// Reads up to `bytes.count` bytes; returns how many there were, fewer only at the file's end.
    func read(into bytes: inout MutableSpan<UInt8>, at offset: Int) throws(SystemError) -> Int
    /// Writes all bytes or throws; after an error any part of them may have been written.
    func write(_ bytes: Span<UInt8>, at offset: Int) throws(SystemError)
    /// Writes zeros into a file that will be mapped, where it has nothing yet; all of them, or throws.
    func write(zeros count: Int, at offset: Int) throws(SystemError)
    /// Returns once the bytes written so far, and a length that changed, would survive power loss.
    ///
    /// Never call it again after an error: Linux marks the lost pages clean, so a second call would
    /// succeed without them.
    func synchronize() throws(SystemError)
    func truncate(to byteCount: Int) throws(SystemError)
    /// Drops the file from the page cache, so that the next read asks the device. Everything must have
    /// been synced. This is only advice: a system may ignore it.
    func dropCache()
}

/// A file's bytes in memory. Dropping the last reference unmaps them.
package protocol MappedBytes: AnyObject, Sendable {
    /// The bytes; valid for as long as this object lives.
    @unsafe var bytes: UnsafeMutableRawBufferPointer { get }
    /// Returns once this range of the mapping would survive power loss.
    func synchronize(_ range: Range<Int>) throws(SystemError)
    /// Whether copies of the file can share its blocks. Then bytes that were written once need room again when they are
    /// stored to after a copy was made.
    var mayShareBlocks: Bool { get }
    /// Reserves room on the disk for these bytes, because a store into a mapping could not report that there is none. It is
    /// cheap if they share no blocks with a copy.
    func reserve(_ range: Range<Int>) throws(SystemError)
    /// Releases the file. The bytes can still be read and stored to, but have no meaning any more.
    func detach()
}
