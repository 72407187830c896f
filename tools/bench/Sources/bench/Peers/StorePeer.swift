import Foundation
import Logging
import WriteBehind

/// WriteBehind as a key-value store, through its public interface.
final class StorePeer: Peer {
    let store: Store
    let table: StoredTable<KeyValue>

    init(_ directory: String, _ configuration: StoreConfiguration) throws {
        store = try Store(at: directory + "/store", configuration: configuration)
        table = try store.keyValues()
    }

    convenience init(_ directory: String, materializes: Bool = false, keys: Int = 0) throws {
        try self.init(directory, Self.configuration(materializes, keys: keys))
    }

    /// - Parameter database: another one than SQLite.
    init(
        _ directory: String, _ database: StoreDatabase, materializes: Bool, keys: Int = 0
    ) async throws {
        store = try await Store(
            at: directory + "/store", database: database,
            configuration: Self.configuration(materializes, keys: keys))
        table = try store.keyValues()
    }

    /// The defaults, with memory for all rows of the bench, which the peers have as well.
    ///
    /// - Parameter materializes: whether the database follows; otherwise the log alone is measured.
    static func configuration(_ materializes: Bool, keys: Int = 0) -> StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.cacheLimit = max(4 << 30, keys * 280)
        configuration.dirtyLimit = configuration.cacheLimit / 4 * 3
        configuration.logger.logLevel = .critical
        if !materializes {
            configuration.materializeInterval = .seconds(86_400)
            configuration.batchRecords = 1 << 40
        }
        return configuration
    }

    func session(durable: Bool) -> any Session { StoreSession(table) }

    func close() async throws { try await store.close(deadline: .zero) }
}

private final class StoreSession: Session {
    private let table: StoredTable<KeyValue>

    init(_ table: StoredTable<KeyValue>) { self.table = table }

    func put(_ key: Bytes, _ value: Bytes) throws {
        try table.put(value.span, for: key.span)
    }

    func get(_ key: Bytes) throws -> Int? {
        try table.withCached(key.span) { $0.count }
    }
}
