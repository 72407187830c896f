import EventLog
import GRDB
package import WriteBehindCore

// The users' objects of a database that was put aside are made again in the database that replaces it. Tables, indices,
// views and triggers come before the rows, so that a unique index or a trigger sends the same commits to quarantine as
// before.

extension SQLiteSink {
    package func aside() throws(SinkError) -> AsideDatabase? {
        do throws(SystemError) {
            return try AsideDatabase.read(path, on: disk)
        } catch {
            throw SinkError(.io, "\(error)")
        }
    }

    /// Makes the objects that wait and can be made by now. Called when the database opens and after each definition.
    func makeWaiting() throws(SinkError) {
        let waiting = state.withLock(\.waiting)
        guard !waiting.isEmpty else { return }
        let failures = try make(waiting)
        state.withLock { $0.waiting = failures.map(\.statement) }
    }

    /// Ends carrying over: makes the objects that still wait, copies the rows of users' tables that no trigger fills, and
    /// forgets the database that was put aside. Statements that failed stay in the carry-over file, and are tried again at
    /// the next opening.
    package func carryOver() throws(SinkError) -> [CarryFailure] {
        guard var aside = try aside() else { return [] }
        var failures = try make(aside.statements)
        aside.statements = failures.map(\.statement)
        let (copied, refused) = try copyRows(aside)
        aside.tables.removeAll { copied.contains($0) }
        failures += refused
        state.withLock { $0.waiting = [] }
        do throws(SystemError) {
            if failures.isEmpty, aside.problem == nil {
                try AsideDatabase.remove(path, on: disk)
            } else {
                try aside.write(path, on: disk)
            }
        } catch {
            throw SinkError(.io, "\(error)")
        }
        return failures
    }

    /// Drops the indices and triggers that were carried over, and objects with the name of a table, because rows and
    /// definitions that they refuse cannot go to quarantine if the log no longer holds them.
    package func dropCarriedOver(named names: [String]) throws(SinkError) {
        try dropCarriedOver(["index", "trigger"], named: names)
        try dropUniqueIndices()
    }

    /// Drops objects of these types, or names, that were carried over.
    func dropCarriedOver(_ types: Set<String>, named names: [String] = []) throws(SinkError) {
        guard let aside = try aside() else { return }
        let names = Set(names.map(foldedName))
        try withWriter { db, writer in
            for statement in aside.statements {
                let made = try Row.fetchOne(
                    db,
                    sql: "SELECT type, name FROM sqlite_master WHERE sql = ?",
                    arguments: [statement])
                guard let made,
                    types.contains(made[0]) || names.contains(foldedName(made[1]))
                else { continue }
                try db.execute(sql: "DROP \(made[0] as String) \(quoted(made[1]))")
            }
        }
    }

    /// Runs each statement by itself.
    /// - Returns: the statements that this database does not take, or with which the
    ///   store's own statements would fail (a trigger whose table does not exist). They are left out.
    private func make(_ statements: [String]) throws(SinkError) -> [CarryFailure] {
        try withWriter { db, writer in
            var failures: [CarryFailure] = []
            for statement in statements where try !Self.holds(statement, db) {
                do {
                    try db.inTransaction(.immediate) {
                        try db.execute(sql: statement)
                        try writer.recompile()
                        return .commit
                    }
                    try dropNewestUnlessSafe(db, writer)
                } catch {
                    let error = SinkError(wrapping: error)
                    // The statement is not the cause.
                    if error.isTransient || error.kind == .corrupt { throw error }
                    failures.append(CarryFailure(statement: statement, reason: "\(error)"))
                }
            }
            return failures
        }
    }

    /// Whether the object was already made, by a call that was interrupted.
    private static func holds(_ statement: String, _ db: Database) throws -> Bool {
        try Bool.fetchOne(
            db, sql: "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE sql = ?)",
            arguments: [statement]) ?? false
    }

    /// Drops the newest trigger if it writes the store's tables. That can be seen only after it is committed.
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

    /// Copies the rows of users' tables, each in a transaction of its own.
    /// - Returns: the tables that need nothing more, and what could not be copied.
    private func copyRows(
        _ aside: AsideDatabase
    ) throws(SinkError) -> (done: Set<String>, failures: [CarryFailure]) {
        guard !aside.tables.isEmpty else { return ([], []) }
        return try withWriter { db, writer in
            let filled = Set(writer.tablesOfTriggers.map(foldedName))
            var done: Set<String> = []
            var failures: [CarryFailure] = []
            for table in aside.tables {
                do {
                    if !filled.contains(foldedName(table)) {
                        try Self.copyRows(of: table, from: aside.path, db)
                    }
                    done.insert(table)
                } catch {
                    let error = SinkError(wrapping: error)
                    if error.kind == .busy || error.kind == .diskFull { throw error }
                    // The damage is in the database that was put aside.
                    failures.append(
                        CarryFailure(
                            statement: "the rows of table \(quoted(table))", reason: "\(error)"))
                }
            }
            return (done, failures)
        }
    }

    private static func copyRows(of table: String, from path: String, _ db: Database) throws {
        let name = quoted(table)
        try db.execute(sql: "ATTACH \(quoted(path, "'")) AS writebehind_aside")
        defer { try? db.execute(sql: "DETACH writebehind_aside") }
        try db.inTransaction(.immediate) {
            // Rows that are there were copied before a crash, which came before the copy was recorded.
            guard try Row.fetchOne(db, sql: "SELECT 1 FROM main.\(name) LIMIT 1") == nil else {
                return .rollback
            }
            try db.execute(
                sql: "INSERT INTO main.\(name) SELECT * FROM writebehind_aside.\(name)")
            return .commit
        }
    }
}
