import EventLog

/// Keeps the rows of quarantined commits in memory: the database does not hold what was acknowledged.
package final class Pins: Sendable {
    private let keys = Lock<Set<QuarantinedKey>>([])
    private let view: CacheView

    package init(view: CacheView) {
        self.view = view
    }

    /// Brings back into memory what is in quarantine, and pins it: where a database is taken into use.
    ///
    /// To be called when nothing is read from it yet.
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
        // From now on, the view refuses what the database before it said about them.
        view.forEachShard { $0.sinkDidChange() }
        follow(quarantine)
    }

    /// Pins the rows in quarantine and releases all others.
    package func follow(_ quarantine: QuarantineIndex) {
        keys.withLock { keys in
            for key in keys where quarantine.held[key] == nil { set(key, false) }
            for key in quarantine.held.keys { set(key, true) }
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
                let isHeld = quarantine.held[key] != nil
                if isHeld || keys.contains(key) { set(key, isHeld) }
                if isHeld { keys.insert(key) } else { keys.remove(key) }
            }
        }
    }

    /// Pins a row that has just come into memory, if it is in quarantine.
    func pinIfQuarantined(table: UInt32, key: [UInt8]) {
        let key = QuarantinedKey.row(table: table, key: key)
        keys.withLock { keys in
            if keys.contains(key) { set(key, true) }
        }
    }

    private func set(_ key: QuarantinedKey, _ isPinned: Bool) {
        switch key {
        case .table(let table):
            view.forEachShard { $0.pinClear(UInt16(table), isPinned) }
        case .row(let table, let bytes):
            let hash = view.hash(table: UInt16(table), key: bytes.span)
            view.withShard(of: hash) { shard in
                if isPinned {
                    _ = shard.pin(hash, UInt16(table), bytes.span)
                } else {
                    shard.unpin(hash, UInt16(table), bytes.span)
                }
            }
        }
    }
}
