import EventLog

/// Maps between two orders of a row's values outside the key: that of the row's type, and that of the table.
///
/// They differ if a property of a struct was moved, or inserted before others, after the table had its columns, or
/// if a column of the table was dropped. Such rows are encoded and decoded in the order of the type. Their bytes
/// are rearranged after encoding and before decoding, so a type with the table's order pays nothing.
struct ColumnMoves: Sendable {
    /// For each value in a stored row: its place in the type's order; nil for a dropped column.
    private let toStored: [Int?]
    /// For each value in the type's order: its place in a stored row.
    private let toType: [Int]

    /// - Parameter places: for each value in the type's order, its place in a stored row.
    /// - Returns: nil if the orders are the same.
    init?(_ places: [Int]) {
        toType = places
        guard toType != Array(places.indices) else { return nil }
        var toStored = [Int?](repeating: nil, count: (places.max() ?? -1) + 1)
        for (index, place) in places.enumerated() { toStored[place] = index }
        self.toStored = toStored
    }

    /// Puts a row body from the type's order into the stored order.
    func stored(_ body: Span<UInt8>, _ schema: TableSchema) throws(RowError) -> [UInt8] {
        try arranged(body, toStored, of: toType.count, schema)
    }

    /// Puts a stored row body into the type's order.
    func typed(_ body: Span<UInt8>, _ schema: TableSchema) throws(RowError) -> [UInt8] {
        try arranged(body, toType, of: toStored.count, schema)
    }

    private func arranged(
        _ body: Span<UInt8>, _ places: [Int?], of expected: Int, _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        var reader = ByteReader(0..<body.count)
        let count = try schema.valueCount(&reader, body)
        guard count == expected else {
            throw RowError(
                table: schema.name, .wrongColumnCount(expected: expected, got: count))
        }
        var ranges: [Range<Int>] = []
        for _ in 0..<count { ranges.append(try schema.skipValue(&reader, body)) }
        try schema.checkEnd(reader)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count)
        bytes.append(varint: UInt64(places.count))
        for place in places {
            if let place {
                bytes += copy(body.extracting(ranges[place]))
            } else {
                bytes.append(ValueTag.null.rawValue)
            }
        }
        return bytes
    }
}
