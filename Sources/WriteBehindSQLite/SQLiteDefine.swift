import EventLog
import GRDB
import Synchronization
package import WriteBehindCore

// Creates and changes tables by their define records.

extension SQLiteSink {
    @discardableResult
    package func define(
        _ table: WriteBehindCore.TableDefinition, through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        do throws(SinkError) {
            try establish(table, through: through)
            return QuarantineIndex.Changes()
        } catch {
            guard error.isRefusalOfDefinition else { throw error }
            return try refuse(table, through: through, error)
        }
    }

    package func objection(to table: WriteBehindCore.TableDefinition) -> SchemaError? {
        guard let names = writer.withLock({ $0?.userNames.withLock { $0 } }) else { return nil }
        return names.objection(to: table, after: state.withLock { $0.tables[table.id]?.schema })
    }

    /// Puts a definition in place.
    private func establish(_ table: WriteBehindCore.TableDefinition, through: Watermark)
        throws(SinkError)
    {
        let old = state.withLock { $0.tables[table.id] }
        if let old, old.schema.hasOtherNames(in: table.schema), let aside = try aside() {
            // Users' objects that are carried over belong to the table in its new form. If they were made before, they might
            // use another column that still has the name.
            try dropCarriedOver(["index", "trigger", "view"])
            state.withLock { $0.waiting = aside.statements }
        }
        state.withLock { $0.definers += 1 }
        defer { state.withLock { $0.definers -= 1 } }
        let (sql, version) = try transaction(through: through) { db, writer throws(SinkError) in
            let sql = try Self.write(table, after: old, db)
            return (sql, try throwingSinkError { try writer.versionWithoutTriggers(db) })
        }
        try show([sql], checkedAt: version)
    }

    /// Stores a definition and changes its table to match, in the caller's transaction.
    /// - Returns: the table as it is now.
    static func write(
        _ table: WriteBehindCore.TableDefinition, after old: TableSQL?, _ db: Database
    ) throws(SinkError) -> TableSQL {
        // A later definition may already be applied, after this one was refused. It includes everything of this one.
        if let old, old.definition.revision > table.revision { return old }
        return try throwingSinkError {
            try change(db, from: old?.definition, to: table)
            let schema = String(decoding: table.json(), as: UTF8.self)
            try db.execute(
                sql: """
                    INSERT INTO _writebehind_table (id, name, schema) VALUES (?, ?, ?)
                    ON CONFLICT (id)
                    DO UPDATE SET name = excluded.name, schema = excluded.schema
                    """, arguments: [Int64(table.id), table.schema.name, schema])
            return TableSQL(definition: table)
        }
    }

    /// Uses tables that were made or changed, once that is committed.
    func show(_ changed: [TableSQL], checkedAt version: Int64?) throws(SinkError) {
        let tables = state.withLock { state in
            for sql in changed { state.tables[sql.definition.id] = sql }
            return state.tables
        }
        try withWriter { db, writer in
            writer.use(tables, checkedAt: version)
            // An existing trigger may write the new table. Later transactions would find
            // that too, but here the error comes with its cause.
            try writer.check(db)
        }
        try makeWaiting()
        try noteLeftOut(changed)
    }

    /// Puts a definition into quarantine, as a commit that touches all rows of its table: later commits of the
    /// table follow it there, and all others go on.
    private func refuse(
        _ table: WriteBehindCore.TableDefinition, through: Watermark, _ error: SinkError
    ) throws(SinkError) -> QuarantineIndex.Changes {
        var index = quarantine
        index.add(
            QuarantinedCommit(
                definition: table, at: through.sequence, refused: error, now: options.now()))
        let changes = index.takeChanges()
        try transaction(through: through) { db, _ throws(SinkError) in
            try QuarantineTable(db).save(changes, of: index)
        }
        state.withLock { $0.quarantine = index }
        return changes
    }

    private static func change(
        _ db: Database, from old: WriteBehindCore.TableDefinition?,
        to new: WriteBehindCore.TableDefinition
    ) throws {
        let sql = TableSQL(definition: new)
        guard let old else {
            try db.execute(sql: sql.create)
            if let index = sql.createExpiryIndex { try db.execute(sql: index) }
            try makeIndices(sql, db)
            return
        }
        _ = try new.schema.change(from: old.schema)  // throws where rows would be left unreadable
        let expiresOtherwise = new.schema.expiryIndex != old.schema.expiryIndex
        if expiresOtherwise { try db.execute(sql: sql.dropExpiryIndex) }
        let wanted = Set(sql.indices().map(\.name))
        for (name, _, _) in TableSQL(definition: old).indices() where !wanted.contains(name) {
            try db.execute(sql: "DROP INDEX IF EXISTS \(name)")
        }
        try drop(db, from: old.schema, to: sql)
        try rename(db, from: old.schema, to: sql)
        try redeclare(db, from: old, to: sql)
        try reindex(db, from: old.schema, to: sql)
        for column in new.schema.columns[old.schema.columns.count...] {
            try db.execute(sql: sql.add(column))
            try setDefault(of: column, in: sql, db)
        }
        if expiresOtherwise, let index = sql.createExpiryIndex { try db.execute(sql: index) }
        try makeIndices(sql, db)
    }

    private static func drop(
        _ db: Database, from old: WriteBehindCore.TableSchema, to new: TableSQL
    ) throws {
        for (was, column) in zip(old.columns, new.schema.columns)
        where column.isDropped && !was.isDropped {
            try db.execute(sql: "ALTER TABLE \(new.name) DROP COLUMN \(quoted(was.name))")
        }
    }

    /// SQLite renames a column in users' indices, views and triggers, too.
    private static func rename(
        _ db: Database, from old: WriteBehindCore.TableSchema, to new: TableSQL
    ) throws {
        let renamed = zip(old.columns, new.schema.columns).filter {
            !$1.isDropped && !isSameName($0.name, $1.name)
        }
        func rename(_ name: String, _ other: String) throws {
            try db.execute(
                sql: "ALTER TABLE \(new.name) RENAME COLUMN \(quoted(name)) TO \(quoted(other))")
        }
        // A column may take the former name of another one.
        let step = renamed.count == 1 ? nil : "_writebehind_renamed_"
        if let step {
            for (index, pair) in renamed.enumerated() {
                try rename(pair.0.name, step + "\(index)")
            }
        }
        for (index, pair) in renamed.enumerated() {
            try rename(step.map { $0 + "\(index)" } ?? pair.0.name, pair.1.name)
        }
    }

    /// Changes the declarations of columns whose rows stay as they are.
    private static func redeclare(
        _ db: Database, from old: WriteBehindCore.TableDefinition, to new: TableSQL
    ) throws {
        let was = TableSQL(definition: old)
        let kept = zip(old.schema.columns, new.schema.columns).filter { !$1.isDropped }
        let changed = kept.filter {
            was.declaration($0, named: $1.name) != new.declaration($1)
        }
        guard !changed.isEmpty || was.options != new.options else { return }
        let text = try String.fetchOne(
            db,
            sql: "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
            arguments: [new.schema.name])
        guard let text, var table = TableText(text) else {
            throw SinkError(.schema, "table \(new.name) is missing")
        }
        for (_, column) in changed {
            guard table.declare(column.name, as: new.declaration(column)) else {
                throw SinkError(
                    .schema, "table \(new.name) has no column \(quoted(column.name))")
            }
        }
        table.setOptions(new.options)
        let version = try Int64.fetchOne(db, sql: "PRAGMA schema_version") ?? 0
        try db.execute(sql: "PRAGMA writable_schema = ON")
        // Reads the schema again, too.
        defer { try? db.execute(sql: "PRAGMA writable_schema = RESET") }
        try db.execute(
            sql:
                "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ? COLLATE NOCASE",
            arguments: [table.sql, new.schema.name])
        // This makes other connections read the schema again.
        try db.execute(sql: "PRAGMA schema_version = \(version + 1)")
    }

    /// SQLite reads an integer in a column of reals as a real, because it stores whole numbers there that way. But in an
    /// index it would compare the value as an integer.
    private static func reindex(
        _ db: Database, from old: WriteBehindCore.TableSchema, to new: TableSQL
    ) throws {
        let isWidened = zip(old.columns, new.schema.columns).contains {
            $0.type != $1.type && !$1.isDropped
        }
        if isWidened { try db.execute(sql: "REINDEX \(new.name)") }
    }

    /// SQLite does not always parse a number as the nearest real. Rows that are older than the
    /// column must have the exact default, as in the log and in memory.
    private static func setDefault(
        of column: ColumnSchema, in sql: TableSQL, _ db: Database
    ) throws {
        guard case .real(let number)? = column.defaultValue else { return }
        let literal = TableSQL.literal(.real(number))
        guard try Double.fetchOne(db, sql: "SELECT \(literal)") != number else { return }
        try db.execute(
            sql: "UPDATE \(sql.name) SET \(quoted(column.name)) = ?", arguments: [number])
    }
}

extension WriteBehindCore.TableSchema {
    /// Whether a column is dropped or renamed in a later definition.
    fileprivate func hasOtherNames(in new: WriteBehindCore.TableSchema) -> Bool {
        zip(columns, new.columns).contains { !isSameName($0.name, $1.name) }
    }
}

extension SinkError {
    /// Whether SQLite itself refuses a definition because of something that users have made in the database, such as a name
    /// that is taken.
    var isRefusalOfDefinition: Bool {
        code != 0 && (kind == .schema || kind == .constraint)
    }
}
