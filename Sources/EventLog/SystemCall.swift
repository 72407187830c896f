import Glibc

/// Which system call failed, on what, and how.
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

    /// Whether the file was not there.
    package var isMissingFile: Bool { code == ENOENT }

    package var description: String {
        "\(call) \(path): \(unsafe String(cString: strerror(code)))"
    }
}

/// Makes a system call, again for as long as signals interrupt it.
///
/// The one place where -1 becomes an error and `errno` is read. Not again for `close`: Linux has let
/// go of the descriptor even when it reports an interrupt, and a second call could close a file
/// that somebody else has opened since.
@discardableResult
@inline(always)
func systemCall<T: SignedInteger>(
    _ name: String, on path: String, retryingInterrupts: Bool = true, _ call: () -> T
) throws(SystemError) -> T {
    while true {
        let result = call()
        if result >= 0 { return result }
        let code = errno  // read first: freeing an object in between could change it
        guard code == EINTR, retryingInterrupts else {
            throw SystemError(call: name, path: path, code: code)
        }
    }
}
