/// Several locked shards, for the length of a closure.
///
/// It holds no reference to the view: with one, Swift 6.3.1 crashes while it optimizes this for release.
@safe package struct LockedShards: ~Copyable {
    fileprivate let shards: UnsafeMutablePointer<UnsafeMutablePointer<Shard>?>
    fileprivate let shardCount: Int

    /// Runs `body` with the shard of a hash, which must be one of the locked shards.
    @inline(__always)
    package func withShard<R, E: Error>(
        of hash: UInt64, _ body: (inout Shard) throws(E) -> R
    ) throws(E) -> R {
        try withShard(number: CacheView.shardNumber(of: hash, among: shardCount), body)
    }

    /// Runs `body` with one of the shards that were locked.
    @inline(__always)
    func withShard<R, E: Error>(
        number: Int, _ body: (inout Shard) throws(E) -> R
    ) throws(E) -> R {
        guard let shard = unsafe shards[number] else {
            // All shards of a commit's keys are locked before.
            preconditionFailure("the shard is not locked")
        }
        return unsafe try body(&shard.pointee)
    }
}

extension CacheView {
    /// Runs `body` with the shards of these hashes locked, in ascending order.
    package func withShards<R, E: Error>(
        of hashes: Span<UInt64>, _ body: (borrowing LockedShards) throws(E) -> R
    ) throws(E) -> R {
        var wanted: UInt64 = 0
        for index in hashes.indices { wanted |= 1 << UInt64(shardNumber(of: hashes[index])) }
        return try withShards(wanted, body)
    }

    /// Runs `body` with all shards locked, as a clear needs them.
    package func withAllShards<R, E: Error>(
        _ body: (borrowing LockedShards) throws(E) -> R
    ) throws(E) -> R {
        try withShards(UInt64.max >> UInt64(64 - shardCount), body)
    }

    private func withShards<R, E: Error>(
        _ wanted: UInt64, _ body: (borrowing LockedShards) throws(E) -> R
    ) throws(E) -> R {
        typealias Pointer = UnsafeMutablePointer<Shard>?
        return unsafe try withUnsafeTemporaryAllocation(of: Pointer.self, capacity: 64) {
            (pointers) throws(E) -> R in
            guard let table = pointers.baseAddress else {
                preconditionFailure("64 pointers have an address")
            }
            unsafe table.initialize(repeating: nil, count: 64)
            return unsafe try lock(wanted, into: table, body)
        }
    }

    /// Locks the lowest of the shards, then the others inside.
    private func lock<R, E: Error>(
        _ wanted: UInt64, into table: UnsafeMutablePointer<UnsafeMutablePointer<Shard>?>,
        _ body: (borrowing LockedShards) throws(E) -> R
    ) throws(E) -> R {
        guard wanted != 0 else {
            return try body(unsafe LockedShards(shards: table, shardCount: shardCount))
        }
        let number = wanted.trailingZeroBitCount
        return try withShard(number: number) { shard throws(E) in
            unsafe try withUnsafeMutablePointer(to: &shard) { pointer throws(E) in
                unsafe table[number] = pointer
                return unsafe try lock(wanted & (wanted - 1), into: table, body)
            }
        }
    }

    /// Runs `body` with each shard in turn, one lock at a time.
    package func forEachShard<E: Error>(_ body: (inout Shard) throws(E) -> Void) throws(E) {
        for number in 0..<shardCount { try withShard(number: number, body) }
    }

    /// The sink reflects the log up to `watermark`. The shards advance one after the other, each before
    /// any of its rows can leave.
    package func advance(to watermark: UInt64) {
        forEachShard { $0.advance(to: watermark) }
    }

    /// The content and work of all shards. The shards are read one after the other, not at one moment.
    package func statistics() -> CacheStatistics {
        var result = CacheStatistics()
        forEachShard { result += $0.statistics }
        return result
    }
}
