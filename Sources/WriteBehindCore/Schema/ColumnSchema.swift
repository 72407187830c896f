/// A column of a table: its name, its type, and whether it is part of the key.
public struct ColumnSchema: Sendable, Hashable {
    /// Its name in SQL. Names are compared without the case of ASCII letters.
    public private(set) var name: String
    /// The type of its values.
    public private(set) var type: ColumnType
    /// What the values mean; nil if they mean nothing more than their type.
    public private(set) var logicalType: LogicalType?
    /// Whether the column is part of the primary key. Key columns are never null.
    public private(set) var isKey: Bool
    /// Whether a row may have null in it.
    public private(set) var isNullable: Bool
    /// The column's value in rows that were written before it was added; if it is nil, they have null.
    public private(set) var defaultValue: StoredValue?
    /// Its former names, the latest name last.
    public private(set) var formerNames: [String]
    /// Whether it held integers before. Rows from that time still hold them.
    package internal(set) var wasInteger = false
    /// Whether it was dropped. It keeps its place, because older rows hold a value there, which is not read any more.
    package private(set) var isDropped = false
    /// Why the value of a property cannot be a default; ``TableSchema/validate()`` throws it.
    var unfitDefault: String?

    private init(
        name: String, type: ColumnType, logicalType: LogicalType?, isKey: Bool, isNullable: Bool,
        defaultValue: StoredValue?, formerNames: [String]
    ) {
        self.name = name
        self.type = type
        self.logicalType = logicalType
        self.isKey = isKey
        self.isNullable = isNullable
        self.defaultValue = defaultValue
        self.formerNames = formerNames
    }

    /// A column of the primary key. Several make a composite key, in the order in which they are listed.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - type: the type of its values.
    ///   - logicalType: what the values mean.
    ///   - formerNames: its former names.
    public static func key(
        _ name: String, _ type: ColumnType, as logicalType: LogicalType? = nil,
        formerly formerNames: String...
    ) -> ColumnSchema {
        ColumnSchema(
            name: name, type: type, logicalType: logicalType, isKey: true, isNullable: false,
            defaultValue: nil, formerNames: formerNames)
    }

    /// A column outside the key.
    ///
    /// A column that is added to an existing table must be nullable or have a default.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - type: the type of its values.
    ///   - logicalType: what the values mean.
    ///   - formerNames: its former names. A column of the table with such a name is renamed.
    ///   - nullable: whether a row may have null in it.
    ///   - defaultValue: the value of older rows; ``StoredValue/null`` is the same as none.
    public static func column(
        _ name: String, _ type: ColumnType, as logicalType: LogicalType? = nil,
        formerly formerNames: String..., nullable: Bool = false,
        default defaultValue: StoredValue? = nil
    ) -> ColumnSchema {
        ColumnSchema(
            name: name, type: type, logicalType: logicalType, isKey: false, isNullable: nullable,
            defaultValue: defaultValue == .null ? nil : defaultValue, formerNames: formerNames)
    }

    /// This column with its former names; `@Table` writes this.
    public func formerly(_ names: String...) -> ColumnSchema {
        var column = self
        column.formerNames = names
        return column
    }

    /// A column that was read from a definition, which is not validated yet.
    init(_ form: DefinitionForm.ColumnForm) {
        self.init(
            name: form.name, type: form.type,
            logicalType: form.logical.map { LogicalType(rawValue: $0) }, isKey: form.key ?? false,
            isNullable: form.nullable ?? false, defaultValue: form.default?.value,
            formerNames: form.formerly ?? [])
        wasInteger = form.wasInteger ?? false
        isDropped = form.dropped ?? false
    }

    /// The value of a row that lacks the column.
    package var missingValue: StoredValue { defaultValue ?? .null }
}

// How a column changes when its table is declared in another way.
extension ColumnSchema {
    /// The column as a dropped one, which only keeps its place in the table.
    package var dropped: ColumnSchema {
        var column = ColumnSchema(
            // It keeps its logical type, because a table that is not STRICT must stay so: columns that users added may hold
            // values of any type.
            name: "", type: type, logicalType: logicalType, isKey: isKey, isNullable: true,
            defaultValue: nil, formerNames: [])
        column.isDropped = true
        return column
    }

    /// This column of a table changed to a new declaration: with the new name and meaning, and the properties that a column
    /// keeps.
    ///
    /// - Parameter keepsDefault: whether the table's default stays, whatever the declaration says. The defaults of `@Table`
    ///   are for new rows.
    package func declared(as new: ColumnSchema, keepsDefault: Bool) -> ColumnSchema {
        var column = new
        let isRename =
            !isSameName(name, new.name) && new.formerNames.contains { isSameName($0, name) }
        column.name = isRename ? new.name : name
        column.formerNames = formerNames + (isRename ? [name] : [])
        let widens = type == .integer && new.type == .real && !isKey && !new.isKey
        column.wasInteger = wasInteger || widens
        if new.logicalType == nil, let logicalType, logicalType.fits(new.type) {
            column.logicalType = logicalType
        }
        let known = widens ? defaultValue?.asReal : defaultValue
        if !isKey, !new.isKey, keepsDefault, known == nil || known?.type == new.type {
            column.defaultValue = known
        }
        return column
    }
}

extension StoredValue {
    /// The same number as a real, if it is an integer.
    package var asReal: StoredValue {
        if case .integer(let value) = self { return .real(Double(value)) }
        return self
    }
}

/// Whether SQLite treats two names as the same: ASCII letters are compared without case, everything else as
/// bytes.
package func isSameName(_ one: String, _ other: String) -> Bool {
    one.utf8.count == other.utf8.count
        && zip(one.utf8, other.utf8).allSatisfy { foldedCase($0) == foldedCase($1) }
}

/// A name in one form for all its spellings. The bytes of two names are equal exactly if SQLite treats them as the same.
package func foldedName(_ name: String) -> [UInt8] { name.utf8.map(foldedCase) }

private func foldedCase(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
