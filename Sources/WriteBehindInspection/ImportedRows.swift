import EventLog
import Synchronization
import WriteBehind
package import WriteBehindCore
import WriteBehindSQLite

/// Writes rows of a file into a table, through the log.
package final class RowImporter: Sendable {
    /// The result of an import.
    package struct Report: Sendable {
        /// How many rows are in the log.
        package var rows: Int
        /// How many of them the database refused.
        package var quarantined: Int
        package var close: CloseReport
    }

    private let store: Store
    private let table: TableDefinition
    /// The end of the log before the first row.
    private let start: UInt64
    private let written = Atomic<Int>(0)

    /// Opens the store for writing and declares the table.
    ///
    /// - Parameter schema: the schema of the table. It may be the one that the store already has.
    package init(
        store path: String, schema: TableSchema, _ opener: (any SinkOpener)? = nil
    ) throws {
        store = try Store(
            at: path, configuration: .forTools,
            environment: try ToolStore.environment(path, opener, .forTools))
        guard !schema.isShared else {
            throw SchemaError(
                table: schema.name,
                .unfitForSharing("it takes no rows, because other stores count into it; add to it"))
        }
        table = try store.engine.declare(schema)
        start = store.engine.log.lastSequence
    }

    /// How many rows the log has taken.
    package var rowCount: Int { written.load(ordering: .relaxed) }

    /// Puts a row: one value for each column, in schema order.
    package func put(_ values: [StoredValue]) async throws {
        let (key, row) = try RowCodec.encode(values, table.schema)
        while true {
            do {
                _ = try store.engine.write(
                    .put, table: UInt16(table.id), key: key.span, body: row.span)
                written.wrappingAdd(1, ordering: .relaxed)
                return
            } catch StoreError.backlogFull {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// Makes everything durable and brings the database up to date, then closes the store.
    package func close() async throws -> Report {
        try await store.waitForAll(.durable)
        let report = try await store.close(deadline: .seconds(600))
        // Each row is a commit of its own.
        let refused = store.quarantine.list().count { $0.sequence > start }
        return Report(rows: rowCount, quarantined: refused, close: report)
    }
}
