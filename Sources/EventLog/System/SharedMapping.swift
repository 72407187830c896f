import CLinux
import Glibc

// The file systems on which the write buffer may be a mapped file. A store into a mapping cannot fail with an error:
// the kernel kills the process (SIGBUS) if it finds no room or no disk for the page. So only file systems are
// listed that are known to keep all of these rules:
//
// - reads, writes and mappings of a file see the same bytes at once;
// - a page that was written and synced once takes no more room when it is stored to again;
// - a store costs no more than the memory it goes to.
//
// XFS shares blocks with copies of a file (`cp --reflink`, which `cp -a` does if it can). It is listed because
// the file can get its own blocks, if that is done before it is stored to: ``MappedBytes/reserve(_:)``. btrfs, ZFS and bcachefs take new room
// for every page that they write; NFS, SMB, FUSE, 9p and Ceph are not coherent. If the buffer is not
// mapped, it is plain memory.

extension PosixDisk {
    /// Also false if the file system cannot be determined.
    package func supportsSharedMapping(_ path: String) -> Bool {
        guard let status = try? fileSystemStatus(path) else { return false }
        return Self.sharesMappings(
            fileSystem: UInt32(truncatingIfNeeded: status.f_type),
            countsFiles: status.f_files > 0, blockSize: Int(status.f_bsize))
    }

    /// Whether a file system is one of those above, by the results of `statfs`.
    ///
    /// An overlay shows its own number, and the counts of the file system below it: btrfs counts no files, and ZFS has
    /// blocks that are longer than a page.
    package static func sharesMappings(
        fileSystem: UInt32, countsFiles: Bool = true, blockSize: Int = 4096
    ) -> Bool {
        switch fileSystem {
        case 0xEF53: true  // ext2, ext3, ext4
        case 0x5846_5342: true  // XFS
        case 0xF2F5_2010: true  // F2FS: writes elsewhere, within the room that a file has
        case 0x0102_1994, 0x8584_58F6: true  // tmpfs, ramfs
        case 0x794C_7630: countsFiles && blockSize <= 4096  // overlayfs
        default: false
        }
    }
}
