import EventLog

/// Writes rows that come from elsewhere into a table, through the log.
package final class RowImporter: Sendable {
    private let store: Store
    private let table: TableDefinition

    /// Opens the store for writing and declares the table.
    ///
    /// - Parameter schema: as it shall be; one that the store knows already may come back as it is.
    package init(store path: String, schema: TableSchema) throws {
        store = try Store(at: path, configuration: .forTools)
        table = try store.engine.declare(schema)
    }

    /// Puts a row: one value for each column, in schema order.
    package func put(_ values: [Value]) async throws {
        let (key, row) = try RowCodec.encode(values, table.schema)
        while true {
            do {
                _ = try store.engine.write(
                    .put, table: UInt16(table.id), key: key.span, body: row.span)
                return
            } catch StoreError.backlogFull {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// Makes everything durable and brings the database up to date, then lets go of the store.
    package func close() async throws -> CloseReport {
        try await store.waitForAll(.durable)
        return try await store.close(deadline: .seconds(600))
    }
}
