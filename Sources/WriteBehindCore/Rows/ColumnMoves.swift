import EventLog

/// The two orders of a row's values outside the key: that of the row's type, and that of the table.
///
/// They differ where a property of a struct was moved, or inserted before others, after the table had its columns. Such
/// rows are encoded and decoded in the order of the type. Their bytes are put into the other order after it or before
/// it, so a type with the table's order pays nothing.
struct ColumnMoves: Sendable {
    /// For each value in a stored row: its place in the type's order.
    private let toStored: [Int]
    /// For each value in the type's order: its place in a stored row.
    private let toType: [Int]

    /// - Returns: nil if the orders are the same.
    init?(of schema: TableSchema, storedAs stored: TableSchema) {
        toType = schema.valueColumns.indices.map { index in
            stored.valueIndex(of: schema.valueColumns[index].name) ?? index
        }
        guard toType != Array(schema.valueColumns.indices) else { return nil }
        var toStored = toType
        for (index, place) in toType.enumerated() { toStored[place] = index }
        self.toStored = toStored
    }

    /// A row body in stored order, of one in the type's.
    func stored(_ body: Span<UInt8>, _ schema: TableSchema) throws(RowError) -> [UInt8] {
        try arranged(body, toStored, schema)
    }

    /// A row body in the type's order, of a stored one.
    func typed(_ body: Span<UInt8>, _ schema: TableSchema) throws(RowError) -> [UInt8] {
        try arranged(body, toType, schema)
    }

    private func arranged(
        _ body: Span<UInt8>, _ places: [Int], _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        var reader = ByteReader(0..<body.count)
        let count = try schema.valueCount(&reader, body)
        guard count == places.count else {
            throw RowError(
                table: schema.name, .wrongColumnCount(expected: places.count, got: count))
        }
        var ranges: [Range<Int>] = []
        for _ in places { ranges.append(try schema.skipValue(&reader, body)) }
        try schema.checkEnd(reader)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count)
        bytes.append(varint: UInt64(count))
        for place in places { bytes += copy(body.extracting(ranges[place])) }
        return bytes
    }
}
