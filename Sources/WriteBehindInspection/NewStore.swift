import EventLog
import Foundation
import Logging
import Synchronization
package import WriteBehindCore
import WriteBehindSQLite

/// A new store that the tool writes row by row, with the original times of the rows.
package final class NewStore: Sendable {
    /// The clock of the log. It shows the time of the record that is being written.
    private final class RecordedTime: TimeSource {
        let wall = Atomic<UInt64>(0)
        private let system = SystemTime()

        func wallMilliseconds() -> UInt64 {
            let time = wall.load(ordering: .relaxed)
            return time == 0 ? system.wallMilliseconds() : time
        }
        func monotonicNanoseconds() -> UInt64 { system.monotonicNanoseconds() }
    }

    private let store: Store
    private let time = RecordedTime()

    /// - Parameter path: a directory that does not exist yet, or is empty.
    package init(at path: String) throws {
        var configuration = StoreConfiguration.forTools
        // No caller reads from it, so all memory is for the backlog.
        configuration.cacheLimit = 256 << 20
        var environment = StoreEnvironment.machine(readers: 1)
        environment.time = time
        store = try Store(at: path, configuration: configuration, environment: environment)
    }

    /// Declares a table; numbers follow the order of declaration.
    ///
    /// - Parameter milliseconds: since 1970, at or before the time of the first write, because times never decrease.
    package func define(_ schema: TableSchema, time milliseconds: UInt64) throws -> UInt32 {
        time.wall.store(max(1, milliseconds), ordering: .relaxed)
        // The new store has only what this one counted.
        return try store.engine.declare(schema.unshared).id
    }

    /// Writes a whole row. A sum that does not fit into 64 bits is not written as it is, because a log has no such value: adds
    /// make it again.
    package func put(
        _ table: UInt32, key: [UInt8], body: [UInt8], time milliseconds: UInt64
    ) throws {
        time.wall.store(milliseconds, ordering: .relaxed)
        guard let wide = try WideSums(body) else { return try write(.put, table, key, body) }
        guard let adds = wide.adds else { throw SumTooLarge() }
        try write(.put, table, key, wide.row)
        for add in adds { try write(.add, table, key, add) }
    }

    /// A sum that no store has reached.
    struct SumTooLarge: Error, CustomStringConvertible {
        var description: String { "a row holds a sum that no adds have made" }
    }

    private func write(
        _ kind: ChangeKind, _ table: UInt32, _ key: [UInt8], _ body: [UInt8]
    ) throws {
        try withRoom {
            _ = try store.engine.write(kind, table: UInt16(table), key: key.span, body: body.span)
        }
    }

    /// Deletes a row.
    package func delete(_ table: UInt32, key: [UInt8], time milliseconds: UInt64) throws {
        time.wall.store(milliseconds, ordering: .relaxed)
        try withRoom {
            _ = try store.engine.write(
                .delete, table: UInt16(table), key: key.span, body: Span())
        }
    }

    /// Writes records as one commit. Table numbers are this store's.
    package func commit(_ changes: [LoggedRecord], time milliseconds: UInt64) throws {
        var commit = CommitBuilder()
        for change in changes {
            let table = UInt16(change.table)
            switch change.operation {
            case .put:
                commit.append(.put, table: table, key: change.key.span, body: change.body.span)
            case .patch:
                commit.append(
                    .patch, table: table, key: change.key.span, body: change.body.span,
                    before: change.before)
            case .add:
                commit.append(.add, table: table, key: change.key.span, body: change.body.span)
            case .delete: commit.append(.delete, table: table, key: change.key.span, body: Span())
            case .clear: commit.appendClear(table: table)
            case .mark: commit.appendMark(DecodedRecord(change, Catalog()).text ?? "")
            case .define, .settle, .preamble: break
            }
        }
        guard !commit.isEmpty else { return }
        time.wall.store(milliseconds, ordering: .relaxed)
        try withRoom { _ = try store.engine.commit(commit) }
    }

    /// Waits while the database is too far behind to take more.
    private func withRoom(_ body: () throws -> Void) throws {
        while true {
            do {
                return try body()
            } catch StoreError.backlogFull {
                Thread.sleep(forTimeInterval: 0.01)
            }
        }
    }

    /// Makes everything durable and materialized, and closes the store.
    package func close() async throws {
        try await store.waitForAll(.materialized)
        try await store.close(deadline: .seconds(3600))
    }
}

extension StoreConfiguration {
    /// The configuration for a store that the tool opens: it makes no snapshots and deletes no log by itself.
    package static var forTools: StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.snapshotAfter = nil
        configuration.logKept = .seconds(100 * 365 * 24 * 3600)
        configuration.logBytesKept = .max
        // Errors are thrown or are in a report. Log lines would disturb a progress bar.
        configuration.logger = Logger(label: "writebehind") { _ in SwiftLogNoOpLogHandler() }
        return configuration
    }
}
