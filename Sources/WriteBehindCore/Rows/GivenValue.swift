package import EventLog

extension RowCodec {
    /// The value that a put, a patch, or an add that puts an absent row gives to a column; nil if it gives none. Other columns
    /// of puts and patches are not decoded.
    ///
    /// - Parameter column: counts among the columns outside the key.
    package static func given(
        _ column: Int, by operation: Operation, _ body: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> StoredValue? {
        if operation == .add {
            return try decodeAdd(body, schema).row?.first { $0.column == column }?.value
        }
        guard operation == .put || operation == .patch else { return nil }
        var reader = ByteReader(0..<body.count)
        for index in 0..<(try schema.valueCount(&reader, body)) {
            let place =
                operation == .put ? index : try schema.patchColumn(&reader, body, atLeast: 0)
            if place == column {
                return try schema.value(schema.valueColumns[column], &reader, body)
            }
            _ = try schema.skipValue(&reader, body)
        }
        return nil
    }
}
