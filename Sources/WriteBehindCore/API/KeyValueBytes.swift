import EventLog

/// Writes and reads bytes under a name without making an array or a string for each call. Use it for many small writes
/// and reads.
///
/// The rows are the same as those of ``KeyValue``: either way reads what the other has written.
extension StoredTable<KeyValue> {
    /// Writes a value. It replaces the value with the same key, if there is one.
    ///
    /// - Parameters:
    ///   - value: its bytes.
    ///   - key: UTF-8, because its column is text.
    /// - Throws: ``StoreError/row(_:)`` for a key that is not UTF-8, and the errors of any write.
    @discardableResult
    public func put(
        _ value: Span<UInt8>, for key: Span<UInt8>
    ) throws(StoreError) -> Receipt {
        try check(key)
        // One value, its tag, its length in at most ten bytes, and its bytes: a row
        // (RowCodec.swift).
        return try unsafe withUnsafeTemporaryAllocation(
            of: UInt8.self, capacity: value.count + 12
        ) { (buffer) throws(StoreError) in
            var row = unsafe OutputSpan(buffer: buffer, initializedCount: 0)
            row.append(1)
            row.append(ValueTag.blob.rawValue)
            row.append(varint: UInt64(value.count))
            row.append(bytes: value)
            return try put(key, row.span, nil)
        }
    }

    /// Hands out the value under this key if it is in memory; nil says nothing about whether it
    /// exists.
    ///
    /// - Parameters:
    ///   - key: UTF-8.
    ///   - body: runs with a part of the store locked. It must be short and not use the store.
    /// - Returns: what `body` returns; nil, and `body` did not run, if the value is not in memory.
    /// - Throws: the error of `body`.
    @inlinable
    public func withCached<R>(
        _ key: Span<UInt8>, _ body: (Span<UInt8>) throws -> R
    ) throws -> R? {
        var result: R?
        try readCached(key) { result = try body($0) }
        return result
    }

    /// Not generic: if only the caller knew the type of the result, each call would look that type up.
    @usableFromInline
    func readCached(_ key: Span<UInt8>, _ body: (Span<UInt8>) throws -> Void) throws {
        try engine.withResident(id, key) { row in
            // A blob in a row that was checked on its way in: count, tag, length, bytes.
            var reader = ByteReader(2..<row.count)
            try body(row.extracting(try reader.take(try reader.varint(row))))
        }
    }

    private func check(_ key: Span<UInt8>) throws(StoreError) {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: key)
        } catch {
            throw .row(RowError(table: name, column: "key", .notConvertible(to: "text")))
        }
        if key.count > Record.keyLimit {
            try rowErrors { () throws(RowError) in
                try layout.schema.check(keyLength: key.count)
            }
        }
    }
}
