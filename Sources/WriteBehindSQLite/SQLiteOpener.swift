import EventLog
package import WriteBehindCore

/// Opens a database in SQLite.
package struct SQLiteOpener: SinkOpener {
    package var options: SQLiteOptions
    /// Where the database is; nil for `database.sqlite` in the store's directory.
    package var path: String?

    package init(_ options: SQLiteOptions = SQLiteOptions(), path: String? = nil) {
        self.options = options
        self.path = path
    }

    package func name(for owner: SinkOwner) -> String { path ?? owner.layout.database }

    package func open(for owner: SinkOwner) throws(SinkError) -> any Sink {
        try SQLiteSink(
            path: name(for: owner), storeID: owner.storeID.bytes, origin: owner.origin,
            disk: owner.disk, projections: owner.projections, options: options)
    }

    package func putAside(for owner: SinkOwner, reason: String) throws(SinkError) {
        // A database at another path may be on another file system, to which no file can be renamed.
        let directory =
            path.map { StoreLayout.directory(of: $0) + "/aside" } ?? owner.layout.aside
        _ = try SQLiteSink.putAside(
            path: name(for: owner), reason: reason, into: directory, disk: owner.disk)
    }
}
