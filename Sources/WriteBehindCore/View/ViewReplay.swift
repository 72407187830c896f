import EventLog

/// A change of a row that was read back from the log, and where in the view it belongs.
struct ReplayedChange {
    let change: ChangeKind
    let table: UInt16
    let sequence: UInt64
    /// The places of key and body in the bytes that they were read from.
    let key: Range<Int>
    let body: Range<Int>
    fileprivate let hash: UInt64
}

/// The changes that a block of the log makes to rows, by shard. Within a shard they have the order of the log.
struct ReplayedChanges {
    private var shards: [[ReplayedChange]]

    init(of view: CacheView) { shards = Array(repeating: [], count: view.shardCount) }

    var shardNumbers: Range<Int> { shards.indices }

    subscript(shard number: Int) -> [ReplayedChange] { shards[number] }

    mutating func removeAll() {
        for number in shards.indices { shards[number].removeAll(keepingCapacity: true) }
    }

    mutating func append(
        _ change: ChangeKind, of record: Record, table: UInt16, sequence: UInt64,
        in bytes: Span<UInt8>, of view: CacheView
    ) {
        let hash = view.hash(table: table, key: bytes.extracting(record.key))
        shards[view.shardNumber(of: hash)].append(
            ReplayedChange(
                change: change, table: table, sequence: sequence, key: record.key,
                body: record.body, hash: hash))
    }
}

extension CacheView {
    /// How many changes ahead memory is fetched: about as long as a fetch takes.
    private static let ahead = 8

    /// Applies a shard's changes as they were applied when they were written, up to the first for which dirty rows leave
    /// no room. Returns how many were applied.
    ///
    /// The lock is taken once for all of them: each time it is taken, the processor waits until earlier writes have reached
    /// the cache; and the part of the index that one shard needs mostly stays in the cache.
    func replay(
        _ changes: [ReplayedChange], shard number: Int, in bytes: Span<UInt8>
    ) throws(MalformedRecord) -> Int {
        try withShard(number: number) { (shard) throws(MalformedRecord) in
            for index in changes.indices {
                // The next rows are fetched from memory while this one is applied.
                if index + Self.ahead < changes.count {
                    shard.prefetch(changes[index + Self.ahead].hash)
                }
                guard try shard.replay(changes[index], in: bytes, bounded: true) else {
                    return index
                }
            }
            return changes.count
        }
    }

    /// Applies one change as it was applied when it was written.
    ///
    /// - Parameter bounded: whether to do nothing, and return false, if dirty rows leave no room for it.
    func replay(
        _ change: ReplayedChange, in bytes: Span<UInt8>, bounded: Bool
    ) throws(MalformedRecord) -> Bool {
        try withShard(of: change.hash) { (shard) throws(MalformedRecord) in
            try shard.replay(change, in: bytes, bounded: bounded)
        }
    }
}

extension Shard {
    @inline(__always)
    fileprivate mutating func replay(
        _ replayed: ReplayedChange, in bytes: Span<UInt8>, bounded: Bool
    ) throws(MalformedRecord) -> Bool {
        let key = bytes.extracting(replayed.key)
        let body = bytes.extracting(replayed.body)
        let cost = Self.cost(keyLength: key.count, bodyLength: body.count)
        if bounded, !admits(cost, largest: cost) { return false }
        try replay(
            replayed.change, replayed.hash, replayed.table, key, body, replayed.sequence)
        return true
    }
}
