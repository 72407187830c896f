package import EventLog
package import WriteBehindCore

extension PostgreSQLOpener {
    /// Fills a database in which no store has anything, with tables, rows and their watermark.
    ///
    /// All of it is one transaction, the store's own tables too. Until it is committed, nobody sees anything of it, and if
    /// this process or the server ends before, nothing is left.
    ///
    /// - Throws: `.foreignDatabase` if a store has tables there, this one or another; the server's words if a table is there
    ///   that does not fit, or refuses a row.
    package func fill(
        for store: StoreID, _ tables: [TableDefinition], with changes: some SortedChanges
    ) throws(SinkError) {
        let connection = try PostgreSQLConnection(options, stop: PostgreSQLStop())
        let standby = try connection.run("SELECT pg_is_in_recovery()", PostgreSQLParameters())
        guard !standby.boolean(0, 0) else {
            throw SinkError(.readOnly, "the server is a standby, which cannot be written to")
        }
        try PostgreSQLWriter.inTransaction(connection) { () throws(SinkError) in
            // What is done once may wait for the disk.
            try connection.run("SET LOCAL synchronous_commit = on")
            try StoreTables.makeInTransaction(connection)
            // No other store begins meanwhile.
            try connection.run("LOCK TABLE writebehind.watermark IN SHARE ROW EXCLUSIVE MODE")
            try refuseStores(connection, store)
            let claim = Claim(claims: 1, version: Int64(bitPattern: options.random()))
            _ = try PostgreSQLWriter.write(
                claim, changes.through, isNew: true, connection, store.bytes)
            try write(tables, store, changes, connection)
        }
    }

    private func refuseStores(
        _ connection: PostgreSQLConnection, _ store: StoreID
    ) throws(SinkError) {
        var parameters = PostgreSQLParameters()
        parameters.append(store.bytes)
        let found = try connection.run(
            """
            SELECT s.store = $1::bytea FROM (SELECT store FROM writebehind.watermark UNION \
            SELECT store FROM writebehind.tables) AS s ORDER BY 1 DESC LIMIT 1
            """, parameters)
        guard found.rowCount > 0 else { return }
        throw SinkError(
            .foreignDatabase,
            "it holds tables of \(found.boolean(0, 0) ? "this store" : "another store"); name an empty database"
        )
    }

    private func write(
        _ tables: [TableDefinition], _ store: StoreID, _ changes: some SortedChanges,
        _ connection: PostgreSQLConnection
    ) throws(SinkError) {
        if let table = tables.first(where: \.schema.isShared) {
            throw SinkError(
                .schema,
                "table \(StoredValue.text(table.schema.name)) is shared, and this store's log has only its own part of it; "
                    + "replay into a directory instead")
        }
        let definer = TableDefiner(connection, options, store.bytes)
        var made: [UInt32: PostgreSQLTable] = [:]
        for table in tables { made[table.id] = try definer.write(table, after: nil) }
        // The rows come once, table by table.
        guard try TableShape.levels(of: made, connection).isEmpty else {
            throw SinkError(
                .schema,
                "tables that are there already refer to each other with foreign keys; add these when the rows are in"
            )
        }
        var writer = BatchWriter(connection, made, options, store: store.bytes)
        try writer.apply(changes, levels: [])
        for table in made.values { try makeIndices(of: table, store, connection) }
    }

    /// A unique index that rows break is left out, as in a database that a store fills.
    private func makeIndices(
        of table: PostgreSQLTable, _ store: StoreID, _ connection: PostgreSQLConnection
    ) throws(SinkError) {
        for (_, _, sql) in table.indices(store.bytes) {
            try connection.run("SAVEPOINT writebehind_index")
            do throws(SinkError) {
                _ = try connection.patiently { () throws(SinkError) in try connection.run(sql) }
                try connection.run("RELEASE writebehind_index")
            } catch {
                guard error.kind == .constraint, connection.isUsable else { throw error }
                try connection.run("ROLLBACK TO writebehind_index")
            }
        }
    }
}
