import EventLog
import Foundation
package import GRDB
import Glibc
package import WriteBehindCore

/// Reads a store's database from another process: makes and changes no file beside it, and needs no permission to write.
///
/// | what is there | how it is read |
/// |---|---|
/// | a writer has the store open | in place, beside it |
/// | neither a WAL nor a journal | in place, as `immutable`: SQLite makes no WAL and no index of one |
/// | a WAL with its index, left by a writer that was killed | in place |
/// | a WAL without its index, or a journal | a copy of it, on which SQLite recovers as it would at opening |
package final class DatabaseAccess {
    package let queue: DatabaseQueue
    /// The directory of a copy.
    private let temporary: String?

    private enum Way { case beside, immutable, copy }

    /// - Parameter isLive: whether a writer has the store open.
    package init(_ path: String, isLive: Bool) throws(SinkError) {
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw SinkError(.io, "\(path) cannot be read: permission denied")
        }
        // SQLite would wait for the other end of a FIFO.
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SinkError(.io, "\(path) is no regular file")
        }
        (queue, temporary) = try throwingSinkError {
            switch isLive ? .beside : Self.way(of: path) {
            case .beside: (try Self.open(path), nil)
            case .immutable: (try Self.open(Self.immutable(path)), nil)
            case .copy: try Self.openCopy(of: path)
            }
        }
    }

    deinit {
        try? queue.close()
        if let temporary { try? FileManager.default.removeItem(atPath: temporary) }
    }

    /// Throws if the database's file and its WAL are from different times, as opening does. Not for a database that is being
    /// written, because it may be in the middle of a checkpoint.
    package static func checkFiles(_ db: Database, _ path: String) throws {
        _ = try FileGeneration.check(db, path)
    }

    private static func way(of path: String) -> Way {
        func byteCount(_ suffix: String) -> Int {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path + suffix)
            return (attributes?[.size] as? NSNumber)?.intValue ?? 0
        }
        if byteCount("-journal") > 0 { return .copy }
        if byteCount("-wal") == 0 { return .immutable }
        return byteCount("-shm") > 0 ? .beside : .copy
    }

    private static func immutable(_ path: String) -> String {
        let encoded = path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? path
        return "file:\(encoded)?immutable=1"
    }

    private static func open(_ path: String, isReadOnly: Bool = true) throws -> DatabaseQueue {
        try DatabaseQueue(path: path, configuration: .brief(readonly: isReadOnly, timeout: 2))
    }

    private static func openCopy(of path: String) throws -> (DatabaseQueue, String?) {
        let files = FileManager.default
        let directory = files.temporaryDirectory.path + "/writebehind-" + UUID().uuidString
        try files.createDirectory(
            atPath: directory, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
        do {
            for suffix in ["", "-wal", "-journal"] where files.fileExists(atPath: path + suffix) {
                try files.copyItem(atPath: path + suffix, toPath: directory + "/database" + suffix)
            }
            return (try open(directory + "/database", isReadOnly: false), directory)
        } catch {
            try? files.removeItem(atPath: directory)
            throw error
        }
    }
}
