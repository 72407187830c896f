import WriteBehind
package import WriteBehindCore
import WriteBehindSQLite

/// A store that is opened to deal with the commits in its quarantine.
package final class QuarantineDesk: Sendable {
    private let store: Store

    package init(store path: String, _ opener: (any SinkOpener)? = nil) async throws {
        store = try await ToolStore.open(path, opener)
    }

    package func list() -> [Quarantine.Entry] { store.quarantine.list() }

    /// Tries all of quarantine again.
    package func retry() async throws -> Quarantine.Retried {
        try await store.quarantine.retry()
    }

    /// Gives a commit up.
    package func skip(
        _ sequence: UInt64, reason: String, includingFollowers: Bool
    ) async throws {
        let receipt = try await store.quarantine.skip(
            sequence, reason: reason, includingFollowers: includingFollowers)
        try await store.wait(for: .materialized, receipt)
    }

    /// Replaces a row of a commit by a corrected one.
    ///
    /// - Parameter values: one for each column, in schema order.
    package func correct(
        _ sequence: UInt64, table: TableDefinition, values: [StoredValue], reason: String,
        includingFollowers: Bool
    ) async throws {
        let (key, row) = try RowCodec.encode(values, table.schema)
        let receipt = try await store.quarantine.settle(
            sequence, reason: reason,
            with: Quarantine.Correction(table: UInt16(table.id), key: key, body: row),
            includingFollowers)
        try await store.wait(for: .materialized, receipt)
    }

    package func close() async throws { try await store.close() }
}
