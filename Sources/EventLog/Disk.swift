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
    /// The length of the file of that name; nil where there is none. Never follows a symbolic link.
    ///
    /// Opens nothing: by closing a file, a process lets go of all locks that it has on it (`fcntl(2)`), SQLite's too.
    func byteCount(of path: String) throws(SystemError) -> Int?
    /// Makes the names in a directory (created, renamed, removed) survive power loss.
    func synchronizeDirectory(_ path: String) throws(SystemError)
    /// Maps the first `byteCount` bytes of a file, shared with the page cache. The file must have
    /// been written to that length beforehand: a hole would fault, and could fail, at every page.
    func map(_ path: String, byteCount: Int, writable: Bool) throws(SystemError) -> any MappedBytes
    /// Whether a shared mapping in this directory is coherent and cheap: false on network file
    /// systems and on those that copy on write (btrfs, ZFS).
    func supportsSharedMapping(_ directory: String) -> Bool
    /// Takes the exclusive advisory lock on a file, creating it if needed; nil when another process
    /// holds it. The lock is let go when the value is dropped or the process dies.
    func lock(_ path: String) throws(SystemError) -> (any DiskLock)?
}

package enum OpenMode: Sendable {
    case read
    case readWrite
    /// Read and write a file that must not exist yet.
    case createExclusively
}

/// An open file. Dropping the last reference closes it.
package protocol DiskFile: AnyObject, Sendable {
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
}

/// A file's bytes in memory. Dropping the last reference unmaps them.
package protocol MappedBytes: AnyObject, Sendable {
    /// The bytes; valid for as long as this object lives.
    @unsafe var bytes: UnsafeMutableRawBufferPointer { get }
    /// Returns once this range of the mapping would survive power loss.
    func synchronize(_ range: Range<Int>) throws(SystemError)
}

/// A held lock.
package protocol DiskLock: AnyObject, Sendable {}
