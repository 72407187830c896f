import CLinux
import Glibc

/// The machine's file system.
///
/// No call follows a symbolic link in the last component of a path, and no program that the process starts
/// gets a descriptor. Calls that a signal interrupts are made again.
package struct PosixDisk: Disk {
    /// The directory from which paths below it are found; nil if all paths are found by the process as usual.
    let directory: PosixDirectory?

    package init() { directory = nil }

    private init(_ directory: PosixDirectory) { self.directory = directory }

    package func entering(_ path: String) throws(SystemError) -> any Disk {
        PosixDisk(try PosixDirectory(path))
    }

    /// Creates a directory, or accepts the one that is there. A link to a directory is refused with
    /// `ELOOP`, because it could lead the store's files elsewhere.
    package func createDirectory(_ path: String) throws(SystemError) {
        do {
            try at(directory, path, "mkdir") { unsafe mkdirat($0, $1, 0o700) }
            try giveDirectory(path)
        } catch let error where error.code == EEXIST {
            let kind = try linkStatus(of: path, from: directory).map { $0.st_mode & S_IFMT }
            if kind == S_IFLNK { throw SystemError(call: "mkdir", path: path, code: ELOOP) }
            guard kind == S_IFDIR else { throw error }
        }
    }

    private func giveDirectory(_ path: String) throws(SystemError) {
        guard let owner = directory?.owner else { return }
        do throws(SystemError) {
            try Descriptor(opening: path, O_RDONLY | O_DIRECTORY, from: directory)
                .give(to: owner, path)
        } catch {
            // Otherwise the next call would accept a directory that its owner cannot use.
            _ = try? at(directory, path, "rmdir") { unsafe unlinkat($0, $1, AT_REMOVEDIR) }
            throw error
        }
    }

    package func list(_ path: String) throws(SystemError) -> [String] {
        try directoryNames(path, from: directory)
    }

    package func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        try PosixFile(path, mode, from: directory)
    }

    package func rename(_ source: String, to target: String) throws(SystemError) {
        try refuseNUL(in: source, call: "rename")
        try refuseNUL(in: target, call: "rename")
        let from = PosixDirectory.place(of: source, in: directory)
        let to = PosixDirectory.place(of: target, in: directory)
        _ = try withExtendedLifetime(directory) { () throws(SystemError) in
            try systemCall("rename", on: source) {
                unsafe renameat(from.directory, from.name, to.directory, to.name)
            }
        }
    }

    /// Removes a file's name; directories are refused.
    package func remove(_ path: String) throws(SystemError) {
        try at(directory, path, "unlink") { unsafe unlinkat($0, $1, 0) }
    }

    package func exists(_ path: String) throws(SystemError) -> Bool {
        try linkStatus(of: path, from: directory) != nil
    }

    package func byteCount(of path: String) throws(SystemError) -> Int? {
        guard let status = try linkStatus(of: path, from: directory) else { return nil }
        guard status.st_mode & S_IFMT != S_IFLNK else {
            throw SystemError(call: "lstat", path: path, code: ELOOP)
        }
        return Int(status.st_size)
    }

    package func synchronizeDirectory(_ path: String) throws(SystemError) {
        try Descriptor(opening: path, O_RDONLY | O_DIRECTORY, from: directory).synchronize(path)
    }

    package func map(
        _ path: String, byteCount: Int, writable: Bool
    ) throws(SystemError) -> any MappedBytes {
        try PosixMapping(path, byteCount: byteCount, writable: writable, from: directory)
    }

    package func lock(_ path: String) throws(SystemError) -> Locking {
        try PosixLock.take(path, O_RDWR | O_CREAT, from: directory)
    }

    package func lockDirectory(_ path: String) throws(SystemError) -> Locking {
        try PosixLock.take(path, O_RDONLY | O_DIRECTORY, from: directory)
    }

    package func hold(_ path: String) throws(SystemError) -> any Held {
        try PosixHold(path, from: directory)
    }
}
