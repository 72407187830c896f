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
        let others = new.schema.isShared ? try otherDefinitions(of: new) : []
        for other in others { try checkFit(new.schema, other) }
        if let old {
            try connection.patiently { () throws(SinkError) in try change(from: old, to: new) }
            if new.schema.isShared {
                let differences = try TableShape.differences(from: new, connection)
                guard differences.isEmpty else { throw TableShape.refusal(new, differences) }
            }
            // Those that read the table have another result by now.
            try connection.forgetPrepared()
        } else if try TableShape.exists(new, connection) {
            try adopt(new, isCounted: !others.isEmpty)
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
        parameters.append(table.schema.isShared)
        do throws(SinkError) {
            // One store at a time, so that a table is not made twice, nor shared by some stores only.
            try connection.run("SELECT pg_advisory_xact_lock(7311146906524573798)")
            let others = try connection.run(
                """
                INSERT INTO writebehind.tables (store, id, namespace, name, revision, definition, shared) \
                VALUES ($1::bytea, $2::bigint, $3::text, $4::text, $5::bigint, $6::text, $7::boolean) \
                ON CONFLICT (store, id) DO UPDATE SET namespace = excluded.namespace, name = excluded.name, \
                revision = excluded.revision, definition = excluded.definition \
                RETURNING EXISTS (SELECT 1 FROM writebehind.tables AS o WHERE o.namespace = $3::text \
                AND o.name = $4::text AND o.shared <> $7::boolean)
                """, parameters)
            guard !others.boolean(0, 0) else { throw Self.taken(table) }
        } catch {
            guard error.sqlState == "23505" else { throw error }
            throw Self.taken(table)
        }
    }

    private static func taken(_ table: PostgreSQLTable) -> SinkError {
        SinkError(
            state: "42P07",
            "table \(table.name) belongs to another store of this database; give this one a schema of its own"
        )
    }

    /// How other stores have defined a shared table, also under a name that is only spelled otherwise.
    private func otherDefinitions(
        of table: PostgreSQLTable
    ) throws(SinkError) -> [TableDefinition] {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        parameters.append(options.namespace)
        parameters.append(table.schema.name)
        let rows = try connection.run(
            """
            SELECT definition FROM writebehind.tables WHERE store <> $1::bytea AND namespace = $2::text \
            AND lower(name) = lower($3::text) AND shared
            """, parameters)
        var definitions: [TableDefinition] = []
        for row in 0..<rows.rowCount {
            let json = rows.bytes(row, 0) ?? []
            do throws(SchemaError) {
                definitions.append(try TableDefinition(json: json.span))
            } catch {
                throw SinkError(.schema, "writebehind.tables: \(error)")
            }
        }
        return definitions
    }

    /// A row must mean the same to all stores that count into it.
    private func checkFit(
        _ schema: TableSchema, _ other: TableDefinition
    ) throws(SinkError) {
        guard let difference = schema.difference(fromShared: other.schema) else { return }
        throw SinkError(
            state: "42P16",
            "the shared table \(quoted(schema.name)) is declared otherwise by another store: \(difference)"
        )
    }

    /// Takes over a table that somebody else made. Its rows would be in no log, so there may be none, unless other stores
    /// count into it.
    private func adopt(_ table: PostgreSQLTable, isCounted: Bool) throws(SinkError) {
        try checkRights(table)
        if table.schema.isShared {
            // The program of the store that made it may be an older one.
            for column in table.schema.columns { try addShared(column, to: table) }
        }
        var differences = try TableShape.differences(from: table, connection)
        if differences.isEmpty, !isCounted,
            try connection.run(table.hasRows).rowCount > 0
        {
            differences = [
                table.schema.isShared
                    ? "it has rows that no store counts into: move them away, and add them in SQL once the table is made"
                    : "it has rows, which are in no log of the store: import them, or empty it"
            ]
        }
        guard differences.isEmpty else { throw TableShape.refusal(table, differences) }
    }

    /// Without them the first batch would stop the store, and not only this table.
    private func checkRights(_ table: PostgreSQLTable) throws(SinkError) {
        var parameters = PostgreSQLParameters()
        parameters.append(table.name)
        let rights = try connection.run(
            """
            SELECT right_ FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS right_ \
            WHERE NOT has_table_privilege(to_regclass($1::text), right_)
            """, parameters)
        guard rights.rowCount > 0 else { return }
        let missing = (0..<rights.rowCount).map { rights.text($0, 0) ?? "" }
        throw SinkError(
            state: "42501",
            "the role may not \(missing.joined(separator: ", ")) in table \(table.name): GRANT it")
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
            if new.schema.isShared {
                try addShared(column, to: new)
            } else {
                try alter(new, "ADD COLUMN \(new.declaration(column))")
            }
        }
        if expiresOtherwise, let index = expiry.sql { try connection.run(index) }
    }

    /// Adds a column to a shared table, unless another store has added it.
    private func addShared(
        _ column: ColumnSchema, to table: PostgreSQLTable
    ) throws(SinkError) {
        var parameters = PostgreSQLParameters()
        parameters.append(table.name)
        parameters.append(column.name)
        // Altering would wait for all that read the table.
        let there = try connection.run(
            """
            SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attname = $2::text \
            AND NOT attisdropped
            """, parameters)
        guard there.rowCount == 0, !column.isKey else { return }
        _ = try connection.patiently { () throws(SinkError) in
            try alter(table, "ADD COLUMN IF NOT EXISTS \(table.declaration(column))")
        }
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
