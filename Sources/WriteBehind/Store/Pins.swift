import EventLog

/// Keeps the rows of quarantined commits in memory: the database does not hold what was acknowledged.
package final class Pins: Sendable {
    private struct State {
        var keys: Set<QuarantinedKey> = []
        /// Those that were in quarantine when it was last followed, by their first sequences.
        var commits: Set<UInt64> = []
    }

    private let state = Lock(State())
    private let view: CacheView

    package init(view: CacheView) {
        self.view = view
    }

    /// Brings back into memory what is in quarantine, and pins it: where a database is taken into use.
    ///
    /// To be called when nothing is read from it yet.
    func restore(_ commits: [QuarantinedCommit], of engine: Engine) throws(StoreError) {
        if !commits.isEmpty {
            do {
                var rows = try QuarantinedRows(of: engine)
                try rows.read(commits)
                rows.restore()
            } catch let error as LogError {
                throw StoreError(error)
            } catch {
                throw .database("no memory for what is in quarantine: \(error)")
            }
        }
        // What the one before it said of them is not taken in any more.
        view.forEachShard { $0.sinkDidChange() }
        follow(commits)
    }

    /// Pins what is in quarantine and lets go of what has left it.
    ///
    /// All of it, not only what is new: a clear removes pinned rows, and what is written to their keys
    /// after it follows into quarantine too.
    package func follow(_ commits: [QuarantinedCommit]) {
        let wanted = Set(commits.flatMap(\.keys))
        state.withLock { state in
            for key in state.keys.subtracting(wanted) { set(key, false) }
            for key in wanted { set(key, true) }
            state.keys = wanted
            state.commits = Set(commits.map(\.firstSequence))
        }
    }

    /// Pins a row that has just come into memory, if it is in quarantine.
    func pinIfQuarantined(table: UInt32, key: [UInt8]) {
        let key = QuarantinedKey.row(table: table, key: key)
        state.withLock { state in
            if state.keys.contains(key) { set(key, true) }
        }
    }

    var commits: Set<UInt64> { state.withLock { $0.commits } }

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
