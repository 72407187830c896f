public import GRDB
public import WriteBehindCore
import WriteBehindSQLite

extension Store {
    /// Keeps tables of your own in the database up to date with a table of the store: each change of a row is applied to
    /// them in the transaction that applies it to the row, exactly once.
    ///
    /// ```swift
    /// try store.project("likes per author", version: 1, of: posts) { db in
    ///     try db.create(table: "likes_per_author") { table in
    ///         table.primaryKey("author", .text)
    ///         table.column("likes", .integer).notNull()
    ///     }
    /// } apply: { change, db in
    ///     …
    /// }
    /// ```
    ///
    /// `apply` is called for every change, in the order of the log, with the row before and after it. All changes of a
    /// commit are in one savepoint. A reader of the database sees the table and the projection as of the same commit.
    ///
    /// A projection that is new, whose version is another one than before, or that has missed something, is built in the
    /// background: `setUp` makes its tables, and all rows of the table come as `put`s. Then it takes the place of the
    /// former one. Both closures use the tables that `setUp` makes and no others, and nothing outside the
    /// database, since what they did may be rolled back and done again.
    ///
    /// If a closure throws, the projection stops and ``Health/projections`` says why. The store's tables go on. See
    /// <doc:Projections>.
    ///
    /// Declare each projection right after its table when the store was opened.
    ///
    /// - Parameters:
    ///   - name: 1 to 255 bytes, which the program uses for one projection.
    ///   - version: another number has it built anew. Change it with either closure.
    ///   - table: the table. Where it is another one than before, the projection is built anew.
    ///   - setUp: makes the tables, and their indices, views and triggers if need be, in an empty database.
    ///   - apply: applies one change. It runs on a thread of the store's own.
    /// - Throws: ``StoreError/projection(name:reason:)`` where a projection of this name was declared since the store was
    ///   opened, or the name cannot be used; ``StoreError/closed(_:)``.
    public func project<Row>(
        _ name: String, version: Int, of table: StoredTable<Row>,
        setUp: @escaping @Sendable (Database) throws -> Void,
        apply: @escaping @Sendable (ProjectedChange<Row>, Database) throws -> Void
    ) throws(StoreError) {
        try declareProjection(name, version: version, of: table) { typed in
            ProjectionEffects(setUp: setUp) { change, db in try apply(typed(change), db) }
        }
    }
}
