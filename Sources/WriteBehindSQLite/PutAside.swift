package import EventLog
import Foundation
import GRDB
package import WriteBehindCore

extension AsideDatabase {
    /// More than the file of any user takes.
    private static let byteLimit = 64 << 20

    package static func file(_ database: String) -> String { database + ".carry-over" }

    /// The objects that wait to be made again in a database; nil if there are none.
    static func read(
        _ database: String, on disk: any Disk
    ) throws(SystemError) -> AsideDatabase? {
        let path = file(database)
        guard try disk.exists(path) else { return nil }
        let bytes = try disk.open(path, .read).bytes(byteLimit)
        // It is written as a whole or not at all. If it is damaged, the store must open nevertheless.
        return (try? JSONDecoder().decode(Self.self, from: Data(bytes)))
            ?? AsideDatabase(path: path, statements: [], problem: "\(path) is damaged")
    }

    func write(_ database: String, on disk: any Disk) throws(SystemError) {
        // It holds only strings, which JSON can always represent.
        let bytes = (try? JSONEncoder().encode(self)) ?? Data()
        try disk.replace(Self.file(database), with: Array(bytes))
        try disk.synchronizeDirectory(StoreLayout.directory(of: database))
    }

    static func remove(_ database: String, on disk: any Disk) throws(SystemError) {
        try disk.remove(file(database))
        try disk.synchronizeDirectory(StoreLayout.directory(of: database))
    }
}

extension SQLiteSink {
    /// Moves a database that is not open into a directory of the same file system, as `NAME.REASON`.
    ///
    /// The content of its WAL is copied into it first. After power loss it has one name or
    /// the other. Nothing is deleted.
    ///
    /// - Parameter isOurs: whether the objects that users have made in it will be made again in the new database.
    package static func putAside(
        path: String, reason: String, into directory: String, isOurs: Bool = true, disk: any Disk
    ) throws(SinkError) -> AsideDatabase {
        var aside = AsideDatabase(path: "", statements: [], problem: nil)
        do throws(SystemError) {
            // A database that was being rebuilt may still lack objects of the one before it.
            let waiting = try AsideDatabase.read(path, on: disk)
            let name = path.split(separator: "/").last ?? "database"
            aside.path = try freeName(for: "\(directory)/\(name).\(reason)", disk: disk)
            aside.statements = waiting?.statements ?? []
            aside.tables = waiting?.tables ?? []
            aside.problem = waiting?.problem
        } catch {
            throw SinkError(.io, "\(error)")
        }
        do {
            let known = Set(aside.statements)
            let made = try UserObjects(path)
            if isOurs {
                aside.statements += made.statements.filter { !known.contains($0) }
                // If the database was being rebuilt, the rows of users' tables are still in the one before it.
                if aside.tables.isEmpty { aside.tables = made.tables }
            }
        } catch {
            aside.problem = "\(error)"
        }
        do throws(SystemError) {
            try aside.write(path, on: disk)
            try disk.createDirectory(directory)
            // The WAL and its index belong to the file: without them, transactions would be lost.
            for suffix in ["-wal", "-shm", ""] where try disk.exists(path + suffix) {
                try disk.rename(path + suffix, to: aside.path + suffix)
            }
            try disk.synchronizeDirectory(directory)
            try disk.synchronizeDirectory(StoreLayout.directory(of: path))
        } catch {
            throw SinkError(.io, "\(error)")
        }
        return aside
    }

    private static func freeName(
        for name: String, disk: any Disk
    ) throws(SystemError) -> String {
        var candidate = name
        var count = 1
        while try disk.exists(candidate) {
            count += 1
            candidate = "\(name).\(count)"
        }
        return candidate
    }
}
