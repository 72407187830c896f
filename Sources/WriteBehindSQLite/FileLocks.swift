package import EventLog
import Foundation

/// The locks that processes hold on a file, as the kernel lists them in `/proc/locks`:
///
///     1: POSIX  ADVISORY  WRITE 4711 fe:01:1837465 120 120
///
/// The file itself is never opened to test a lock, because closing it would release all locks of the process on it.
package struct FileLocks: Sendable, Equatable {
    package struct Holder: Sendable, Equatable {
        /// -1 if the lock belongs to no single process.
        package var process: Int
        package var isExclusive: Bool
        /// Bytes of the file.
        package var start: UInt64
        package var end: UInt64

        package func covers(_ byte: UInt64) -> Bool { (start...max(start, end)).contains(byte) }
    }

    package let holders: [Holder]

    /// Empty if the list or the file cannot be read, and in a process namespace that hides the holder.
    package init(of path: String, in list: String = "/proc/locks") {
        let file = KernelFile(of: path) ?? KernelFile(inode: 0, device: nil)
        let data = try? FileHandle(forReadingAtPath: list)?.readToEnd()
        self.init(file, in: String(decoding: data ?? Data(), as: UTF8.self))
    }

    package init(_ file: KernelFile, in list: String) {
        holders = list.split(separator: "\n").compactMap { line in
            // A line with `->` is of a process that waits.
            let fields = line.split(separator: " ")
            guard fields.count >= 8, fields[1] == "POSIX" || fields[1] == "OFDLCK",
                file.isNamed(fields[5]), let process = Int(fields[4]), let start = UInt64(fields[6])
            else { return nil }
            return Holder(
                process: process, isExclusive: fields[3] == "WRITE", start: start,
                end: UInt64(fields[7]) ?? .max)
        }
    }
}

/// Which processes hold a SQLite database's locks.
package struct DatabaseLocks: Sendable, Equatable {
    /// The process that is in a write transaction or has locked the whole database.
    package let writer: Int?
    /// The processes that are in a read transaction, which keeps the WAL from being reset.
    package let readers: [Int]

    /// Bytes of the shared memory beside a database in WAL mode (sqlite.org/walformat.html).
    private static let writeLock: UInt64 = 120
    private static let readLocks: ClosedRange<UInt64> = 123...127

    package init(of database: String) {
        self.init(
            file: FileLocks(of: database), sharedMemory: FileLocks(of: database + "-shm"))
    }

    package init(file: FileLocks, sharedMemory: FileLocks) {
        let exclusive = file.holders.first(where: \.isExclusive)
        let writing = sharedMemory.holders.first {
            $0.isExclusive && $0.covers(Self.writeLock)
        }
        writer = (exclusive ?? writing)?.process
        let reading = sharedMemory.holders.filter { holder in
            Self.readLocks.contains { holder.covers($0) } && !holder.isExclusive
        }
        readers = Set(reading.map(\.process)).sorted()
    }
}

/// A process as `/proc` shows it.
package struct ProcessLook: Sendable, Equatable {
    package let number: Int
    /// Its program; nil if it cannot be seen.
    package let command: String?
    /// `R` running, `S` sleeping, `D` waiting for a disk, `T` stopped, `Z` ended and not yet collected.
    package let state: Character?

    package init(_ number: Int) {
        self.number = number
        let text = try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)
        // 4711 (a name (with brackets)) S 1 …
        guard let text, let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"),
            open < close
        else {
            (command, state) = (nil, nil)
            return
        }
        command = String(text[text.index(after: open)..<close])
        state = text[text.index(after: close)...].first { $0 != " " }
    }

    /// `815 (sqlite3)`
    package var name: String {
        number < 0 ? "unknown" : "\(number)" + (command.map { " (\($0))" } ?? "")
    }
}
