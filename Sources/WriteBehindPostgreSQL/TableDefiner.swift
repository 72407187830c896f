import WriteBehindCore

/// Makes tables what their definitions say, in the caller's transaction.
struct TableDefiner {
    private let connection: PostgreSQLConnection
    private let options: PostgreSQLOptions
    private let store: [UInt8]

    init(
        _ connection: PostgreSQLConnection, _ options: PostgreSQLOptions, _ store: [UInt8]
    ) {
        (self.connection, self.options, self.store) = (connection, options, store)
    }

    /// Writes a definition down and makes its table what it says.
    /// - Returns: the table as it is now.
    func write(
        _ definition: TableDefinition, after old: PostgreSQLTable?
    ) throws(SinkError) -> PostgreSQLTable {
        // A later definition of the table may have come after one that was refused, with all that it has.
        if let old, old.definition.revision > definition.revision { return old }
        let new = PostgreSQLTable(definition, in: options.namespace)
        try checkNames(new.schema)
        try own(new)
        if let old {
            try connection.patiently { () throws(SinkError) in try change(from: old, to: new) }
            // Those that read the table have another result by now.
            try connection.forgetPrepared()
        } else if try TableShape.exists(new, connection) {
            try adopt(new)
        } else {
            try connection.run(new.create)
            if let index = new.expiryIndex(store).sql { try connection.run(index) }
        }
        return new
    }

    /// The server cuts names off without a word: two would become one.
    private func checkNames(_ schema: TableSchema) throws(SinkError) {
        let names = [options.namespace, schema.name] + schema.columns.map(\.name)
        guard let name = names.first(where: { $0.utf8.count > 63 }) else { return }
        throw SinkError(
            state: "42622",
            "the name \(StoredValue.text(name)) has more than the 63 bytes that PostgreSQL has room for"
        )
    }

    /// Notes that the table is the store's; refused if it is another's.
    private func own(_ table: PostgreSQLTable) throws(SinkError) {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        parameters.append(Int64(table.definition.id))
        parameters.append(options.namespace)
        parameters.append(table.schema.name)
        parameters.append(Int64(table.definition.revision))
        parameters.append(String(decoding: table.definition.json(), as: UTF8.self))
        do throws(SinkError) {
            _ = try connection.run(
                """
                INSERT INTO writebehind.tables (store, id, namespace, name, revision, definition) \
                VALUES ($1::bytea, $2::bigint, $3::text, $4::text, $5::bigint, $6::text) \
                ON CONFLICT (store, id) DO UPDATE SET namespace = excluded.namespace, name = excluded.name, \
                revision = excluded.revision, definition = excluded.definition
                """, parameters)
        } catch {
            guard error.sqlState == "23505" else { throw error }
            throw SinkError(
                state: "42P07",
                "table \(table.name) belongs to another store of this database; give this one a schema of its own"
            )
        }
    }

    /// Takes over a table that somebody else made. Its rows would be in no log, so there may be none.
    private func adopt(_ table: PostgreSQLTable) throws(SinkError) {
        var differences = try TableShape.differences(from: table, connection)
        if differences.isEmpty, try connection.run(table.hasRows).rowCount > 0 {
            differences = [
                "it has rows, which are in no log of the store: import them, or empty it"
            ]
        }
        guard differences.isEmpty else { throw TableShape.refusal(table, differences) }
    }

    // MARK: changes

    private func change(
        from old: PostgreSQLTable, to new: PostgreSQLTable
    ) throws(SinkError) {
        do throws(SchemaError) {
            // Throws where rows would be left unreadable.
            _ = try new.schema.change(from: old.schema)
        } catch {
            throw SinkError(.schema, "\(error)")
        }
        let expiresOtherwise = new.schema.expiryIndex != old.schema.expiryIndex
        let expiry = new.expiryIndex(store)
        if expiresOtherwise { try connection.run(new.dropIndex(expiry.name)) }
        let wanted = Set(new.indices(store).map(\.name))
        for (name, _, _) in old.indices(store) where !wanted.contains(name) {
            try connection.run(new.dropIndex(name))
        }
        let kept = Array(zip(old.schema.columns, new.schema.columns))
        for (was, column) in kept where column.isDropped && !was.isDropped {
            try alter(new, "DROP COLUMN \(quoted(was.name))")
        }
        try rename(kept, new)
        for (was, column) in kept where !column.isDropped { try redeclare(was, column, new) }
        for column in new.schema.columns[old.schema.columns.count...] {
            try alter(new, "ADD COLUMN \(new.declaration(column))")
        }
        if expiresOtherwise, let index = expiry.sql { try connection.run(index) }
    }

    private func alter(_ table: PostgreSQLTable, _ action: String) throws(SinkError) {
        try connection.run("ALTER TABLE \(table.name) \(action)")
    }

    /// Names in the server are of one case only.
    private func rename(
        _ columns: [(ColumnSchema, ColumnSchema)], _ table: PostgreSQLTable
    ) throws(SinkError) {
        let renamed = columns.filter { !$1.isDropped && $0.name != $1.name }
        func rename(_ name: String, _ other: String) throws(SinkError) {
            try alter(table, "RENAME COLUMN \(quoted(name)) TO \(quoted(other))")
        }
        // One column may take the name that another had.
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

    private func redeclare(
        _ was: ColumnSchema, _ column: ColumnSchema, _ table: PostgreSQLTable
    ) throws(SinkError) {
        let (before, after) = (NaturalType(was), NaturalType(column))
        let name = quoted(column.name)
        if before != after {
            if let differs = before.differs(name, as: after),
                try connection.run("SELECT 1 FROM \(table.name) WHERE \(differs) LIMIT 1").rowCount
                    > 0
            {
                throw .unfit(
                    "table \(table.name) has a value in column \(name) that \(after.declaration) would not give back as it is"
                )
            }
            try alter(table, "ALTER COLUMN \(name) DROP DEFAULT")
            try alter(
                table,
                "ALTER COLUMN \(name) TYPE \(after.declaration) USING \(before.changed(name, to: after))"
            )
        }
        if column.isNullable, !was.isNullable {
            try alter(table, "ALTER COLUMN \(name) DROP NOT NULL")
        }
        guard before != after || was.defaultValue != column.defaultValue else { return }
        if let value = column.defaultValue {
            try alter(table, "ALTER COLUMN \(name) SET DEFAULT \(after.literal(value))")
        } else {
            try alter(table, "ALTER COLUMN \(name) DROP DEFAULT")
        }
    }
}
