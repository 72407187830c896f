package import EventLog
import GRDB

/// A database that was put aside, and what its users had made of it.
package struct AsideDatabase: Sendable, Equatable {
    /// Where it is now, whole and readable.
    package var path: String
    /// The users' CREATE INDEX, VIEW and TRIGGER statements, in the order they were made.
    package var statements: [String]
    /// Why `statements` may not be all, where the database could not be read.
    package var problem: String?

    package init(path: String, statements: [String], problem: String?) {
        self.path = path
        self.statements = statements
        self.problem = problem
    }
}

/// An index, view or trigger that could not be carried over.
package struct CarryFailure: Sendable, Equatable {
    package var statement: String
    package var reason: String
}

extension SQLiteSink {
    /// Moves a database that is not open out of the way, to `PATH.REASON.aside` beside it.
    ///
    /// Whatever its WAL holds is copied into it first. After power loss it is under the one name or
    /// the other. Nothing is deleted.
    package static func setAside(
        path: String, reason: String, disk: any Disk
    ) throws(SinkError) -> AsideDatabase {
        var aside = AsideDatabase(path: "", statements: [], problem: nil)
        do {
            aside.statements = try userStatements(path)
        } catch {
            aside.problem = "\(error)"
        }
        do throws(SystemError) {
            aside.path = try freeName(for: "\(path).\(reason)", disk: disk)
            // What SQLite left of these belongs to the file; without it they would be lost.
            for suffix in ["-wal", "-shm", ""] where try disk.exists(path + suffix) {
                try disk.rename(path + suffix, to: aside.path + suffix)
            }
            let slash = path.lastIndex(of: "/")
            try disk.synchronizeDirectory(slash.map { String(path[...$0]) } ?? ".")
        } catch {
            throw SinkError(.io, "\(error)")
        }
        return aside
    }

    private static func freeName(
        for name: String, disk: any Disk
    ) throws(SystemError) -> String {
        var candidate = "\(name).aside"
        var count = 1
        while try disk.exists(candidate) {
            count += 1
            candidate = "\(name).\(count).aside"
        }
        return candidate
    }

    /// Reads what users made; closing this last connection folds the WAL into the database.
    private static func userStatements(_ path: String) throws -> [String] {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try queue.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT sql FROM sqlite_master
                    WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL
                      AND name NOT LIKE '\\_writebehind\\_%' ESCAPE '\\'
                    ORDER BY rowid
                    """)
        }
    }

    /// Makes indices, views and triggers again, each on its own.
    /// - Returns: those that this database does not take, or that would get in the way of the
    ///   store's own statements (a trigger whose table is not there). They are left out.
    package func carryOver(_ statements: [String]) throws(SinkError) -> [CarryFailure] {
        try withWriter { db, writer in
            var failures: [CarryFailure] = []
            for statement in statements {
                do {
                    try db.inTransaction(.immediate) {
                        try db.execute(sql: statement)
                        try writer.recompile()
                        return .commit
                    }
                    try dropNewestUnlessSafe(db, writer)
                } catch {
                    failures.append(CarryFailure(statement: statement, reason: "\(error)"))
                }
            }
            return failures
        }
    }

    /// What writes the store's tables shows only once it is committed.
    private func dropNewestUnlessSafe(_ db: Database, _ writer: SQLiteWriter) throws {
        do {
            try writer.check(db)
        } catch {
            let newest = try Row.fetchOne(
                db, sql: "SELECT type, name FROM sqlite_master ORDER BY rowid DESC LIMIT 1")
            if let newest {
                let type: String = newest[0]
                try db.execute(sql: "DROP \(type) \(quoted(newest[1]))")
            }
            throw error
        }
    }
}
