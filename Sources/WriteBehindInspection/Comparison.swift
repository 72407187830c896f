package import WriteBehindCore
import WriteBehindSQLite

/// How a value must compare with one that a user typed.
package enum Comparison: String, Sendable, CaseIterable {
    case less = "<"
    case lessOrEqual = "<="
    case equal = "="
    case notEqual = "!="
    case greaterOrEqual = ">="
    case greater = ">"

    /// Compares values of one type as SQLite does: texts and blobs by their bytes. Null is equal only to null,
    /// and neither less nor greater than any value.
    package func holds(_ value: StoredValue, _ wanted: StoredValue) -> Bool {
        switch (value, wanted) {
        case (.integer(let left), .integer(let right)): holds(left, right)
        case (.real(let left), .real(let right)): holds(left, right)
        case (.text(let left), .text(let right)): holds(left.utf8, right.utf8)
        case (.blob(let left), .blob(let right)): holds(left, right)
        case (.null, .null): self == .equal
        case (_, .null): self == .notEqual
        default: false
        }
    }

    func holds<C: Comparable>(_ left: C, _ right: C) -> Bool {
        switch self {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .equal: left == right
        case .notEqual: left != right
        case .greaterOrEqual: left >= right
        case .greater: left > right
        }
    }

    private func holds(
        _ left: some Collection<UInt8>, _ right: some Collection<UInt8>
    ) -> Bool {
        let isLess = left.lexicographicallyPrecedes(right)
        let isEqual = !isLess && left.elementsEqual(right)
        return holds(isLess ? -1 : isEqual ? 0 : 1, 0)
    }
}

extension StoredValue {
    /// Reads a value of a column with this type; nil if the text is not one.
    package init?(_ text: String, as type: ColumnType) {
        switch type {
        case .integer:
            guard let value = Int64(text) else { return nil }
            self = .integer(value)
        case .real:
            guard let value = Double(text), !value.isNaN else { return nil }
            self = .real(value)
        case .text: self = .text(text)
        case .blob:
            let isLiteral = text.count > 2 && text.hasPrefix("x'") && text.hasSuffix("'")
            let digits = isLiteral ? String(text.dropFirst(2).dropLast()) : text
            guard let value = WriteBehindCore.bytes(hexadecimal: digits) else { return nil }
            self = .blob(value)
        }
    }

    /// Reads a value of a column, in the form of ``text(in:)`` or in the stored form; nil if the text is neither.
    package init?(_ text: String, in column: ColumnSchema) {
        if let logical = column.logicalType, let value = StoredValue(text, as: logical, column.type)
        {
            self = value
        } else {
            self.init(text, as: column.type)
        }
    }

    /// Reads the value of a condition: `NULL`, or a value that ``init(_:in:)`` reads. A text may be quoted, so that it can
    /// be `"null"`.
    package init?(condition text: String, in column: ColumnSchema) {
        if text == "NULL" || text == "null" {
            self = .null
        } else if column.type == .text, text.count >= 2, let quote = text.first, quote == text.last,
            quote == "\"" || quote == "'"
        {
            self = .text(String(text.dropFirst().dropLast()))
        } else {
            self.init(text, in: column)
        }
    }
}
