import EventLog
import Synchronization
import WriteBehind
package import WriteBehindCore
import WriteBehindSQLite

/// Writes rows that come from elsewhere into a table, through the log.
package final class RowImporter: Sendable {
    /// The fate of the rows.
    package struct Report: Sendable {
        /// The rows in the log.
        package var rows: Int
        /// The rows among them that the database refused.
        package var quarantined: Int
        package var close: CloseReport
    }

    private let store: Store
    private let table: TableDefinition
    /// Where the log ended before the first row.
    private let start: UInt64
    private let written = Atomic<Int>(0)

    /// Opens the store for writing and declares the table.
    ///
    /// - Parameter schema: the wanted one; a schema that the store has already may be given unchanged.
    package init(store path: String, schema: TableSchema) throws {
        store = try Store(at: path, configuration: .forTools)
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
        // A row is a commit.
        let refused = store.quarantine.list().count { $0.sequence > start }
        return Report(rows: rowCount, quarantined: refused, close: report)
    }
}
