import EventLog
import GRDB
import WriteBehindCore

/// A projection that is being built in its own database file. It gets the rows of the store's database as puts.
///
/// Rows are read in the order of their keys, a page at a time, and between pages the store's database goes on. The
/// projection gets a change of a row that was already read after the change is committed. A change of any other row will be
/// in a later page. So when the last page is read, the projection has seen the rows as they are. If the process ends, the
/// build is lost and starts from the beginning.
///
/// The file is unlinked once it is open, so nothing is left of it, however the process ends.
final class ProjectionBuild {
    /// Why a projection cannot be built.
    struct Trouble: Error {
        var message: String
        /// Whether the machine is the cause, so that another try may succeed.
        var mayPass: Bool

        init(_ message: String, mayPass: Bool = false) {
            (self.message, self.mayPass) = (message, mayPass)
        }

        init(_ error: any Error) {
            if let trouble = error as? Trouble {
                self = trouble
                return
            }
            let isOfTheMachine =
                (error as? DatabaseError)?.isOfTheMachine ?? (error as? SinkError)?.isTransient
            self.init("\(error)", mayPass: isOfTheMachine ?? false)
        }
    }

    let declaration: ProjectionDeclaration
    private let effects: ProjectionEffects
    let scratch: DatabaseQueue
    private var schemaVersion: Int64 = 0
    /// The key of the last row that was read.
    private(set) var cursor: [UInt8]?
    /// Whether all rows were read.
    private(set) var isComplete = false
    private(set) var rowCount = 0

    init(
        _ declaration: ProjectionDeclaration, in scratch: () throws(SinkError) -> DatabaseQueue
    ) throws(Trouble) {
        guard let effects = declaration.effects as? ProjectionEffects else {
            throw Trouble("it is not one for SQLite")
        }
        self.declaration = declaration
        self.effects = effects
        do {
            let scratch = try scratch()
            self.scratch = scratch
            schemaVersion = try scratch.write { db in
                try effects.setUp(db)
                _ = try Self.objects(db)
                return try Self.schemaVersion(db)
            }
        } catch {
            throw Trouble(error)
        }
    }

    private static func schemaVersion(_ db: Database) throws -> Int64 {
        try Int64.fetchOne(db, sql: "PRAGMA schema_version") ?? 0
    }

    /// Gives the projection the rows behind ``cursor``.
    func read(_ page: ScannedRows, isLast: Bool, at time: UInt64) throws(Trouble) {
        try apply(
            page.rows.map { row in
                RowTransition(
                    table: declaration.table, operation: .put, sequence: page.watermark, time: time,
                    key: row.key, old: nil, new: row.columns, isInitial: true)
            })
        rowCount += page.rows.count
        cursor = page.rows.last?.key ?? cursor
        isComplete = isLast
    }

    /// Gives the projection the changes that were committed since the last page.
    func follow(_ changes: [RowTransition]) throws(Trouble) {
        try apply(
            changes.filter { change in
                guard let cursor else { return isComplete }
                return isComplete || change.operation == .clear
                    || !cursor.lexicographicallyPrecedes(change.key)
            })
    }

    private func apply(_ changes: [RowTransition]) throws(Trouble) {
        guard !changes.isEmpty else { return }
        do {
            let version = try scratch.write { db in
                try db.execute(sql: "PRAGMA defer_foreign_keys = ON")
                for change in changes { try effects.apply(change, db) }
                return try Self.schemaVersion(db)
            }
            guard version == schemaVersion else { throw Trouble(SQLiteProjections.changedSchema) }
        } catch {
            throw Trouble(error)
        }
    }
}

extension ProjectionBuild {
    private struct Made {
        var object: ProjectionTable.Object
        var sql: String
    }

    /// Makes the projection's tables in the store's database, in the caller's transaction, and copies their rows.
    /// - Returns: the objects that were made there.
    func install(in db: Database) throws -> [ProjectionTable.Object] {
        try scratch.inDatabase { source in
            let made = try Self.objects(source)
            for table in made where table.object.type == "table" {
                try db.execute(sql: table.sql)
                try Self.copyRows(of: table.object.name, from: source, to: db)
            }
            // After the rows, so that an index is made in one pass, and triggers do not run again.
            for object in made where object.object.type != "table" {
                try db.execute(sql: object.sql)
            }
            return made.map(\.object)
        }
    }

    /// The objects that `setUp` has made. Throws if one of them cannot be in the store's database.
    private static func objects(_ db: Database) throws -> [Made] {
        let kinds = try Row.fetchAll(db, sql: "PRAGMA main.table_list").reduce(into: [:]) {
            $0[$1["name"] as String] = $1["type"] as String
        }
        let made = try Row.fetchAll(
            db,
            sql: """
                SELECT type, name, sql FROM sqlite_master
                WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid
                """
        ).map { row in
            let object = ProjectionTable.Object(type: row[0], name: row[1])
            guard !foldedName(object.name).starts(with: "_writebehind_".utf8) else {
                throw Trouble("the name \(quoted(object.name)) is reserved for the store")
            }
            guard object.type != "table" || kinds[object.name] == "table" else {
                throw Trouble(
                    "table \(quoted(object.name)) of its is virtual: it must be an ordinary one")
            }
            return Made(object: object, sql: row[2])
        }
        try checkForeignKeys(of: made.map(\.object), db)
        return made
    }

    /// A foreign key that points to a table of the store would make the database refuse the store's changes of that table.
    private static func checkForeignKeys(
        of objects: [ProjectionTable.Object], _ db: Database
    ) throws {
        let tables = objects.filter { $0.type == "table" }.map(\.name)
        let made = Set(tables.map(foldedName))
        for table in tables {
            let keys = try Row.fetchAll(db, sql: "PRAGMA foreign_key_list(\(quoted(table)))")
            for key in keys {
                let parent: String = key["table"]
                guard !made.contains(foldedName(parent)) else { continue }
                throw Trouble(
                    """
                    a foreign key of table \(quoted(table)) points to \(quoted(parent)), which is not \
                    a table of the projection's: leave the foreign key out
                    """)
            }
        }
    }

    private static func copyRows(
        of table: String, from source: Database, to db: Database
    ) throws {
        let columns = try Row.fetchAll(source, sql: "PRAGMA table_xinfo(\(quoted(table)))")
            .filter { $0["hidden"] == 0 }.map { quoted($0["name"]) }
        let names = columns.joined(separator: ", ")
        let places = columns.map { _ in "?" }.joined(separator: ", ")
        let insert = try db.makeStatement(
            sql: "INSERT INTO main.\(quoted(table)) (\(names)) VALUES (\(places))")
        let rows = try Row.fetchCursor(source, sql: "SELECT \(names) FROM \(quoted(table))")
        while let row = try rows.next() {
            try insert.execute(arguments: StatementArguments(row.databaseValues))
        }
    }
}
