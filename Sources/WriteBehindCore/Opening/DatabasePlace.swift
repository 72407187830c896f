package import EventLog

// database.json, of a store whose own database is not the file database.sqlite:
//
//   {"place":"postgresql://db.example/game"}

/// Where a store's database is, as the store last opened it. Tools would take it for lost otherwise.
package struct DatabasePlace: ReportFile, Equatable {
    /// An address without what must stay secret.
    package var place: String

    package static func path(in layout: StoreLayout) -> String { layout.databasePlace }

    /// Notes the place of a database that was opened.
    ///
    /// - Parameter place: nil for the file in the store's directory.
    static func note(_ place: String?, _ layout: StoreLayout, on disk: any Disk) throws {
        guard read(layout, on: disk)?.place != place else { return }
        if let place {
            // Once at most each time that the store is opened, so it may wait for the disk: it must survive power loss.
            try DatabasePlace(place: place).write(layout, on: disk, isSynced: true)
        } else {
            try remove(layout, on: disk)
        }
    }
}
