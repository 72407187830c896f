import Glibc

/// The process that holds the lock that a writer of the database needs, as far as the kernel says.
enum LockHolder {
    /// A process in words, for an operator; nil if none holds it by now.
    static func find(of database: String) -> String? {
        guard let holder = DatabaseLocks(of: database).writer else { return nil }
        return holder == Int(getpid())
            ? "another connection of this process has the write lock"
            : "process \(ProcessLook(holder).name) has the write lock"
    }

    /// ` (process 815 (sqlite3))` where other processes read the database; empty where only this one does.
    static func otherReaders(of database: String) -> String {
        let others = DatabaseLocks(of: database).readers.filter { $0 != Int(getpid()) }
            .map { "process \(ProcessLook($0).name)" }
        return others.isEmpty ? "" : " (\(others.joined(separator: ", ")))"
    }
}
