import EventLog
import WriteBehindCore

// Tables as their define records say: made, adopted, or given the columns they lack.

extension PostgreSQLSink {
    @discardableResult
    func define(
        _ table: TableDefinition, through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes {
        do throws(SinkError) {
            let old = state.withLock { $0.tables[table.id] }
            let new = try transaction(through: through) { writer throws(SinkError) in
                try TableDefiner(writer.connection, options, store).write(table, after: old)
            }
            state.withLock { $0.tables[table.id] = new }
        } catch {
            guard error.isRefusalOfDefinition else { throw error }
            return try refuse(table, through: through, error)
        }
        try checkTables()
        try makeIndices()
        return QuarantineIndex.Changes()
    }

    /// Puts a definition into quarantine: later commits of the table follow it there, and all others go on.
    private func refuse(
        _ table: TableDefinition, through: Watermark, _ error: SinkError
    ) throws(SinkError) -> QuarantineIndex.Changes {
        var index = quarantine
        index.add(
            QuarantinedCommit(
                definition: table, at: through.sequence, refused: error, now: options.now()))
        let changes = index.takeChanges()
        try transaction(through: through) { writer throws(SinkError) in
            try QuarantineTables(writer.connection, store).save(changes, of: index)
        }
        state.withLock { [index] in $0.quarantine = index }
        return changes
    }

    /// Looks for what others have made of the store's tables, and for the order that foreign keys give them.
    func checkTables() throws(SinkError) {
        let tables = state.withLock(\.tables)
        guard !tables.isEmpty else { return }
        let levels = try withWriter { writer throws(SinkError) in
            for table in tables.values.sorted(by: { $0.definition.id < $1.definition.id }) {
                let differences = try TableShape.differences(from: table, writer.connection)
                guard differences.isEmpty else { throw TableShape.refusal(table, differences) }
            }
            return try TableShape.levels(of: tables, writer.connection)
        }
        state.withLock { $0.levels = levels }
    }

    /// Makes the declared indices that are not there. Those that the rows do not allow are left out, and health names them:
    /// unique ones that rows break, and ones that a value is too long for. They are tried again at the next opening and
    /// whenever quarantine is retried. Before a database is filled, none is made: a snapshot may hold such rows.
    func makeIndices() throws(SinkError) {
        let (all, isFilled) = state.withLock { ($0.tables, $0.watermark.sequence > 0) }
        let tables = all.filter { !$0.value.schema.sqlIndices.isEmpty }
        guard isFilled, !tables.isEmpty else {
            return state.withLock { ($0.leftOut, $0.indexFault) = ([:], nil) }
        }
        var leftOut: [UInt32: [SQLIndexDefinition]] = [:]
        var fault: String?
        for (id, table) in tables {
            for (name, index, sql) in table.indices(store) where try !holds(name) {
                do throws(SinkError) {
                    try transaction(through: nil) { writer throws(SinkError) in
                        _ = try writer.connection.patiently { () throws(SinkError) in
                            try writer.connection.run(sql)
                        }
                    }
                } catch {
                    guard error.kind == .constraint else { throw error }
                    if error.sqlState == "23505" {
                        leftOut[id, default: []].append(index)
                    } else {
                        fault =
                            "the index on \(index.columns.joined(separator: ", ")) of table "
                            + "\(table.schema.name) could not be made: \(error.message)"
                    }
                }
            }
        }
        state.withLock { [leftOut, fault] in ($0.leftOut, $0.indexFault) = (leftOut, fault) }
    }

    private func holds(_ index: String) throws(SinkError) -> Bool {
        var parameters = PostgreSQLParameters()
        parameters.append("\(quoted(options.namespace)).\(quoted(index))")
        let question = parameters
        return try withWriter { writer throws(SinkError) in
            try writer.connection.run(
                "SELECT 1 FROM pg_class WHERE oid = to_regclass($1::text)", question
            ).rowCount > 0
        }
    }
}
