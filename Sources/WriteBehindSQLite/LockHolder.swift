import Glibc

/// Finds the process that holds the lock that a writer of the database needs, as far as the kernel shows it.
enum LockHolder {
    /// The process in words, for an operator; nil if no process holds the lock any more.
    static func find(of database: String) -> String? {
        guard let holder = DatabaseLocks(of: database).writer else { return nil }
        return holder == Int(getpid())
            ? "another connection of this process has the write lock"
            : "process \(ProcessLook(holder).name) has the write lock"
    }

    /// ` (process 815 (sqlite3))` if other processes read the database; empty if only this one does.
    static func otherReaders(of database: String) -> String {
        let others = DatabaseLocks(of: database).readers.filter { $0 != Int(getpid()) }
            .map { "process \(ProcessLook($0).name)" }
        return others.isEmpty ? "" : " (\(others.joined(separator: ", ")))"
    }
}
