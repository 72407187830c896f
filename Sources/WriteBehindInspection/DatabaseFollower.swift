import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Keeps a second database current with a store that another process writes.
package final class DatabaseFollower: Sendable {
    private let sink: SQLiteSink
    private let materializer: Materializer
    private let observer = Observer()

    /// - Parameter path: a database that ``Replay`` made of this store, all tables of it.
    package init(_ store: StoreInspection, database path: String) throws {
        let identity = store.environment.storeID
        sink = try SQLiteSink(
            path: path, storeID: identity.bytes,
            origin: Watermark(startOf: identity),
            disk: store.environment.disk)
        materializer = Materializer(
            log: ForeignLog(store.environment), sink: sink, watermark: try sink.watermark(),
            limits: Materializer.Limits(StoreConfiguration()), observer: observer)
    }

    package var watermark: UInt64 { materializer.watermark.sequence }

    /// Applies the log that is readable.
    ///
    /// - Returns: whether there was something to apply.
    /// - Throws: the reason why it cannot go on.
    package func step() throws -> Bool {
        let before = watermark
        while case .stepAgain = materializer.step() {}
        if let failure = observer.failure.withLock({ $0 }) { throw failure }
        return watermark > before
    }

    package func close() throws { try sink.close() }

    private final class Observer: Materializer.Observer {
        let failure = Lock<(any Error)?>(nil)

        func didChangeQuarantine(_ changes: QuarantineIndex.Changes) {}
        func didApply(_ applied: Materializer.Applied) { failure.withLock { $0 = nil } }
        func didReplaceSink(_ watermark: Watermark) {}
        func catchUp(_ watermark: Watermark) {}
        /// A busy database is tried again. Any other error, or one that lasts, is reported.
        func didFail(_ error: any Error, attempts: Int) {
            if let error = error as? SinkError, error.isTransient, attempts < 20 { return }
            failure.withLock { $0 = error }
        }
    }
}
