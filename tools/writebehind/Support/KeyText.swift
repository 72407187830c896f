import ArgumentParser
import Foundation
import WriteBehind
import WriteBehindInspection

/// A key as it is typed: `123`, `2013-01-01,UA,1545,EWR`, or `["a,b",1]`.
enum KeyText {
    static func components(_ text: String) throws -> [String] {
        guard text.hasPrefix("[") else {
            return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        guard let items = try? JSONDecoder().decode([Item].self, from: Data(text.utf8)) else {
            throw ValidationError("--key: not a JSON array of texts and numbers.")
        }
        return items.map(\.text)
    }

    /// The bytes of a key that was typed.
    static func encode(_ text: String, _ schema: TableSchema) throws -> [UInt8] {
        let components = try components(text)
        let columns = schema.keyColumns
        guard components.count == columns.count else {
            let names = columns.map { plain($0.name) }.joined(separator: ", ")
            throw ValidationError(
                "The key of \(plain(schema.name)) is \(names): \(columns.count) values, "
                    + "not \(components.count).")
        }
        var values: [StoredValue] = []
        for (column, text) in zip(columns, components) {
            guard let value = StoredValue(text, in: column) else {
                throw ValidationError(
                    "\(WriteBehindText.quoted(text)) is no \(column.meaning) "
                        + "(\(plain(column.name))).")
            }
            values.append(value)
        }
        return try KeyCodec.encode(values, schema)
    }

    private struct Item: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self.text = text
            } else if let number = try? container.decode(Int64.self) {
                text = "\(number)"
            } else {
                text = "\(try container.decode(Double.self))"
            }
        }
    }
}

extension ColumnSchema {
    /// The name of the type of its values.
    var meaning: String { logicalType?.rawValue ?? type.rawValue }
}
