package import EventLog

extension RowTable {
    /// Applies a record that was read back; marks and schema changes are no business of rows.
    ///
    /// Deletes leave tombstones. Throws, with nothing changed, if the record is none that a codec
    /// wrote.
    package mutating func apply(
        _ record: Record, in bytes: Span<UInt8>, sequence: UInt64
    ) throws(MalformedRecord) {
        guard let table = UInt16(exactly: record.table) else {
            throw MalformedRecord(
                offset: record.key.lowerBound, reason: "table number exceeds 16 bits")
        }
        let key = bytes.extracting(record.key)
        let body = bytes.extracting(record.body)
        let hash = hash(table: table, key: key)
        switch record.operation {
        case .put: _ = put(hash, table, key, body, sequence: sequence)
        case .patch: _ = try patch(hash, table, key, body, sequence: sequence)
        case .delete: _ = delete(hash, table, key, sequence: sequence)
        case .clear: clear(table, sequence: sequence)
        case .define, .mark, .settle, .preamble: break
        }
    }

    /// The row of a key; nil if there is none (a tombstone is one).
    package func reference(table: UInt16, key: Span<UInt8>) -> Reference? {
        let found = find(hash(table: table, key: key), table, key).reference
        return found == 0 ? nil : found
    }

    package func table(_ reference: Reference) -> UInt16 { entry(reference).table }
    package func state(_ reference: Reference) -> RowState { entry(reference).state }
    package func sequence(_ reference: Reference) -> UInt64 { entry(reference).sequence }

    /// Hands out the key's bytes, in place.
    @inline(__always)
    package func withKey<R, E: Error>(
        _ reference: Reference, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        try body(unsafe entry(reference).key.bindMemory(to: UInt8.self).span)
    }

    /// Hands out the row (of a partial row the patch, of a tombstone nothing), in place.
    @inline(__always)
    package func withBody<R, E: Error>(
        _ reference: Reference, _ body: (Span<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        try body(unsafe entry(reference).body.bindMemory(to: UInt8.self).span)
    }

    /// Removes the row of a key, leaving no tombstone; false if there was none.
    @discardableResult
    package mutating func remove(table: UInt16, key: Span<UInt8>) -> Bool {
        let place = find(hash(table: table, key: key), table, key)
        guard place.reference != 0 else { return false }
        remove(place)
        return true
    }

    /// Removes every row and forgets the clears; memory is kept for the next ones.
    package mutating func removeAll() {
        for reference in references() { remove(reference) }
        clearedAt.removeAll()
    }

    /// All rows, in the order of memory.
    package func references() -> [Reference] {
        var result: [Reference] = []
        result.reserveCapacity(count)
        var cursor = Arena.Cursor()
        while case let reference = arena.next(&cursor), reference != 0 { result.append(reference) }
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

    private struct SortKey {
        var prefix: UInt64
        var reference: Reference
    }

    private func appendSorted(_ references: [Reference], to result: inout [Reference]) {
        let skipped = commonPrefix(references)
        var keys: [SortKey] = []
        keys.reserveCapacity(references.count)
        for reference in references {
            let prefix = unsafe bigEndianPrefix(entry(reference).key, from: skipped)
            keys.append(SortKey(prefix: prefix, reference: reference))
        }
        keys.sort { left, right in
            if left.prefix != right.prefix { return left.prefix < right.prefix }
            return unsafe precedes(entry(left.reference).key, entry(right.reference).key)
        }
        for key in keys { result.append(key.reference) }
    }

    /// How many bytes all the keys begin with alike.
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

/// Eight bytes as a number that orders as they do; bytes behind the end count as zero, so equal
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
