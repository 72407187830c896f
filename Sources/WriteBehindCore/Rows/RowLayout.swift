package import EventLog

/// A schema prepared for encoding and decoding: one byte a column instead of names and optionals.
///
/// Immutable, made once a table and schema, and shared by all its encoders and decoders.
package final class RowLayout: Sendable {
    package let schema: TableSchema
    /// One per column, in schema order.
    package let codes: [ColumnCode]
    /// One per column of the key.
    let keyCodes: [ColumnCode]
    /// The number of columns outside the key.
    let valueCount: Int

    package init(_ schema: TableSchema) {
        self.schema = schema
        let lastKey = schema.columns.lastIndex(where: \.isKey)
        codes = schema.columns.enumerated().map { index, column in
            ColumnCode(column, isLastOfKey: index == lastKey)
        }
        keyCodes = codes.filter(\.isKey)
        valueCount = schema.valueColumns.count
    }

    func error(at column: Int, _ problem: RowError.Problem) -> RowError {
        RowError(table: schema.name, column: schema.columns[column].name, problem)
    }
}

/// What the encoder must know of a column, in one byte.
package struct ColumnCode: Sendable {
    private let bits: UInt8

    init(_ column: Column, isLastOfKey: Bool) {
        bits =
            column.type.tag.rawValue | (column.isNullable ? 8 : 0) | (column.isKey ? 16 : 0)
            | (isLastOfKey ? 32 : 0)
    }

    func holds(_ tag: ValueTag) -> Bool { bits & 7 == tag.rawValue }
    package var isNullable: Bool { bits & 8 != 0 }
    package var isKey: Bool { bits & 16 != 0 }
    /// Whether text and blobs end where the key ends, and so stand unescaped.
    package var isLastOfKey: Bool { bits & 32 != 0 }
}

extension ColumnType {
    /// What marks a value of such a column in a row body.
    package var tag: ValueTag {
        switch self {
        case .integer: .integer
        case .real: .real
        case .text: .text
        case .blob: .blob
        }
    }
}
