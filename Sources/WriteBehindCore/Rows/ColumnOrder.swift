import EventLog

/// Finds row types that go through columns in different orders in `encode(to:)` and `init(from:)`.
///
/// If two columns of the same type are swapped in one of the two methods, no single call fails: the values come back
/// exchanged. So the first rows that are written through a handle are read back from their bytes and encoded again. Only
/// the user's own rows are used for this, never made-up values.
/// Only an exchange counts as a mistake, because a type may change the values that it reads, such as by trimming text.
enum ColumnOrder {
    /// - Parameters:
    ///   - key: as `encode(to:)` wrote it.
    ///   - body: the same.
    /// - Throws: the error of reading the row back, or ``RowError/Problem/exchanged(with:)``.
    static func check<Row: TableRow>(
        _ type: Row.Type, key: Span<UInt8>, body: Span<UInt8>, _ layout: RowLayout
    ) throws(RowError) {
        let row: Row
        do throws(RowError) {
            row = try RowDecoder.decode(type, key: key, row: body, layout)
        } catch {
            // The error comes from a rule of the type itself, not from the order of columns.
            guard case .decodingFailed = error.problem else { throw error }
            return
        }
        var encoder = RowEncoder(layout)
        do throws(RowError) {
            try encoder.encode(row: row)
        } catch {
            return  // The type itself changes the values that it reads.
        }
        guard
            encoder.key.span.compared(with: key) != 0 || encoder.row.span.compared(with: body) != 0
        else { return }
        let written = try values(key, body, layout.schema)
        let read = try values(encoder.key.span, encoder.row.span, layout.schema)
        let changed = written.indices.filter { written[$0] != read[$0] }
        guard let first = changed.first, isRearranged(changed.map { (written[$0], read[$0]) }),
            let other = changed.first(where: { written[$0] == read[first] })
        else { return }
        throw RowError(
            table: layout.schema.name, column: layout.schema.columns[first].name,
            .exchanged(with: layout.schema.columns[other].name))
    }

    /// Whether the values are the same as before, in other places.
    private static func isRearranged(_ pairs: [(before: StoredValue, after: StoredValue)]) -> Bool {
        var left = pairs.map(\.after)
        for pair in pairs {
            guard let index = left.firstIndex(of: pair.before) else { return false }
            left.swapAt(index, left.count - 1)
            left.removeLast()
        }
        return true
    }

    /// In schema order.
    private static func values(
        _ key: Span<UInt8>, _ body: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [StoredValue] {
        var keys = try KeyCodec.decode(key, schema)[...]
        var others = try RowCodec.decodeRow(body, schema)[...]
        return schema.columns.map { ($0.isKey ? keys.popFirst() : others.popFirst()) ?? .null }
    }
}

extension TableRow {
    /// Throws if ``Key`` cannot be the key of ``schema``, as far as that can be seen without a value.
    static func checkKey() throws(RowError) {
        guard let type = (Key.self as? any ColumnValue.Type)?.columnType else { return }
        let columns = schema.keyColumns
        guard let column = columns.first, columns.count == 1 else {
            throw RowError(
                table: schema.name, .wrongColumnCount(expected: columns.count, got: 1))
        }
        guard column.type == type else {
            throw RowError(
                table: schema.name, column: column.name,
                .wrongType(expected: column.type, got: type))
        }
    }
}
