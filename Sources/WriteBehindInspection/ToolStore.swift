import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// Opens stores for the tool.
package enum ToolStore {
    /// Opens a store.
    ///
    /// - Parameter opener: of a database that is no file of the store's directory.
    /// - Throws: ``StoreError/database(_:)`` if the store's database is elsewhere and no opener is given: opened without it,
    ///   the store would make another one in its directory.
    package static func open(
        _ path: String, _ opener: (any SinkOpener)?,
        _ configuration: StoreConfiguration = .forTools
    ) async throws(StoreError) -> Store {
        try await Store(
            opening: try Store.absolute(path), configuration,
            try environment(path, opener, configuration))
    }

    /// The machine, with the store's database.
    static func environment(
        _ path: String, _ opener: (any SinkOpener)?, _ configuration: StoreConfiguration,
        disk: any Disk = PosixDisk()
    ) throws(StoreError) -> StoreEnvironment {
        var environment = StoreEnvironment.machine(configuration, disk: disk)
        if let opener {
            environment.opener = opener
        } else if let place = DatabasePlace.read(StoreLayout(root: path), on: disk)?.place {
            throw .database(
                "it is \(place), and is needed to open the store; give its address with --postgresql"
            )
        }
        return environment
    }
}
