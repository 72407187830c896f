/// The file system, as much of it as a store needs.
///
/// The one seam between the store and the machine's files: ``PosixDisk`` is the real one, the tests'
/// `SimulatedDisk` remembers what was synced and what was not, crashes, and fails on demand. Paths
/// are absolute or relative to the working directory and are opaque here; ``StoreLayout`` makes them.
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
    /// Whether there is something of that name (a link itself counts, not what it points to).
    func exists(_ path: String) throws(SystemError) -> Bool
    /// The length of the file of that name; nil if there is none. Never follows a symbolic link.
    ///
    /// Opens nothing: by closing a file, a process gives up all locks that it has on it (`fcntl(2)`), SQLite's too.
    func byteCount(of path: String) throws(SystemError) -> Int?
    /// Makes the names in a directory (created, renamed, removed) survive power loss.
    func synchronizeDirectory(_ path: String) throws(SystemError)
    /// Maps the first `byteCount` bytes of a file, shared with the page cache. The file must have
    /// been written to that length beforehand: a hole would fault, and could fail, at every page.
    func map(_ path: String, byteCount: Int, writable: Bool) throws(SystemError) -> any MappedBytes
    /// Whether a shared mapping in this directory is coherent and cheap: false on network file
    /// systems and on those that copy on write (btrfs, ZFS).
    func supportsSharedMapping(_ directory: String) -> Bool
    /// Takes the exclusive advisory lock on a file, creating it if needed. The lock is released when the
    /// value is dropped or the process dies.
    func lock(_ path: String) throws(SystemError) -> Locking
    /// Takes the exclusive advisory lock on a directory.
    func lockDirectory(_ path: String) throws(SystemError) -> Locking
    /// Holds the file or directory that `path` names, without a lock: as long as it is held, nothing
    /// that is made later can be mistaken for it.
    func hold(_ path: String) throws(SystemError) -> any Held
    /// This disk as seen from a directory: every path below `path` is found from the directory that has
    /// this name now, even when it gets another name later.
    func entering(_ path: String) throws(SystemError) -> any Disk
    /// Throws if this disk belongs to a store that is no longer alone or no longer where it was; see
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
    /// Looks whether `path` still names it.
    func standing(at path: String) throws(SystemError) -> Standing
}

/// Whether a name still names the file or directory that it once named.
package enum Standing: Sendable {
    case inPlace
    /// The name is gone.
    case missing
    /// The name means something else.
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
    /// Writes zeros where a file that is going to be mapped has nothing yet; all of them, or throws.
    func write(zeros count: Int, at offset: Int) throws(SystemError)
    /// Returns once the bytes written so far, and a length that changed, would survive power loss.
    ///
    /// Never call it again after an error: Linux marks the lost pages clean, so a second call would
    /// succeed without them.
    func synchronize() throws(SystemError)
    func truncate(to byteCount: Int) throws(SystemError)
    /// Drops what memory caches of the file, so that the next read asks the device. Everything must have
    /// been synced. Advice only: a system may ignore it.
    func dropCache()
}

/// A file's bytes in memory. Dropping the last reference unmaps them.
package protocol MappedBytes: AnyObject, Sendable {
    /// The bytes; valid for as long as this object lives.
    @unsafe var bytes: UnsafeMutableRawBufferPointer { get }
    /// Returns once this range of the mapping would survive power loss.
    func synchronize(_ range: Range<Int>) throws(SystemError)
    /// Makes sure that storing to these bytes needs no room on the disk, which a mapping could not report.
    func reserve(_ range: Range<Int>) throws(SystemError)
    /// Lets go of the file. The bytes can still be read and stored to, and mean nothing.
    func detach()
}
