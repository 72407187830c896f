package import EventLog

/// A schema prepared for encoding and decoding: one byte for each column instead of names and optionals.
///
/// It is immutable, made once for each table and schema, and shared by all encoders and decoders.
package final class RowLayout: Sendable {
    /// The schema of stored rows: its columns outside the key have the order of the values in a row body, and include dropped
    /// columns.
    package let schema: TableSchema
    /// The columns in the order in which the row's type goes through them.
    let columns: [ColumnSchema]
    /// One for each column, in that order.
    package let codes: [ColumnCode]
    /// One for each column of the key.
    let keyCodes: [ColumnCode]
    /// The names of the columns outside the key, in the order of the row's type.
    let valueNames: [String]
    /// Their places in a stored row.
    let places: [Int]
    /// The number of columns outside the key.
    let valueCount: Int
    /// How the order of the type differs from the stored one; nil if it does not.
    let moves: ColumnMoves?
    /// How many values a row must have to be decoded without being rearranged; if columns moved, no row has as many.
    let plainCount: Int

    /// - Parameters:
    ///   - schema: the schema that the row's type declares.
    ///   - stored: the schema of the table. It has the same columns and perhaps more, those of the key in the same order.
    package init(_ schema: TableSchema, storedAs stored: TableSchema? = nil) {
        columns = schema.columns
        let lastKey = columns.lastIndex(where: \.isKey)
        codes = columns.enumerated().map { index, column in
            ColumnCode(column, isLastOfKey: index == lastKey)
        }
        keyCodes = codes.filter(\.isKey)
        valueNames = schema.valueColumns.map(\.name)
        valueCount = valueNames.count
        places = stored?.valuePlaces(of: schema) ?? Array(valueNames.indices)
        moves = ColumnMoves(places)
        plainCount = moves == nil ? valueCount : -1
        guard let stored else {
            self.schema = schema
            return
        }
        // Uses the table's defaults, because rows that lack a column have these.
        let count = (places.max() ?? -1) + 1
        self.schema = TableSchema(
            schema.name, schema.keyColumns + stored.valueColumns.prefix(count),
            expiry: schema.expiry)
    }

    /// Whether the table has columns that rows of the type lack.
    func lacksColumns(of table: TableSchema) -> Bool {
        let known = Set(places)
        return table.valueColumns.indices.contains { place in
            !table.valueColumns[place].isDropped && !known.contains(place)
        }
    }

    /// The place of a column outside the key, by the name that the row's type has for it, or the table's.
    func valueIndex(of name: String) -> Int? {
        valueNames.firstIndex { isSameName($0, name) }.map { places[$0] }
            ?? schema.valueIndex(of: name)
    }

    /// The name of each column of the table outside the key, by its place in a row: the name in the row's type, or
    /// else the name in the table. nil for a dropped column, and for a column whose name the type uses for another column,
    /// because the type is from before a renaming.
    func names(in table: TableSchema) -> [String?] {
        let own = Set(valueNames.map(foldedName))
        var names = table.valueColumns.map { column in
            column.isDropped || own.contains(foldedName(column.name)) ? nil : column.name
        }
        for (place, name) in zip(places, valueNames) where !table.valueColumns[place].isDropped {
            names[place] = name
        }
        return names
    }

    /// Whether a column, in the order of the row's type, held integers before.
    func isWidened(_ index: Int) -> Bool {
        let isWidened = schema.valueColumns.contains { $0.wasInteger }
        guard isWidened, !columns[index].isKey else { return false }
        let value = columns[..<index].count { !$0.isKey }
        return schema.valueColumns[places[value]].wasInteger
    }

    func error(at column: Int, _ problem: RowError.Problem) -> RowError {
        RowError(table: schema.name, column: columns[column].name, problem)
    }
}

/// The facts about a column that the encoder needs, in one byte.
package struct ColumnCode: Sendable {
    private let bits: UInt8

    init(_ column: ColumnSchema, isLastOfKey: Bool) {
        bits =
            column.type.tag.rawValue | (column.isNullable ? 8 : 0) | (column.isKey ? 16 : 0)
            | (isLastOfKey ? 32 : 0)
    }

    func holds(_ tag: ValueTag) -> Bool { bits & 7 == tag.rawValue }
    package var isNullable: Bool { bits & 8 != 0 }
    package var isKey: Bool { bits & 16 != 0 }
    /// Whether a text or blob ends where the key ends, and so is not escaped.
    package var isLastOfKey: Bool { bits & 32 != 0 }
}

extension ColumnType {
    /// The tag of a value of such a column in a row body.
    package var tag: ValueTag {
        switch self {
        case .integer: .integer
        case .real: .real
        case .text: .text
        case .blob: .blob
        }
    }
}
