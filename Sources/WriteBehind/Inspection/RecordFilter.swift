import EventLog

/// Which records are wanted. Conditions that are nil or empty let everything pass.
package struct RecordFilter: Sendable {
    package struct Condition: Sendable {
        package var column: String
        package var text: String

        package init(column: String, text: String) {
            self.column = column
            self.text = text
        }
    }

    package var from: UInt64?
    package var through: UInt64?
    /// Milliseconds since 1970; both ends are included.
    package var since: UInt64?
    package var until: UInt64?
    /// Table names; case is ignored.
    package var tables: [String] = []
    package var operations: Set<UInt8> = []
    /// The components of a key, as text.
    package var key: [String]?
    package var conditions: [Condition] = []

    package init() {}

    /// What can be told without decoding.
    package func admits(_ record: LoggedRecord) -> Bool {
        if let from, record.sequence < from { return false }
        if let through, record.sequence > through { return false }
        if let since, record.time < since { return false }
        if let until, record.time > until { return false }
        return operations.isEmpty || operations.contains(record.operation.rawValue)
    }

    package func admits(_ record: DecodedRecord) -> Bool {
        if !tables.isEmpty {
            guard let table = record.table, tables.contains(where: { isSameName($0, table) })
            else { return false }
        }
        if let key {
            guard key.count == record.key.count else { return false }
            for (text, field) in zip(key, record.key) where !field.value.isWritten(text) {
                return false
            }
        }
        return conditions.allSatisfy { condition in
            (record.key + record.values).contains { field in
                isSameName(field.name, condition.column) && field.value.isWritten(condition.text)
            }
        }
    }

    /// Whether no later record can be wanted.
    package func isPast(_ record: LoggedRecord) -> Bool {
        if let through, record.sequence > through { return true }
        if let until, record.time > until { return true }
        return false
    }

    /// Whether no earlier record can be wanted.
    package func isBefore(_ record: LoggedRecord) -> Bool {
        if let from, record.sequence < from { return true }
        if let since, record.time < since { return true }
        return false
    }
}

extension Value {
    /// Whether somebody who types `text` can mean this value: a number by its value, a text as it
    /// is, a blob in hexadecimal, null as `NULL`.
    package func isWritten(_ text: String) -> Bool {
        switch self {
        case .null: text == "NULL" || text == "null"
        case .integer(let value): Int64(text) == value
        case .real(let value): Double(text) == value
        case .text(let value): value.utf8.elementsEqual(text.utf8)
        case .blob(let value):
            Self(text, as: .blob) == .blob(value)
        }
    }

    /// The value that `text` names in a column of this type; nil if it names none.
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
            guard let value = WriteBehind.bytes(hexadecimal: digits) else { return nil }
            self = .blob(value)
        }
    }
}
