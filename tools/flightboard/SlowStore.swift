import EventLog
import Foundation
import WriteBehind
import WriteBehindSQLite

/// A store with a slow database.
enum SlowStore {
    /// Opens a store whose database takes `delay` seconds more for every transaction.
    ///
    /// No user needs this, so the public API has nothing for it.
    static func open(at path: String, delay: Double) throws -> Store {
        let configuration = StoreConfiguration()
        var environment = StoreEnvironment.machine(readers: configuration.readers)
        // The sink asks for the time once in each transaction. So the wait happens there.
        environment.opener = SQLiteOpener(
            SQLiteOptions {
                Thread.sleep(forTimeInterval: delay)
                return Int64(Date().timeIntervalSince1970 * 1_000_000)
            })
        return try Store(at: path, configuration: configuration, environment: environment)
    }
}
