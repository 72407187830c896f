public import WriteBehindCore
import WriteBehindSQLite

extension StoreDatabase {
    /// A SQLite database.
    ///
    /// - Parameters:
    ///   - path: where it is; by default `database.sqlite` in the store's directory.
    ///   - name: what health and metrics call it.
    public static func sqlite(_ path: String? = nil, named name: String = "sqlite") -> StoreDatabase
    {
        StoreDatabase(name) { configuration in
            SQLiteOpener(
                SQLiteOptions(
                    readers: configuration.readers, pageMemory: configuration.cacheLimit / 4),
                path: path.map { (try? Store.absolute($0)) ?? $0 })
        }
    }
}
