package import EventLog
import Foundation
import WriteBehindCore
import WriteBehindSQLite

/// Finds the process that has a store open for writing, without touching its lock.
///
/// Testing the lock itself means taking it, if only for a moment, and a writer that opens the store in
/// that moment would be refused. Linux lists the holders of all locks in `/proc/locks`:
///
///     1: FLOCK  ADVISORY  WRITE 4711 fe:01:1837465 0 EOF
///
/// In a process namespace, such as a container, the list leaves out the locks of processes outside of it.
/// There, the lock itself is tested if the list names no process.
package struct WriterProbe {
    package enum Finding: Equatable, Sendable {
        case nobody
        case process(Int)
        /// The list cannot be read, so a process may be writing.
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

    /// Whether the list has the locks of all processes, which is so in the kernel's first namespace. Its number is fixed.
    private static func isFirstNamespace(_ path: String) -> Bool {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) == "pid:[4026531836]"
    }

    /// Tests the lock by taking it for a moment.
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
