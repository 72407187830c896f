import EventLog
import Foundation
import WriteBehindCore

/// Who holds the lock that a writer of the database needs, as far as the kernel says.
package enum LockHolder {
    /// Where SQLite locks the shared memory beside a database for writing.
    private static let writeLock = "120"

    /// A process in words, for an operator; nil where nobody holds it by now.
    ///
    /// From the kernel's list, since asking for a lock takes a descriptor, and closing that would let go of all
    /// locks that this process has on the file.
    static func find(of database: String) -> String? {
        var status = stat()
        guard unsafe stat(database + "-shm", &status) == 0,
            let locks = try? String(contentsOfFile: "/proc/locks", encoding: .utf8)
        else { return nil }
        return holder(in: locks, inode: UInt64(status.st_ino)).map(name)
    }

    /// The process that has the write lock in a list such as `1: POSIX  ADVISORY  WRITE 812 fe:01:4711 120 120`.
    package static func holder(in locks: String, inode: UInt64) -> Int32? {
        for line in locks.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 8, fields[3] == "WRITE", fields[6] == writeLock,
                fields[5].hasSuffix(":\(inode)"), let process = Int32(fields[4])
            else { continue }
            return process
        }
        return nil
    }

    private static func name(_ process: Int32) -> String {
        if process == getpid() { return "another connection of this process has the write lock" }
        let command = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
        let name = command.map { " (\($0.trimmingCharacters(in: .newlines)))" } ?? ""
        return "process \(process)\(name) has the write lock"
    }
}
