package import EventLog
import Foundation
import WriteBehindCore
import WriteBehindSQLite

/// Finds the process that has a store open for writing, without touching its lock.
///
/// Asking the lock itself would mean to take it, if only for a moment, and a writer that opens in
/// just that moment would be refused. Linux lists the holders of all locks in `/proc/locks`:
///
///     1: FLOCK  ADVISORY  WRITE 4711 fe:01:1837465 0 EOF
///
/// In a namespace of processes, a container for instance, the list leaves out the locks of processes outside it.
/// There, the lock is asked if the list names no process.
package struct WriterProbe {
    package enum Finding: Equatable, Sendable {
        case nobody
        case process(Int)
        /// The list cannot be read: a process may be writing.
        case unknown
    }

    package static func find(
        lock path: String, on disk: any Disk, in list: String = "/proc/locks",
        namespace: String = "/proc/self/ns/pid"
    ) -> Finding {
        guard let lock = KernelFile(of: path) else { return .nobody }
        // An empty list, if no process on the machine holds a lock, is read as nil.
        guard let file = FileHandle(forReadingAtPath: list),
            let data = try? file.readToEnd() ?? Data()
        else { return .unknown }
        let found = find(lock, in: String(decoding: data, as: UTF8.self))
        if found == .nobody, !isFirstNamespace(namespace) { return ask(path, on: disk) }
        return found
    }

    /// Whether the list names the locks of all processes: the kernel's first namespace has a fixed number.
    private static func isFirstNamespace(_ path: String) -> Bool {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) == "pid:[4026531836]"
    }

    /// Takes the lock for a moment.
    private static func ask(_ path: String, on disk: any Disk) -> Finding {
        do throws(SystemError) {
            return try disk.lock(path).taken == nil ? .unknown : .nobody
        } catch {
            return .unknown
        }
    }

    static func find(_ lock: KernelFile, in list: String) -> Finding {
        for line in list.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 6, fields[1] == "FLOCK", fields[3] == "WRITE",
                lock.isNamed(fields[5]), let process = Int(fields[4])
            else { continue }
            return .process(process)
        }
        return .nobody
    }
}
