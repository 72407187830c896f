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
    /// A projection is built in the background if it is new, if its version differs from the one before, or if it has missed
    /// changes: `setUp` makes its tables, and `apply` gets all rows of the table as `put`s. The new tables then replace the
    /// former ones. After a crash, everything goes on at the commit up to which the database is; a build starts over.
    ///
    /// Both closures must use only the tables that `setUp` makes, and nothing outside the database, because their
    /// transaction may be rolled back and run again.
    ///
    /// If a closure throws, the projection stops and ``Health/projections`` says why. The store's tables go on. See
    /// <doc:Projections>.
    ///
    /// After opening the store, declare each projection right after its table.
    ///
    /// - Parameters:
    ///   - name: 1 to 255 bytes of UTF-8, different for each projection.
    ///   - version: if the number differs from before, the projection is built again. Change it whenever you change a
    ///     closure.
    ///   - table: the table. If it is another one than before, the projection is built again.
    ///   - setUp: makes the tables, and their indices, views and triggers if needed, in an empty database.
    ///   - apply: applies one change. It runs on one of the store's threads.
    /// - Throws: ``StoreError/projection(name:reason:)`` if a projection of this name was declared since the store was
    ///   opened, or the name cannot be used; ``StoreError/unknownTable(_:)`` for a table of another store;
    ///   ``StoreError/closed(_:)``.
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
