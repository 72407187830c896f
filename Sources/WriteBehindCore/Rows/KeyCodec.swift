import EventLog

// A key: one component per key column, in the grammar of ValueBytes.swift. Keys compare bytewise
// as the database orders its primary keys, and are never null.

package enum KeyCodec {
    /// The key with these values of the key columns, given in schema order.
    package static func encode(
        _ values: [StoredValue], _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        let columns = schema.keyColumns
        guard values.count == columns.count else {
            throw RowError(
                table: schema.name,
                .wrongColumnCount(expected: columns.count, got: values.count))
        }
        var key: [UInt8] = []
        for (index, value) in values.enumerated() {
            try schema.check(value, columns[index])
            key.append(component: value, isLast: index == columns.count - 1)
        }
        try schema.check(keyLength: key.count)
        return key
    }

    /// The first bytes of every key that has these values in its first columns.
    ///
    /// - Parameter values: fewer than there are key columns.
    package static func encode(
        prefix values: [StoredValue], _ schema: TableSchema
    ) throws(RowError) -> [UInt8] {
        var prefix: [UInt8] = []
        for (value, column) in zip(values, schema.keyColumns.dropLast()) {
            try schema.check(value, column)
            prefix.append(component: value, isLast: false)
        }
        try schema.check(keyLength: prefix.count)
        return prefix
    }

    /// The values of the key columns, in schema order.
    /// - Throws: ``RowError`` for bytes that are not a key of this table; any bytes may be given.
    package static func decode(
        _ key: Span<UInt8>, _ schema: TableSchema
    ) throws(RowError) -> [StoredValue] {
        try decode(key, schema.keyColumns, of: schema.name)
    }

    /// ``decode(_:_:)`` for a caller that has the key columns at hand.
    package static func decode(
        _ key: Span<UInt8>, _ columns: [ColumnSchema], of table: String
    ) throws(RowError) -> [StoredValue] {
        var reader = ByteReader(0..<key.count)
        var values: [StoredValue] = []
        for (index, column) in columns.enumerated() {
            do throws(Damage) {
                let isLast = index == columns.count - 1
                values.append(try reader.component(column.type, isLast: isLast, key))
            } catch {
                throw RowError(table: table, column: column.name, error.problem)
            }
        }
        guard reader.isAtEnd else {
            throw RowError(table: table, .malformed("bytes follow the key"))
        }
        return values
    }
}

extension [UInt8] {
    fileprivate mutating func append(component value: StoredValue, isLast: Bool) {
        switch value {
        case .null: break
        case .integer(let value): append(keyInteger: value)
        case .real(let value): append(keyReal: value)
        case .text(let value): append(keyText: value, isLast: isLast)
        case .blob(let value): append(keyBlob: value, isLast: isLast)
        }
    }
}

extension TableSchema {
    /// A key as text for people: `"UA", 123`; a question mark for bytes that are not a key.
    func text(ofKey key: [UInt8]) -> String {
        guard let values = try? KeyCodec.decode(key.span, self) else { return "?" }
        return zip(keyColumns, values).map { $1.text(in: $0) }.joined(separator: ", ")
    }

    func check(_ value: StoredValue, _ column: ColumnSchema) throws(RowError) {
        let problem: RowError.Problem
        if case .real(let number) = value, number.isNaN {
            problem = .notANumber
        } else if let type = value.type {
            if type == column.type { return }
            problem = .wrongType(expected: column.type, got: type)
        } else {
            if column.isNullable { return }
            problem = .unexpectedNull
        }
        throw RowError(table: name, column: column.name, problem)
    }

    func check(keyLength: Int) throws(RowError) {
        guard keyLength <= Record.keyLimit else {
            throw RowError(table: name, .keyTooLong(bytes: keyLength, limit: Record.keyLimit))
        }
    }
}
