/// The place of a write in the one order of all writes to a store. Every write returns one.
///
/// It is good for the store that returned it, until that is closed. A store that is opened again may give the numbers of
/// writes that a crash took to others.
public struct Receipt: Sendable, Hashable, Comparable {
    /// The sequence number of the commit's first record. 0 in the receipt of a call that wrote nothing, unless it is
    /// an update of a row if the record that wrote it is still known.
    public let firstSequence: UInt64
    /// The sequence number of its last: what ``Store/wait(for:_:timeout:)`` waits for.
    public let sequence: UInt64
    /// Its store's ``Engine/number``; not a reference, because every write would have to count that.
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
    /// In the log's buffer and visible to every read. It survives `kill -9`, where ``Health/survivesKill``
    /// says that the buffer is a mapped file. Every write that returned has come this far.
    case staged
    /// Synced: it survives power loss.
    case durable
    /// In the database, together with the watermark that says so. If power loss takes the database a step back,
    /// opening the store applies it again from the log.
    case materialized
}
