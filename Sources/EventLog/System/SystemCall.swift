import Glibc

/// A failed system call: its name, its file, and its error.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    package var call: String
    package var path: String
    package var code: Int32

    package init(call: String, path: String, code: Int32) {
        self.call = call
        self.path = path
        self.code = code
    }

    /// Whether there was no room for the bytes.
    package var isDiskFull: Bool { code == ENOSPC || code == EDQUOT }

    /// Whether there was no memory, or no address space.
    package var isOutOfMemory: Bool { code == ENOMEM && !isFence }

    /// Whether the file, or a directory on the way to it, was not there.
    package var isMissing: Bool { code == ENOENT || code == ENOTDIR }

    /// Whether the file was not there.
    package var isMissingFile: Bool { code == ENOENT }

    /// Whether the call does not exist for this kind of file or file system.
    var isUnsupported: Bool {
        [EBADF, EINVAL, ENOSYS, EOPNOTSUPP, ENOLCK].contains(code)
    }

    package var description: String {
        if let fence = Fence(rawValue: code), isFence { return fence.description(at: path) }
        let reason =
            code == ELOOP
            ? "it is a symbolic link, which is not followed; put the file itself in its place"
            : unsafe String(cString: strerror(code))
        return "\(call) \(path): \(reason)"
    }
}

/// Makes a system call, and repeats it while signals interrupt it.
///
/// Only here -1 becomes an error and `errno` is read. Do not close files with it: Linux has released
/// the descriptor even if it reports an interrupt, so a second `close` could close a file
/// that another thread has opened since.
@discardableResult
@inline(always)
func systemCall<T: SignedInteger>(
    _ name: String, on path: String, _ call: () -> T
) throws(SystemError) -> T {
    while true {
        let result = call()
        if result >= 0 { return result }
        let code = errno  // read first: freeing an object in between could change it
        guard code == EINTR else {
            throw SystemError(call: name, path: path, code: code)
        }
    }
}

/// Why a store may not change its files any more: see ``FencedDisk``. The raw value is the error's code.
package enum Fence: Int32, Sendable {
    case missing = 2
    case replaced = 116
    case closed = 9

    fileprivate static let call = "fence"

    fileprivate func description(at path: String) -> String {
        switch self {
        case .missing: "\(path) was removed or moved while the store was open"
        case .replaced: "\(path) was replaced by something else while the store was open"
        case .closed: "\(path) is closed"
        }
    }
}

extension SystemError {
    package init(fenceAt path: String, _ fence: Fence) {
        self.init(call: Fence.call, path: path, code: fence.rawValue)
    }

    /// Whether no call failed, but the store's files were moved or replaced.
    package var isFence: Bool { call == Fence.call }

    /// Whether no call failed, but the store has closed its files.
    package var isClosed: Bool { isFence && code == Fence.closed.rawValue }
}
