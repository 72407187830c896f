public import GRDB
@_exported public import WriteBehindCore
import WriteBehindSQLite

extension Store {
    /// Opens the store in a directory, or creates it there.
    ///
    /// The caller suspends while a thread of the store's own waits for the disk and the database.
    ///
    /// After an unclean end (a killed process, a power failure) the log is repaired first: every write is there again that
    /// its stage protects (``Stage``). The part that the database lacks is applied in the background.
    ///
    /// - Parameters:
    ///   - path: a directory on a local disk that is a store, is empty, or does not exist yet. Its parent must exist.
    ///     The directory is made with mode 0700, its files with 0600.
    ///   - configuration: limits and intervals; may differ from one opening to the next.
    /// - Throws: ``StoreError/locked(path:)``, ``StoreError/alreadyOpen(path:)``,
    ///   ``StoreError/notAStore(path:reason:)``,
    ///   ``StoreError/foreignDatabase(path:reason:)``, ``StoreError/database(_:)``,
    ///   ``StoreError/diskFull(_:)``, ``StoreError/noResources(_:)`` or ``StoreError/logFailed(_:)``, the last
    ///   also for a log that a newer version wrote. A damaged log is no error: the store opens read-only, and ``health``
    ///   and every write name the damage.
    public convenience init(
        at path: String, configuration: StoreConfiguration = StoreConfiguration()
    ) async throws(StoreError) {
        // Uses the present working directory, not the one at the time when the thread has started.
        try await self.init(
            opening: try Self.absolute(path), configuration, .machine(configuration))
    }

    /// Opens a store from code that is not asynchronous, as the other initializer does. It blocks its thread
    /// for as long as the disk and the database take.
    public convenience init(
        at path: String, configuration: StoreConfiguration = StoreConfiguration()
    ) throws(StoreError) {
        try self.init(
            at: try Self.absolute(path), configuration: configuration,
            environment: .machine(configuration))
    }

    /// The database, for reading: your own queries, GRDB records and observations.
    ///
    /// It shows the store as of some sequence number, always whole commits, usually a tenth of a second old.
    /// If the database was lost and replaced, this is the new one, and readers and observations of the old one end with an
    /// error. So keep the store, not the reader.
    ///
    /// - Throws: ``StoreError/database(_:)`` if the store's database is not SQLite.
    public var database: any DatabaseReader {
        get throws(StoreError) {
            guard let sink = engine.sink as? SQLiteSink else {
                throw .database("the store's database is not SQLite, so GRDB cannot read it")
            }
            return sink.reader
        }
    }
}
