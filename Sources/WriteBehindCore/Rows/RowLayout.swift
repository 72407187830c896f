package import EventLog

/// A schema prepared for encoding and decoding: one byte a column instead of names and optionals.
///
/// Immutable, made once a table and schema, and shared by all its encoders and decoders.
package final class RowLayout: Sendable {
    /// As rows are stored: its columns outside the key have the order of the values in a row body, those that were
    /// dropped among them.
    package let schema: TableSchema
    /// In the order in which the row's type goes through them.
    let columns: [ColumnSchema]
    /// One per column, in that order.
    package let codes: [ColumnCode]
    /// One per column of the key.
    let keyCodes: [ColumnCode]
    /// The names of those outside the key, in the order of the row's type.
    let valueNames: [String]
    /// Their places in a stored row.
    let places: [Int]
    /// The number of columns outside the key.
    let valueCount: Int
    /// How the order of the type differs from the stored one; nil if it does not.
    let moves: ColumnMoves?
    /// How many values a row has that can be decoded as it is; none can where columns moved.
    let plainCount: Int

    /// - Parameters:
    ///   - schema: as the row's type declares it.
    ///   - stored: as the table has it: the same columns, those of the key in the same order, and then perhaps more.
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
        // With the table's defaults, which are those of the rows that lack a column.
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

    /// What each column of the table outside the key is called, by its place in a row: as the row's type calls it, or
    /// else the table. nil for one that was dropped, and for one whose name the type has for another, from before it was
    /// renamed.
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
    /// Whether text and blobs end where the key ends, and so are not escaped.
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
