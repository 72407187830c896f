import EventLog
import GRDB
package import WriteBehindCore
import WriteBehindSQLite

/// The room of a store's tables in its database, with their indices, in bytes of whole pages.
package struct TableSizes: Sendable, Equatable {
    package struct Size: Sendable, Equatable {
        package var table: String
        package var bytes: Int
    }

    /// The tables, biggest first, with SQLite's and the store's own tables.
    package let tables: [Size]
    /// Pages that are not used at present.
    package let free: Int
    package var total: Int { tables.reduce(free) { $0 + $1.bytes } }

    /// Reads every page of the database.
    package init(_ store: StoreInspection) throws(SinkError) {
        let access = try DatabaseAccess(store.layout.database, isLive: store.isLive)
        (tables, free) = try throwingSinkError {
            try access.queue.read { db in
                let rows = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT coalesce(tbl_name, s.name) AS owner, sum(pgsize) AS bytes
                        FROM dbstat s LEFT JOIN sqlite_schema m ON m.name = s.name
                        WHERE aggregate = TRUE GROUP BY owner ORDER BY bytes DESC, owner
                        """)
                let unused = try Int.fetchOne(
                    db,
                    sql: """
                        SELECT freelist_count * page_size
                        FROM pragma_freelist_count, pragma_page_size
                        """)
                return (rows.map { Size(table: $0[0], bytes: $0[1]) }, unused ?? 0)
            }
        }
    }

    /// The bytes of one table; nil if the database does not have it.
    package func bytes(of table: String) -> Int? { tables.first { $0.table == table }?.bytes }
}
