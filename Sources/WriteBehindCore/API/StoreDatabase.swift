import EventLog

/// A database that a store materializes its log into.
///
/// `.sqlite()` is in the module `WriteBehind`, `.postgreSQL(_:)` in `WriteBehindPostgreSQL`.
public struct StoreDatabase: Sendable {
    /// What health and metrics call it.
    public let name: String
    private let makeOpener: @Sendable (StoreConfiguration) -> any SinkOpener

    /// - Parameter makeOpener: is called each time that a store is opened.
    package init(
        _ name: String, makeOpener: @escaping @Sendable (StoreConfiguration) -> any SinkOpener
    ) {
        (self.name, self.makeOpener) = (name, makeOpener)
    }

    func opener(_ configuration: StoreConfiguration) -> any SinkOpener {
        makeOpener(configuration)
    }
}

extension Store {
    /// Opens the store in a directory, or creates it there, with a database of your choice.
    ///
    /// Log and snapshots are in the directory in any case. A database that is empty is filled from them.
    ///
    /// - Parameters:
    ///   - path: a directory on a local disk that is a store, is empty, or does not exist yet; its parent must.
    ///   - database: serves reads of rows that are not in memory.
    ///   - configuration: limits and intervals; may differ from one opening to the next.
    /// - Throws: ``StoreError/locked(path:)``, ``StoreError/alreadyOpen(path:)``,
    ///   ``StoreError/notAStore(path:reason:)``, ``StoreError/foreignDatabase(path:reason:)``,
    ///   ``StoreError/database(_:)``, also for a server that does not answer, ``StoreError/diskFull(_:)``,
    ///   ``StoreError/noResources(_:)`` or ``StoreError/logFailed(_:)``.
    public convenience init(
        at path: String, database: StoreDatabase,
        configuration: StoreConfiguration = StoreConfiguration()
    ) async throws(StoreError) {
        try await self.init(at: path, databases: [database], configuration: configuration)
    }

    /// Opens the store with several databases, each of which follows the log by itself.
    ///
    /// The first one is the *primary*: it serves reads, and ``Stage/materialized`` is about it. The others hold up nothing.
    /// One that cannot be opened is tried again and again, and ``Health/secondaries`` says why. The log is kept for the
    /// slowest of them. One that is new is filled in the background.
    ///
    /// - Parameters:
    ///   - path: a directory on a local disk that is a store, is empty, or does not exist yet; its parent must.
    ///   - databases: one at least, all of different names.
    ///   - configuration: limits and intervals; may differ from one opening to the next.
    /// - Throws: as for one database.
    public convenience init(
        at path: String, databases: [StoreDatabase],
        configuration: StoreConfiguration = StoreConfiguration()
    ) async throws(StoreError) {
        guard let primary = databases.first else {
            throw .database("a store needs a database, and `databases` is empty")
        }
        guard Set(databases.map(\.name)).count == databases.count else {
            throw .database(
                "two databases have the same name, so health and metrics could not tell them apart: give one another "
                    + "with `named:`")
        }
        var environment = StoreEnvironment(
            disk: PosixDisk(), time: SystemTime(), random: { .random(in: 1 ... .max) },
            opener: primary.opener(configuration))
        environment.secondaries = databases.dropFirst().map {
            SecondaryDatabase.Place($0.name, $0.opener(configuration))
        }
        try await self.init(opening: try Self.absolute(path), configuration, environment)
    }
}
