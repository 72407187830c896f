import CLinux
import Glibc

/// The machine's file system.
///
/// Nothing here follows a symbolic link in the last component of a path, and no descriptor passes
/// on to a program that the process starts. Calls that a signal interrupts are made again.
package struct PosixDisk: Disk {
    package init() {}

    /// Creates a directory, or takes the one that is there. A link to a directory is refused with
    /// `EEXIST`: whoever can place links beside the store could lead its files elsewhere.
    package func createDirectory(_ path: String) throws(SystemError) {
        try refuseNUL(in: path, call: "mkdir")
        do {
            try systemCall("mkdir", on: path) { unsafe mkdir(path, 0o700) }
        } catch let error where error.code == EEXIST {
            let found = try linkStatus(of: path)
            guard let found, found.st_mode & S_IFMT == S_IFDIR else { throw error }
        }
    }

    package func list(_ path: String) throws(SystemError) -> [String] {
        try directoryNames(path)
    }

    package func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any DiskFile {
        try PosixFile(path, mode)
    }

    package func rename(_ source: String, to target: String) throws(SystemError) {
        try refuseNUL(in: source, call: "rename")
        try refuseNUL(in: target, call: "rename")
        try systemCall("rename", on: source) { unsafe Glibc::rename(source, target) }
    }

    /// Removes a file's name; directories are refused.
    package func remove(_ path: String) throws(SystemError) {
        try refuseNUL(in: path, call: "unlink")
        try systemCall("unlink", on: path) { unsafe unlink(path) }
    }

    package func exists(_ path: String) throws(SystemError) -> Bool {
        try linkStatus(of: path) != nil
    }

    package func byteCount(of path: String) throws(SystemError) -> Int? {
        guard let status = try linkStatus(of: path) else { return nil }
        guard status.st_mode & S_IFMT != S_IFLNK else {
            throw SystemError(call: "lstat", path: path, code: ELOOP)
        }
        return Int(status.st_size)
    }

    package func synchronizeDirectory(_ path: String) throws(SystemError) {
        try Descriptor(opening: path, O_RDONLY | O_DIRECTORY).synchronize(path)
    }

    package func map(
        _ path: String, byteCount: Int, writable: Bool
    ) throws(SystemError) -> any MappedBytes {
        try PosixMapping(path, byteCount: byteCount, writable: writable)
    }

    /// False as well when the file system cannot be asked.
    package func supportsSharedMapping(_ directory: String) -> Bool {
        do {
            try refuseNUL(in: directory, call: "statfs")
            var status = statfs()
            try systemCall("statfs", on: directory) { unsafe statfs(directory, &status) }
            return Self.sharesMappings(fileSystem: UInt32(truncatingIfNeeded: status.f_type))
        } catch {
            return false
        }
    }

    package func lock(_ path: String) throws(SystemError) -> (any DiskLock)? {
        try PosixLock.take(path)
    }

    /// Whether a file system, by its number in `statfs`, shares mappings coherently and cheaply.
    package static func sharesMappings(fileSystem: UInt32) -> Bool {
        switch fileSystem {
        case 0x6969: false  // NFS
        case 0x517B, 0xFE53_4D42, 0xFF53_4D42: false  // SMB, SMB2, CIFS
        case 0x6573_5546: false  // FUSE
        case 0x0102_1997: false  // 9p
        case 0x00C3_6400: false  // Ceph
        case 0x9123_683E, 0x2FC1_2FC1: false  // btrfs, ZFS: copy every page on write
        default: true
        }
    }
}
