/// The place of a write in the one order of all writes to a store. Every write returns one.
///
/// It is valid for the store that returned it, until that store is closed. If a crash loses writes, the store may give
/// their numbers to other writes after it was opened again.
public struct Receipt: Sendable, Hashable, Comparable {
    /// The sequence number of the commit's first record. 0 in the receipt of a call that wrote nothing. An `update` that
    /// changed nothing returns the number of the record that wrote the row, if that is still known.
    public let firstSequence: UInt64
    /// The sequence number of the commit's last record. ``Store/wait(for:_:timeout:)`` waits for it.
    public let sequence: UInt64
    /// The ``Engine/number`` of its store. It is no reference to the store, because every write would have to count that.
    package let store: UInt32

    package init(firstSequence: UInt64, sequence: UInt64, store: UInt32) {
        self.firstSequence = firstSequence
        self.sequence = sequence
        self.store = store
    }

    public static func < (left: Receipt, right: Receipt) -> Bool {
        (left.sequence, left.firstSequence, left.store)
            < (right.sequence, right.firstSequence, right.store)
    }
}

/// How far a write has come.
public enum Stage: String, Sendable, CaseIterable {
    /// In the log's buffer and visible to every read. It survives `kill -9` if ``Health/survivesKill`` is true. Every write
    /// that has returned has come this far.
    case staged
    /// Synced: it survives power loss.
    case durable
    /// In the database, together with the watermark that says so. If power loss sets the database back to an earlier state,
    /// the next opening applies the write again from the log.
    case materialized
}
