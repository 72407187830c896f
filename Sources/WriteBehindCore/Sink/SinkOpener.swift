package import EventLog

/// Opens a database of one kind. It holds the database's place: a path, or an address.
package protocol SinkOpener: Sendable {
    /// The path or address, for messages.
    func name(for owner: SinkOwner) -> String

    /// The address, if the database is no file that tools find in the store's directory; without what must stay secret.
    var place: String? { get }

    /// Opens the store's database, or creates it with the store's origin as its watermark.
    ///
    /// Throws `.foreignDatabase`, having touched nothing, if the database belongs to another store or to none.
    func open(for owner: SinkOwner) throws(SinkError) -> any Sink

    /// Moves the database, which is not open, out of the way. The next ``open(for:)`` creates an empty one.
    /// Nothing is deleted.
    ///
    /// - Parameter reason: becomes a part of its name.
    func putAside(for owner: SinkOwner, reason: String) throws(SinkError)
}

extension SinkOpener {
    package var place: String? { nil }

    /// The default is for a database that the store does not own.
    package func putAside(for owner: SinkOwner, reason: String) throws(SinkError) {
        throw SinkError(
            .foreignDatabase,
            "it is \(reason), and the store cannot put it aside; give an empty database instead, which is filled "
                + "from a snapshot and the log")
    }
}

/// The store that a database is opened for.
package struct SinkOwner: Sendable {
    package var layout: StoreLayout
    package var storeID: StoreID
    package var disk: any Disk
    /// The projections that the program declares, for each database that is opened for the store.
    package let projections = ProjectionRegistry()

    package init(_ layout: StoreLayout, _ storeID: StoreID, disk: any Disk) {
        self.layout = layout
        self.storeID = storeID
        self.disk = disk
    }

    /// The watermark of a database that holds nothing yet.
    package var origin: Watermark { Watermark(startOf: storeID) }
}
