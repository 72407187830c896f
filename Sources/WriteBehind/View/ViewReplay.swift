import EventLog

/// A record that was read back from the log, and where in the view it belongs.
struct ReplayedRecord {
    let record: Record
    let sequence: UInt64
    let table: UInt16
    fileprivate let hash: UInt64

    init(
        _ record: Record, in bytes: Span<UInt8>, sequence: UInt64, of view: CacheView
    ) throws(MalformedRecord) {
        guard let table = UInt16(exactly: record.table) else {
            throw MalformedRecord(offset: record.key.lowerBound, reason: "no such table")
        }
        (self.record, self.sequence, self.table) = (record, sequence, table)
        hash = view.hash(table: table, key: bytes.extracting(record.key))
    }
}

extension CacheView {
    /// Begins to bring what ``replay(_:in:)`` needs nearer.
    func prefetch(_ replayed: ReplayedRecord) {
        withShard(of: replayed.hash) { $0.prefetch(replayed.hash) }
    }

    /// Applies a record as it was applied when it was written.
    ///
    /// - Parameter bounded: whether to do nothing, and return false, if dirty rows leave no room for it.
    func replay(
        _ replayed: ReplayedRecord, in bytes: Span<UInt8>, bounded: Bool
    ) throws(MalformedRecord) -> Bool {
        let change: ChangeKind
        switch replayed.record.operation {
        case .put: change = .put
        case .patch: change = .patch
        case .delete: change = .delete
        case .clear:
            forEachShard { $0.clear(replayed.table, sequence: replayed.sequence) }
            return true
        case .define, .mark, .settle, .preamble:
            return true
        }
        let key = bytes.extracting(replayed.record.key)
        let body = bytes.extracting(replayed.record.body)
        let cost = Shard.cost(keyLength: key.count, bodyLength: body.count)
        return try withShard(of: replayed.hash) { (shard) throws(MalformedRecord) in
            if bounded, !shard.admits(cost, largest: cost) { return false }
            try shard.replay(
                change, replayed.hash, replayed.table, key, body, replayed.sequence)
            return true
        }
    }
}
