import Foundation
import GRDBSQLite

/// ``Armed`` around SQLite's own writes: in the middle of a commit (its WAL) and of a checkpoint (the
/// database file). SQLite lets a program replace its system calls for such tests.
enum SQLiteCalls {
    private typealias Write = @convention(c) (Int32, UnsafeRawPointer?, Int, off_t) -> Int

    /// - Returns: whether this SQLite writes through one of the calls that were replaced.
    static func intercept() -> Bool {
        guard let vfs = sqlite3_vfs_find(nil), let set = vfs.pointee.xSetSystemCall else {
            return false
        }
        let write: Write = { descriptor, bytes, count, offset in
            let area = SQLiteCalls.area(of: descriptor)
            let half: () -> Void = { _ = pwrite(descriptor, bytes, count / 2, offset) }
            return Armed.around(.write, area, half: half) {
                pwrite(descriptor, bytes, count, offset)
            }
        }
        let pointer = unsafeBitCast(write, to: sqlite3_syscall_ptr.self)
        // SQLite's build decides which of the two it uses.
        let codes = ["pwrite", "pwrite64"].map { name in
            name.withCString { set(vfs, $0, pointer) }
        }
        return codes.contains(SQLITE_OK)
    }

    private static func area(of descriptor: Int32) -> Failpoint.Place.Area {
        let path = try? FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/fd/\(descriptor)")
        return path?.hasSuffix("-wal") == true ? .wal : .database
    }
}
