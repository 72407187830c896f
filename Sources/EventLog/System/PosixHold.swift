import CLinux
import Glibc

/// Holds a file or directory: as long as its descriptor is open, no other file gets its inode number.
final class PosixHold: Held {
    private let directory: PosixDirectory?
    private let descriptor: Descriptor

    init(_ path: String, from directory: PosixDirectory?) throws(SystemError) {
        self.directory = directory
        descriptor = try Descriptor(opening: path, open_path, from: directory)
    }

    func standing(at path: String) throws(SystemError) -> Standing {
        try descriptor.standing(at: path, from: directory)
    }
}

/// A held `flock`.
///
/// When it ends, it unlocks, and does not only close its descriptor: a child between `fork` and `exec` has a copy of the
/// descriptor for a moment, which would keep the lock. In a child that was forked, nothing is unlocked.
final class PosixLock: Held {
    /// The locks that this process holds, because the kernel does not say which process has a lock.
    private static let held = Lock<[FileIdentity: UInt64]>([:])

    private let directory: PosixDirectory?
    private let descriptor: Descriptor
    private let identity: FileIdentity
    private let forks = ForkGuard.current()

    private init(
        _ descriptor: consuming Descriptor, _ identity: FileIdentity, _ directory: PosixDirectory?
    ) {
        self.descriptor = descriptor
        self.identity = identity
        self.directory = directory
        Self.held.withLock { [forks] in $0[identity] = forks }
    }

    deinit {
        guard ForkGuard.isSame(forks) else { return }
        // Both steps under one lock: until the lock is free, this process is recorded as its holder, and the next
        // holder records itself afterwards.
        Self.held.withLock { held in
            descriptor.unlock()
            held[identity] = nil
        }
    }

    /// Locks the file that is at `path` now.
    ///
    /// The file could be unlinked or replaced between opening and locking. The lock would then be on
    /// a file that no other process can find. So the file is compared with the path, and the lock is taken again if needed.
    static func take(
        _ path: String, _ flags: Int32, from directory: PosixDirectory?
    ) throws(SystemError) -> Locking {
        while true {
            let descriptor = try Descriptor(opening: path, flags, from: directory)
            let identity = FileIdentity(try descriptor.status(of: path))
            let wasOurs = isHeldHere(identity)
            guard try descriptor.tryLock(path) else {
                // `wasOurs` was checked before, because this process may have unlocked it in between.
                return wasOurs || isHeldHere(identity) ? .heldHere : .heldElsewhere
            }
            guard case .inPlace = try descriptor.standing(at: path, from: directory) else {
                continue
            }
            if flags & O_CREAT != 0, let owner = directory?.owner {
                try descriptor.give(to: owner, path)
            }
            return .taken(PosixLock(descriptor, identity, directory))
        }
    }

    private static func isHeldHere(_ identity: FileIdentity) -> Bool {
        held.withLock { $0[identity].map(ForkGuard.isSame) ?? false }
    }

    func standing(at path: String) throws(SystemError) -> Standing {
        try descriptor.standing(at: path, from: directory)
    }
}

/// Distinguishes two files as long as both exist.
struct FileIdentity: Hashable {
    private let device: UInt64
    private let inode: UInt64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

extension Descriptor {
    func standing(
        at path: String, from directory: PosixDirectory?
    ) throws(SystemError) -> Standing {
        guard let named = try linkStatus(of: path, from: directory) else { return .missing }
        let held = FileIdentity(try status(of: path))
        return held == FileIdentity(named) ? .inPlace : .replaced
    }
}

/// The status of the file at the path, or of the link itself if it is one; nil if there is nothing.
func linkStatus(
    of path: String, from directory: PosixDirectory?
) throws(SystemError) -> stat? {
    var status = stat()
    do {
        try at(directory, path, "lstat") {
            unsafe fstatat($0, $1, &status, AT_SYMLINK_NOFOLLOW)
        }
        return status
    } catch let error where error.code == ENOENT {
        return nil
    }
}
