import Foundation
@_exported public import WriteBehindCore

extension StoreDatabase {
    /// A PostgreSQL database, version 14 or newer.
    ///
    ///     let store = try await Store(at: "game", database: .postgreSQL("postgresql:///game?host=/run/postgresql"))
    ///
    /// The store makes its tables in a schema of the database, with each column in the type that is natural for it, and
    /// tables of its own in the schema `writebehind`. While the server is gone, writes go on, and reads of rows that are
    /// not in memory throw ``StoreError/database(_:)``.
    ///
    /// - Parameters:
    ///   - address: a `postgresql://` URL, or libpq's `key=value` words. Passwords are better in a file `~/.pgpass`.
    ///   - schema: the schema of the tables; it must exist.
    ///   - name: what health and metrics call it.
    public static func postgreSQL(
        _ address: String, schema: String = "public", named name: String = "postgresql"
    ) -> StoreDatabase {
        StoreDatabase(name) { configuration in
            var options = PostgreSQLOptions(address) {
                Int64(Date().timeIntervalSince1970 * 1_000_000)
            }
            options.namespace = schema
            options.readers = max(1, configuration.readers)
            return PostgreSQLOpener(options)
        }
    }
}
