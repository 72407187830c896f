extension Store {
    /// The commits that a secondary database refused; nil if the store has no secondary database of this name
    /// (``Health/secondaries``).
    public func quarantine(of secondary: String) -> SecondaryQuarantine? {
        secondaries.first { $0.name == secondary }.map {
            SecondaryQuarantine(database: $0, engine: engine)
        }
    }
}

/// The commits that a secondary database refused for good.
///
/// Its rules are those of ``Quarantine``: a commit is kept whole, later commits that touch its rows follow it, and all
/// else goes on. The store's own database has these commits, so reads show them.
///
/// They cannot be given up, because the store holds the rows as they were written: this database would differ from
/// the log for good, and nothing would say so. A group of commits leaves quarantine when
/// - ``retry()`` has the database take its commits, after the reason was removed;
/// - a later commit puts or deletes all rows of the group, and the database takes it: mostly a corrected
///   ``StoredTable/put(_:cachedFor:)`` of the one row.
///
/// Until then the log is kept from the first of these commits on. All methods may be called from any thread or task.
public struct SecondaryQuarantine: Sendable {
    let database: SecondaryDatabase
    let engine: Engine

    /// The refused commits, in sequence order; none if the database could not be opened yet.
    public func list() -> [Quarantine.Entry] { list(limit: .max) }

    func list(limit: Int) -> [Quarantine.Entry] {
        guard let sink = database.sink else { return [] }
        return Quarantine.Entry.all(of: sink.quarantine, engine.tables, limit: limit)
    }

    /// Tries all of quarantine again, in order, after the reason was removed.
    ///
    /// If the process crashes meanwhile, the commits that were applied have left quarantine, and the rest is still in it.
    ///
    /// - Throws: ``StoreError/database(_:)``, also if the database is not open, or was replaced meanwhile;
    ///   ``StoreError/closed(_:)``; ``StoreError/logFailed(_:)`` or ``StoreError/damaged(_:)`` if the log cannot be
    ///   read.
    @discardableResult
    public func retry() async throws(StoreError) -> Quarantine.Retried {
        try await Worker.waiting(
            "quarantine", throwing: { () throws(StoreError) in try retryBlocking() })
    }

    /// ``retry()`` for the store's own threads, which may block.
    func retryBlocking() throws(StoreError) -> Quarantine.Retried {
        let (applied, left) = try database.retryQuarantine()
        return Quarantine.Retried(applied: applied, left: left)
    }
}
