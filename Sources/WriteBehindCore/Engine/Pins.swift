import EventLog

/// Keeps the rows of quarantined commits in memory, because the database does not hold them as they were acknowledged.
package final class Pins: Sendable {
    private let keys = Lock<Set<QuarantinedKey>>([])
    private let view: CacheView

    package init(view: CacheView) {
        self.view = view
    }

    /// Brings the rows in quarantine back into memory, and pins them, when a database is taken into use.
    ///
    /// To be called before anything is read from the database.
    func restore(_ quarantine: QuarantineIndex, of engine: Engine) throws(StoreError) {
        if !quarantine.isEmpty {
            do {
                var rows = try QuarantinedRows(of: engine)
                try rows.read(quarantine)
                rows.restore()
            } catch let error as LogError {
                throw StoreError(error)
            } catch {
                throw .database("no memory for what is in quarantine: \(error)")
            }
        }
        // From now on, the view refuses rows that were read from the database before it.
        view.forEachShard { $0.sinkDidChange() }
        follow(quarantine)
    }

    /// Pins the rows in quarantine and releases all others.
    package func follow(_ quarantine: QuarantineIndex) {
        keys.withLock { keys in
            for key in keys where quarantine.held[key] == nil { set(key, since: nil) }
            for (key, holder) in quarantine.held { set(key, since: holder.since) }
            keys = Set(quarantine.held.keys)
        }
    }

    /// Pins or releases the keys that have changed.
    ///
    /// Keys that were held before are pinned again: a clear removes pinned rows, and writes to their keys after
    /// it follow into quarantine.
    func follow(_ changed: Set<QuarantinedKey>, in quarantine: QuarantineIndex) {
        keys.withLock { keys in
            for key in changed {
                let since = quarantine.held[key]?.since
                if since != nil || keys.contains(key) { set(key, since: since) }
                if since != nil { keys.insert(key) } else { keys.remove(key) }
            }
        }
    }

    /// Pins a row that has just come into memory, if it is in quarantine.
    func pinIfQuarantined(table: UInt32, key: [UInt8]) {
        let bytes = key
        let key = QuarantinedKey.row(table: table, key: bytes)
        keys.withLock { keys in
            if keys.contains(key) { pin(table: table, key: bytes) }
        }
    }

    /// - Parameter since: the sequence from which on the key is held; nil if it is not.
    private func set(_ key: QuarantinedKey, since: UInt64?) {
        switch key {
        case .table(let table):
            view.forEachShard { $0.hold(UInt16(table), since: since) }
        case .row(let table, let bytes) where since != nil:
            pin(table: table, key: bytes)
        case .row(let table, let bytes):
            let hash = view.hash(table: UInt16(table), key: bytes.span)
            view.withShard(of: hash) { $0.unpin(hash, UInt16(table), bytes.span) }
        }
    }

    private func pin(table: UInt32, key: [UInt8]) {
        let hash = view.hash(table: UInt16(table), key: key.span)
        view.withShard(of: hash) { _ = $0.pin(hash, UInt16(table), key.span) }
    }
}
