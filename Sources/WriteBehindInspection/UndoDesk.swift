import EventLog
import WriteBehind
package import WriteBehindCore
import WriteBehindSQLite

/// A store that is opened to take a commit back.
package final class UndoDesk: Sendable {
    private let store: Store

    package init(store path: String, _ opener: (any SinkOpener)? = nil) async throws {
        var configuration = StoreConfiguration.forTools
        // Nothing must change the rows between the plan and its commit.
        configuration.expiryInterval = .seconds(365 * 24 * 3600)
        store = try await ToolStore.open(path, opener, configuration)
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
        while true {
            let (commit, reads) = try await changes(of: plan)
            do throws(StoreError) {
                guard let receipt = try store.engine.commit(commit, reads: reads) else { continue }
                try await store.wait(for: .durable, receipt)
                return receipt.firstSequence...receipt.sequence
            } catch {
                guard case .backlogFull = error else { throw error }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// The commit, with the rows before its updates where the log has whole rows, and what was read for that.
    private func changes(
        of plan: UndoPlan
    ) async throws -> (commit: CommitBuilder, reads: [ReadVersion]) {
        var commit = CommitBuilder()
        var reads: [ReadVersion] = []
        for change in plan.changes {
            let kind: ChangeKind =
                switch change.operation {
                case .put: .put
                case .patch: .patch
                case .add: .add
                default: .delete
                }
            let table = UInt16(change.table)
            var before: [UInt8]?
            if kind == .patch, store.engine.tables[change.table]?.schema.changes == .wholeRows {
                let fetched = try await store.engine.fetch(table, change.key)
                before = fetched.body
                reads.append(ReadVersion(table: table, key: change.key, version: fetched.version))
            }
            commit.append(
                kind, table: table, key: change.key.span, body: change.body.span, before: before)
        }
        return (commit, reads)
    }

    @discardableResult
    package func close() async throws -> CloseReport {
        try await store.close(deadline: .seconds(600))
    }
}
