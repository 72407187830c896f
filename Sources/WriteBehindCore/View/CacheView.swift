import EventLog

/// The rows in memory, current to the last write, in shards of one lock each.
///
/// Order of locks: shards ascending (``withShards(of:_:)`` takes them so), then the log's staging. The
/// staging lock may be taken inside a shard's lock, never the other way around.
///
/// Memory is bounded by `limit`: each shard keeps to its share by evicting clean rows, and refuses
/// (``Shard/admits(_:largest:)``) when dirty rows leave no room. It may exceed its share by what one
/// admitted commit takes beyond what was estimated for it, at most one chunk (PagePool.swift) more than the commit itself.
@safe package final class CacheView: Sendable {
    /// A set of shards; there are at most 64.
    private typealias ShardSet = UInt64

    /// A smaller limit counts as this one: a shard needs pages for many sizes of rows.
    package static let smallestLimit = 8 << 20
    /// The references of 64 shards reach no farther.
    private static let largestLimit = 64 * Arena.largestReservation
    /// A shard of less than this would lose much of it to pages of sizes that are rare.
    private static let smallestShare = 16 << 20

    // Written in init and freed in deinit only; what they point to is behind mutexes.
    private nonisolated(unsafe) let slots: UnsafeMutablePointer<Lock<Shard>>
    package let shardCount: Int
    /// How many bytes all shards together may use for rows that the database does not hold.
    package let dirtyLimit: Int
    private let seed: UInt64

    /// An empty view. `limit` bounds its memory in bytes. `dirtyLimit` bounds the part of it for rows
    /// that the database does not hold yet (at most three quarters of `limit`).
    package init(
        limit: Int, dirtyLimit: Int, watermark: UInt64,
        seed: UInt64 = .random(in: .min ... .max)
    ) throws(OutOfMemory) {
        let limit = min(max(limit, Self.smallestLimit), Self.largestLimit)
        var count = 1
        while count < 64, limit / (count * 2) >= Self.smallestShare { count *= 2 }
        shardCount = count
        self.seed = seed
        let dirtyLimit = min(dirtyLimit, limit / 4 * 3)
        self.dirtyLimit = dirtyLimit
        let share = limit / count
        let reservation = try Self.reservation(share: share, count)
        // This comes last: if it throws, there is nothing yet that `deinit` would have to free.
        unsafe slots = try Self.slots(count) { () throws(OutOfMemory) in
            try Shard(
                limit: share, dirtyLimit: dirtyLimit / count, watermark: watermark, seed: seed,
                reserving: reservation)
        }
    }

    /// The address space of one of `count` shards. Together they take at most a third of what is left: batches for the
    /// database, SQLite, threads and everything else need some, too.
    private static func reservation(share: Int, _ count: Int) throws(OutOfMemory) -> Int {
        let needed = share + share / 2 + (8 << 20)
        // Four times, so that a run of pages is found among scattered ones; the rest for a commit of
        // the largest size that was admitted in one piece.
        let all = try AddressSpace.reservation(
            wanted: 3 * count * (4 * share + (512 << 20)), needed: 3 * count * needed, parts: 1)
        return all / (3 * count)
    }

    private static func slots(
        _ count: Int, _ make: () throws(OutOfMemory) -> Shard
    ) throws(OutOfMemory) -> UnsafeMutablePointer<Lock<Shard>> {
        let slots = UnsafeMutablePointer<Lock<Shard>>.allocate(capacity: count)
        var made = 0
        do throws(OutOfMemory) {
            while made < count {
                let shard = try make()
                unsafe (slots + made).initialize(to: Lock(shard))
                made += 1
            }
        } catch {
            unsafe slots.deinitialize(count: made)
            unsafe slots.deallocate()
            throw error
        }
        return unsafe slots
    }

    deinit {
        unsafe slots.deinitialize(count: shardCount)
        unsafe slots.deallocate()
    }

    /// The hash that chooses the shard and that all of a shard's methods take.
    @inline(__always)
    package func hash(table: UInt16, key: Span<UInt8>) -> UInt64 {
        RowTable.hash(table: table, key: key, seed: seed)
    }

    @inline(__always)
    package func shardNumber(of hash: UInt64) -> Int {
        Self.shardNumber(of: hash, among: shardCount)
    }

    @inline(__always)
    static func shardNumber(of hash: UInt64, among shardCount: Int) -> Int {
        // The highest bits; a row's place inside its shard comes from the lowest.
        Int(hash >> 58) & (shardCount - 1)
    }

    /// Runs `body` with the shard of a hash locked.
    @inline(__always)
    package func withShard<R, E: Error>(
        of hash: UInt64, _ body: (inout Shard) throws(E) -> R
    ) throws(E) -> R {
        try withShard(number: shardNumber(of: hash), body)
    }

    @inline(__always)
    func withShard<R, E: Error>(
        number: Int, _ body: (inout Shard) throws(E) -> R
    ) throws(E) -> R {
        try unsafe slots[number].withLock { (shard: inout sending Shard) throws(E) -> R in
            try body(&shard)
        }
    }
}
