/// A store opened to deal with what its database refused.
package final class QuarantineDesk: Sendable {
    private let store: Store

    package init(store path: String) async throws {
        store = try await Store(at: path, configuration: .forTools)
    }

    package func list() -> [Quarantine.Entry] { store.quarantine.list() }

    /// Tries all of quarantine again.
    ///
    /// - Returns: what the database took.
    package func retry() async throws -> [UInt64] { try await store.quarantine.retry() }

    /// Gives a commit up.
    package func skip(_ sequence: UInt64, reason: String) async throws {
        let receipt = try await store.quarantine.skip(sequence, reason: reason)
        try await store.wait(for: .materialized, receipt)
    }

    /// Puts a corrected row in the place of a commit's.
    ///
    /// - Parameter values: one for each column, in schema order.
    package func patch(
        _ sequence: UInt64, table: TableDefinition, values: [Value], reason: String
    ) async throws {
        let (key, row) = try RowCodec.encode(values, table.schema)
        let receipt = try await store.quarantine.settle(sequence, reason: reason) { transaction in
            transaction.commit.append(
                .put, table: UInt16(table.id), key: key.span, body: row.span)
        }
        try await store.wait(for: .materialized, receipt)
    }

    package func close() async throws { try await store.close() }
}
