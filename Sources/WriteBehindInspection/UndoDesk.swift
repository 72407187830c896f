import EventLog
import WriteBehind
package import WriteBehindCore
import WriteBehindSQLite

/// A store that is opened to take a commit back.
package final class UndoDesk: Sendable {
    private let store: Store

    package init(store path: String) async throws {
        var configuration = StoreConfiguration.forTools
        // Nothing must change the rows between the plan and its commit.
        configuration.expiryInterval = .seconds(365 * 24 * 3600)
        store = try await Store(at: path, configuration: configuration)
    }

    /// The plan that takes back the commit that holds this sequence.
    package func plan(_ sequence: UInt64) async throws -> UndoPlan {
        try await store.waitForAll(.durable)
        let log = store.engine.log
        let history = StoreHistory.spilling(log.environment, readable: log.readable)
        return try UndoPlan(sequence, history, limit: log.commitLimit)
    }

    /// Writes the plan's records as one commit.
    ///
    /// - Returns: the sequences of the commit.
    package func apply(_ plan: UndoPlan) async throws -> ClosedRange<UInt64> {
        var commit = CommitBuilder()
        for change in plan.changes {
            let kind: ChangeKind =
                switch change.operation {
                case .put: .put
                case .patch: .patch
                default: .delete
                }
            commit.append(
                kind, table: UInt16(change.table), key: change.key.span, body: change.body.span)
        }
        while true {
            do throws(StoreError) {
                let receipt = try store.engine.commit(commit)
                try await store.wait(for: .durable, receipt)
                return receipt.firstSequence...receipt.sequence
            } catch {
                guard case .backlogFull = error else { throw error }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    @discardableResult
    package func close() async throws -> CloseReport {
        try await store.close(deadline: .seconds(600))
    }
}
