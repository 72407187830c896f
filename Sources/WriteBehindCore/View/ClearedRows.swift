// A clear visits no row. It notes its sequence, and from then on the rows of its table that were written
// before it count as absent: they are *cleared*. The first operation that meets such a row frees it: a search for its key,
// eviction, or a walk over all of memory that is done in small steps, with the lock released between them.

/// Whether there may be cleared rows, and how far the walk that frees them has come.
struct ClearedRows {
    /// Mostly false. To look here is all that a search pays for clears then.
    private(set) var mayBeHere = false
    /// Some may be behind the walk.
    private var areBehind = false
    fileprivate var cursor = Arena.Cursor()

    fileprivate mutating func add() {
        areBehind = mayBeHere
        mayBeHere = true
    }

    fileprivate mutating func endWalk() {
        mayBeHere = areBehind
        areBehind = false
    }
}

extension RowTable {
    /// How many rows and pages one step visits while it holds a lock: about 10 µs. (A page may hold few rows.)
    static let (rowsPerStep, pagesPerStep) = (128, 2)

    /// Applies a clear.
    package mutating func clear(_ table: UInt16, sequence: UInt64) {
        clearedAt[table] = sequence
        if count > 0 { cleared.add() }
    }

    /// Whether the row's table was cleared after it was written, so that it counts as absent.
    func isCleared(_ reference: Reference) -> Bool {
        guard cleared.mayBeHere else { return false }
        let entry = entry(reference)
        return entry.sequence < clearedAt[entry.table] ?? 0
    }

    /// Like ``find(_:_:_:)``; a cleared row counts as none, and is freed.
    @inline(__always)
    mutating func findUncleared(_ hash: UInt64, _ table: UInt16, _ key: Span<UInt8>) -> Place {
        let place = find(hash, table, key)
        guard cleared.mayBeHere, place.reference != 0, isCleared(place.reference) else {
            return place
        }
        remove(place)
        return find(hash, table, key)
    }

    /// Does a step of the walk. Returns whether there may be more to free.
    ///
    /// - Parameter freeing: is called with the word and the block's length of each row that is freed.
    mutating func freeCleared(_ freeing: (UInt64, Int) -> Void) -> Bool {
        guard cleared.mayBeHere else { return false }
        let limit = cleared.cursor.page + Self.pagesPerStep
        for _ in 0..<Self.rowsPerStep {
            let reference = arena.next(&cleared.cursor, before: limit)
            guard reference != 0 else {
                if cleared.cursor == Arena.Cursor() { cleared.endWalk() }
                break
            }
            guard isCleared(reference) else { continue }
            freeing(entry(reference).word, arena.blockBytes(reference))
            remove(reference)
        }
        return cleared.mayBeHere
    }
}

extension CacheView {
    /// Frees the memory of cleared rows, a little of each shard in turn, so that others can lock the shards in between.
    package func freeCleared() {
        var rest = Array(0..<shardCount)
        while !rest.isEmpty {
            rest.removeAll { number in !withShard(number: number) { $0.freeCleared() } }
        }
    }
}
