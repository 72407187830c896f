import EventLog
import WriteBehindCore

// Keys, as the log has them, as parameters of a statement.

extension PostgreSQLTable {
    /// Hands out the columns of a key.
    func append(
        key: Span<UInt8>, _ body: (Int, StoredValue) throws(SinkError) -> Void
    ) throws(SinkError) {
        let values: [StoredValue]
        do throws(RowError) {
            values = try KeyCodec.decode(key, keyColumns, of: schema.name)
        } catch {
            throw SinkError(.corrupt, "\(error)")
        }
        for (place, value) in values.enumerated() { try body(place, value) }
    }

    /// Some keys, as arrays.
    func parameters(of keys: [[UInt8]]) throws(SinkError) -> [ArrayColumn] {
        var columns = self.keys.map { ArrayColumn($0.type.parameter.element) }
        for key in keys {
            try append(key: key.span) { (place, value) throws(SinkError) in
                try value.append(to: &columns[place], self.keys[place])
            }
        }
        return columns
    }
}

extension StoredValue {
    /// Adds a value of a key to a parameter.
    func append(
        to array: inout ArrayColumn, _ column: PostgreSQLTable.Column
    ) throws(SinkError) {
        if case .integer(let value) = self, column.type == .bigint { return array.append(value) }
        var bytes: [UInt8] = []
        switch self {
        case .null: bytes.append(ValueTag.null.rawValue)
        case .integer(let value): bytes.append(rowInteger: value)
        case .real(let value): bytes.append(rowReal: value)
        case .text(let value): bytes.append(rowText: value)
        case .blob(let value): bytes.append(rowBlob: value)
        }
        var reader = ByteReader(0..<bytes.count)
        try column.type.append(&reader, bytes.span, to: &array, column.name)
    }

    /// Adds a value as a parameter of its own.
    func append(
        to parameters: inout PostgreSQLParameters, as type: NaturalType, _ name: String
    ) throws(SinkError) {
        var column = ArrayColumn(type.parameter.element)
        try append(
            to: &column,
            PostgreSQLTable.Column(name: name, plainName: name, type: type, stored: .blob))
        parameters.append(column.single)
    }
}
