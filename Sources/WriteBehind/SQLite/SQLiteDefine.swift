import EventLog
import GRDB
import Synchronization

// Tables as their define records say: created with all columns, or given the columns they lack.

extension SQLiteSink {
    package func define(_ table: TableDefinition, through: Watermark) throws(SinkError) {
        let old = state.withLock { $0.tables[table.id]?.definition }
        let version = try transaction(through: through) { db, writer throws(SinkError) in
            try throwingSinkError {
                try Self.change(db, from: old, to: table)
                let schema = String(decoding: table.json(), as: UTF8.self)
                try db.execute(
                    sql: """
                        INSERT INTO _writebehind_table (id, name, schema) VALUES (?, ?, ?)
                        ON CONFLICT (id)
                        DO UPDATE SET name = excluded.name, schema = excluded.schema
                        """, arguments: [Int64(table.id), table.schema.name, schema])
                return try writer.versionWithoutTriggers(db)
            }
        }
        let tables = state.withLock { state in
            state.tables[table.id] = TableSQL(definition: table)
            return state.tables
        }
        try withWriter { db, writer in
            writer.use(tables, checkedAt: version)
            // A table that an existing trigger writes may have come about. Later transactions find
            // it too; here the error comes with its cause.
            try writer.check(db)
        }
    }

    private static func change(
        _ db: Database, from old: TableDefinition?, to new: TableDefinition
    ) throws {
        let sql = TableSQL(definition: new)
        guard let old else {
            try db.execute(sql: sql.create)
            if let index = sql.createExpiryIndex { try db.execute(sql: index) }
            return
        }
        _ = try new.schema.change(from: old.schema)  // throws where rows would be left unreadable
        for column in new.schema.columns[old.schema.columns.count...] {
            try db.execute(sql: sql.add(column))
        }
        guard new.schema.expiryIndex != old.schema.expiryIndex else { return }
        try db.execute(sql: sql.dropExpiryIndex)
        if let index = sql.createExpiryIndex { try db.execute(sql: index) }
    }
}
