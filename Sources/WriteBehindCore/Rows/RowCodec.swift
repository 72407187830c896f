import EventLog

// Row and patch bodies, between bytes and values. The bytes of single values are in
// ValueBytes.swift.
//
//   row    := varint(count) value*                    the columns outside the key, in schema order
//   patch  := varint(count) (varint(column) value)*   ascending, each column at most once; columns
//                                                     count among those outside the key
//
// A row may hold fewer values than the schema has columns, if it was written before they were added. The missing values are
// the columns' defaults. It may hold more values, if the schema is that of an older program.

package enum RowCodec {
    /// The key and row body of a whole row, given as one value per column in schema order.
    package static func encode(
        _ values: [StoredValue], _ schema: TableSchema
    ) throws(RowError) -> (key: [UInt8], row: [UInt8]) {
        guard values.count == schema.columns.count else {
            throw RowError(
                table: schema.name,
                .wrongColumnCount(expected: schema.columns.count, got: values.count))
        }
        var keyValues: [StoredValue] = []
        var rowValues: [StoredValue] = []
        for (column, value) in zip(schema.columns, values) {
            if column.isKey { keyValues.append(value) } else { rowValues.append(value) }
        }
        let key = try KeyCodec.encode(keyValues, schema)
        return (key, try encodeRow(rowValues, schema))
    }

    /// A whole row, one value per column in schema order, from its key and row body.
    package static func decode(
        key: Span<UInt8>, row: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [StoredValue] {
        var keyValues = try KeyCodec.decode(key, schema).makeIterator()
        var rowValues = try decodeRow(row, schema).makeIterator()
        var values: [StoredValue] = []
        for column in schema.columns {
            // Both decoders return exactly one value per column.
            values.append((column.isKey ? keyValues.next() : rowValues.next()) ?? .null)
        }
        return values
    }

    /// The row body with these values of the columns outside the key.
    package static func encodeRow(
        _ values: [StoredValue], _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        let columns = schema.valueColumns
        guard values.count == columns.count else {
            throw RowError(
                table: schema.name, .wrongColumnCount(expected: columns.count, got: values.count))
        }
        var row: [UInt8] = []
        row.append(varint: UInt64(values.count))
        for (column, value) in zip(columns, values) {
            try schema.check(value, column)
            row.append(row: value)
        }
        return row
    }

    /// The values of all columns outside the key, with defaults for columns that the row lacks.
    package static func decodeRow(
        _ row: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [StoredValue] {
        var reader = ByteReader(0..<row.count)
        let columns = schema.valueColumns
        let count = try schema.valueCount(&reader, row)
        var values: [StoredValue] = []
        values.reserveCapacity(columns.count)
        for column in columns[..<count] { values.append(try schema.value(column, &reader, row)) }
        try schema.checkEnd(reader)
        for column in columns[count...] {
            try schema.check(column.missingValue, column)
            values.append(column.missingValue)
        }
        return values
    }

    /// The value of one column outside the key. The columns behind it are not read.
    package static func value(
        at index: Int, in row: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> StoredValue {
        var reader = ByteReader(0..<row.count)
        let column = schema.valueColumns[index]
        guard index < (try schema.anyCount(&reader, row)) else { return column.missingValue }
        for _ in 0..<index { _ = try schema.skipValue(&reader, row) }
        return try schema.value(column, &reader, row)
    }

    /// The row body with these values, for any columns.
    package static func body(_ values: [StoredValue]) -> [UInt8] {
        var row: [UInt8] = []
        row.append(varint: UInt64(values.count))
        for value in values { row.append(row: value) }
        return row
    }

    /// The default of each column outside the key, in the form of a row body.
    package static func defaults(_ schema: TableSchema) -> [[UInt8]] {
        schema.valueColumns.map { column in
            var bytes: [UInt8] = []
            bytes.append(row: column.missingValue)
            return bytes
        }
    }

    /// The same row without the columns that the schema lacks, or nil if it lacks none.
    package static func trimmed(
        _ row: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [UInt8]? {
        var reader = ByteReader(0..<row.count)
        let count = try schema.anyCount(&reader, row)
        let known = schema.valueColumns.count
        guard count > known else { return nil }
        let start = reader.offset
        for _ in 0..<known { _ = try schema.skipValue(&reader, row) }
        var bytes: [UInt8] = []
        bytes.append(varint: UInt64(known))
        bytes += copy(row.extracting(start..<reader.offset))
        for _ in known..<count { _ = try schema.skipValue(&reader, row) }
        try schema.checkEnd(reader)
        return bytes
    }

    /// The same row in the present form of its table: with the defaults of columns that it lacks, without the values of
    /// dropped columns, and with reals instead of integers in columns that hold reals now; nil if it already has that form.
    package static func completed(
        _ row: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [UInt8]? {
        var reader = ByteReader(0..<row.count)
        let count = try schema.valueCount(&reader, row)
        if !schema.isPlain {
            let current = try encodeRow(decodeRow(row, schema), schema)
            return row.compared(with: current.span) == 0 ? nil : current
        }
        guard count < schema.valueColumns.count else { return nil }
        var bytes: [UInt8] = []
        bytes.append(varint: UInt64(schema.valueColumns.count))
        bytes.append(contentsOf: copy(row.extracting(reader.offset...)))
        for column in schema.valueColumns[count...] {
            try schema.check(column.missingValue, column)
            bytes.append(row: column.missingValue)
        }
        return bytes
    }
}

extension TableSchema {
    /// Reads the number of values at the start of a row or patch body.
    func valueCount(
        _ reader: inout ByteReader, _ body: Span<UInt8>
    ) throws(RowError) -> Int {
        let count: Int
        do throws(Damage) {
            count = try reader.count(body)
        } catch {
            throw RowError(table: name, error.problem)
        }
        guard count <= valueColumns.count else {
            throw RowError(
                table: name, .wrongColumnCount(expected: valueColumns.count, got: count))
        }
        return count
    }

    /// Reads that number if the table may have more columns by now.
    fileprivate func anyCount(
        _ reader: inout ByteReader, _ body: Span<UInt8>
    ) throws(RowError) -> Int {
        do throws(Damage) {
            return try reader.count(body)
        } catch {
            throw RowError(table: name, error.problem)
        }
    }

    func value(
        _ column: ColumnSchema, _ reader: inout ByteReader, _ body: Span<UInt8>
    ) throws(RowError) -> StoredValue {
        do throws(Damage) {
            let tag = try reader.tag(body)
            if column.isDropped {
                reader.offset -= 1
                try Damage.naming { () throws(MalformedRecord) in try reader.skipValue(body) }
                return .null
            }
            // The tag is checked first, so that a blob in the wrong column is not copied.
            let isExpected =
                tag == .null
                ? column.isNullable
                : tag == column.type.tag || column.wasInteger && tag == .integer
            guard isExpected else { throw Damage(column.problem(with: tag)) }
            let value = try reader.value(tag, body)
            return column.wasInteger ? value.asReal : value
        } catch {
            throw RowError(table: name, column: column.name, error.problem)
        }
    }

    func checkEnd(_ reader: ByteReader) throws(RowError) {
        guard reader.isAtEnd else {
            throw RowError(table: name, .malformed("bytes follow the row"))
        }
    }
}

extension ColumnSchema {
    func problem(with tag: ValueTag) -> RowError.Problem {
        if tag == .wide { return .sumOutOfRange }
        guard let got = ColumnType.allCases.first(where: { $0.tag == tag }) else {
            return .unexpectedNull
        }
        return .wrongType(expected: type, got: got)
    }
}
