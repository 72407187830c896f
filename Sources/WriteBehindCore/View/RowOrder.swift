import CLinux
package import EventLog

extension RowTable {
    /// Applies a record that was read back. Marks and schema changes do not change rows.
    ///
    /// Deletes leave tombstones. Throws, with nothing changed, if the record is not one that a codec
    /// wrote.
    ///
    /// - Returns: false for an add that changes nothing, because it is known that there is no row.
    @discardableResult
    package mutating func apply(
        _ record: Record, in bytes: Span<UInt8>, sequence: UInt64
    ) throws(MalformedRecord) -> Bool {
        try apply(record, hash(of: record, in: bytes), in: bytes, sequence: sequence)
    }

    /// The hash of a record's row.
    func hash(of record: Record, in bytes: Span<UInt8>) throws(MalformedRecord) -> UInt64 {
        guard let table = UInt16(exactly: record.table) else {
            throw MalformedRecord(
                offset: record.key.lowerBound, reason: "table number exceeds 16 bits")
        }
        return hash(table: table, key: bytes.extracting(record.key))
    }

    /// Begins to bring the place of a row that is or will be here into the processor's cache.
    func prefetch(_ hash: UInt64) { index.prefetch(UInt32(truncatingIfNeeded: hash)) }

    /// Begins to bring a row into the processor's cache: the two lines that most rows take.
    func prefetch(_ reference: Reference) {
        unsafe prefetch_for_writing(arena.address(reference))
        unsafe prefetch_for_writing(arena.address(reference) + 64)
    }

    /// Applies a record whose hash is known.
    @discardableResult
    mutating func apply(
        _ record: Record, _ hash: UInt64, in bytes: Span<UInt8>, sequence: UInt64
    ) throws(MalformedRecord) -> Bool {
        let table = UInt16(truncatingIfNeeded: record.table)
        let key = bytes.extracting(record.key)
        let body = bytes.extracting(record.body)
        switch record.operation {
        case .put: _ = put(hash, table, key, body, sequence: sequence)
        case .patch:
            // The rows that the clear removed are gone here, too: the patch makes a new row, with nothing beneath it.
            let isGone = clearedAt[table] != nil
            _ = try patch(hash, table, key, body, sequence: sequence, isGone: isGone)
        case .add:
            let isGone = clearedAt[table] != nil
            return try add(hash, table, key, body, sequence: sequence, isGone: isGone) != nil
        case .delete: _ = delete(hash, table, key, sequence: sequence)
        case .clear: clear(table, sequence: sequence)
        case .define, .mark, .settle, .preamble: break
        }
        return true
    }

    /// The row of a key; nil if there is none (a tombstone is one).
    package func reference(table: UInt16, key: Span<UInt8>) -> Reference? {
        let found = find(hash(table: table, key: key), table, key).reference
        return found == 0 || isCleared(found) ? nil : found
    }

    package func table(_ reference: Reference) -> UInt16 { entry(reference).table }
    package func state(_ reference: Reference) -> RowState { entry(reference).state }
    package func sequence(_ reference: Reference) -> UInt64 { entry(reference).sequence }

    /// Whether amounts were added to a partial row.
    func hasAdds(_ reference: Reference) -> Bool { entry(reference).flags.contains(.adds) }

    /// The change that leads to the row as it is here, for a base that others have.
    package func change(_ reference: Reference) -> ChangeKind {
        let entry = entry(reference)
        switch entry.state {
        case .full: return .put
        case .partial: return hasAdds(reference) ? .add : .patch
        case .tombstone, .absent: return .delete
        }
    }

    /// Hands out the key's bytes, in place.
    @inline(__always)
    package func withKey<R, E: Error>(
        _ reference: Reference, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        try body(unsafe entry(reference).key.bindMemory(to: UInt8.self).span)
    }

    /// Hands out the row in place; the patch or the add if the row is partial, nothing if it is a tombstone.
    @inline(__always)
    package func withBody<R, E: Error>(
        _ reference: Reference, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        try body(unsafe entry(reference).body.bindMemory(to: UInt8.self).span)
    }

    /// Removes the row of a key, leaving no tombstone; false if there was none.
    @discardableResult
    package mutating func remove(table: UInt16, key: Span<UInt8>) -> Bool {
        let place = findUncleared(hash(table: table, key: key), table, key)
        guard place.reference != 0 else { return false }
        remove(place)
        return true
    }

    /// Removes every row and forgets the clears; memory is kept for the next ones.
    package mutating func removeAll() {
        clearedAt.removeAll()
        cleared = ClearedRows()
        guard index.isWorthEmptying else {
            for reference in references() { remove(reference) }
            return
        }
        index.removeAll()
        arena.freeAll()
    }

    /// All rows, in the order of memory.
    package func references() -> [Reference] {
        var result: [Reference] = []
        result.reserveCapacity(count)
        var cursor = Arena.Cursor()
        while case let reference = arena.next(&cursor), reference != 0 {
            if !isCleared(reference) { result.append(reference) }
        }
        return result
    }

    /// All rows by table, then by the bytes of their keys: the order of the database's primary keys.
    ///
    /// Sorts numbers made of the first eight bytes in which the keys of a table differ at all, so
    /// that most comparisons do not touch the keys.
    package func sortedReferences() -> [Reference] {
        var tables: [UInt16: [Reference]] = [:]
        for reference in references() {
            tables[entry(reference).table, default: []].append(reference)
        }
        var result: [Reference] = []
        result.reserveCapacity(count)
        for table in tables.keys.sorted() {
            appendSorted(tables[table] ?? [], to: &result)
        }
        return result
    }

    /// Ordered by the prefix alone, which the compiler makes fast. Equal prefixes are sorted afterwards.
    private struct SortKey: Comparable {
        var prefix: UInt64
        var reference: Reference

        static func < (left: SortKey, right: SortKey) -> Bool { left.prefix < right.prefix }
    }

    private func appendSorted(_ references: [Reference], to result: inout [Reference]) {
        let skipped = commonPrefix(references)
        var keys: [SortKey] = []
        keys.reserveCapacity(references.count)
        for reference in references {
            let prefix = unsafe bigEndianPrefix(entry(reference).key, from: skipped)
            keys.append(SortKey(prefix: prefix, reference: reference))
        }
        keys.sort()
        var start = 0
        while start < keys.count {
            var end = start + 1
            while end < keys.count, keys[end].prefix == keys[start].prefix { end += 1 }
            if end - start > 1 {
                keys[start..<end].sort {
                    unsafe precedes(entry($0.reference).key, entry($1.reference).key)
                }
            }
            start = end
        }
        for key in keys { result.append(key.reference) }
    }

    /// How many bytes at the start are the same in all keys.
    private func commonPrefix(_ references: [Reference]) -> Int {
        guard let first = references.first else { return 0 }
        let model = unsafe entry(first).key
        var length = model.count
        for reference in references {
            let key = unsafe entry(reference).key
            length = min(length, key.count)
            var same = 0
            while same < length, unsafe key[same] == model[same] { same += 1 }
            length = same
        }
        return length
    }
}

/// Eight bytes as a number with the same order as the bytes. Bytes behind the end count as zero, so equal
/// numbers decide nothing.
private func bigEndianPrefix(_ key: UnsafeRawBufferPointer, from start: Int) -> UInt64 {
    if key.count - start >= 8 {
        return unsafe UInt64(bigEndian: key.loadUnaligned(fromByteOffset: start, as: UInt64.self))
    }
    var prefix: UInt64 = 0
    for offset in 0..<8 {
        let index = start + offset
        prefix = unsafe prefix << 8 | (index < key.count ? UInt64(key[index]) : 0)
    }
    return prefix
}

private func precedes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    let shared = min(left.count, right.count)
    for index in 0..<shared {
        let (a, b) = unsafe (left[index], right[index])
        if a != b { return a < b }
    }
    return left.count < right.count
}
