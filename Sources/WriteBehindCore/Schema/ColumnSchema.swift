/// A column of a table: its name, what it holds, and whether it is part of the key.
public struct ColumnSchema: Sendable, Hashable {
    /// Its name in SQL; names compare without the case of ASCII letters.
    public private(set) var name: String
    /// Its content.
    public private(set) var type: ColumnType
    /// What that means, if it is more than what is stored.
    public private(set) var logicalType: LogicalType?
    /// Whether the column is part of the primary key. Key columns are never null.
    public private(set) var isKey: Bool
    /// Whether a row may have null in it.
    public private(set) var isNullable: Bool
    /// The column's value in rows that were written before it was added; null if there is none.
    public private(set) var defaultValue: StoredValue?
    /// What it was called before, the latest name last.
    public private(set) var formerNames: [String]
    /// Whether it held integers before, and rows from then still do.
    package private(set) var wasInteger = false
    /// Whether the table has it no more. It keeps its place: rows from before hold a value there, which nobody reads.
    package private(set) var isDropped = false
    /// Why a property's value cannot be the default, though it should be: see ``TableSchema/validate()``.
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

    /// A column of the primary key. Several make a composite key, in the order they are listed.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - type: what it holds.
    ///   - logicalType: what that means.
    ///   - formerNames: what it was called before.
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
    ///   - type: what it holds.
    ///   - logicalType: what that means.
    ///   - formerNames: what it was called before: a column of that name gets this one.
    ///   - nullable: whether a row may have null in it.
    ///   - defaultValue: what older rows hold; ``StoredValue/null`` is the same as none.
    public static func column(
        _ name: String, _ type: ColumnType, as logicalType: LogicalType? = nil,
        formerly formerNames: String..., nullable: Bool = false,
        default defaultValue: StoredValue? = nil
    ) -> ColumnSchema {
        ColumnSchema(
            name: name, type: type, logicalType: logicalType, isKey: false, isNullable: nullable,
            defaultValue: defaultValue == .null ? nil : defaultValue, formerNames: formerNames)
    }

    /// This column, which was called otherwise before; `@Table` writes this.
    public func formerly(_ names: String...) -> ColumnSchema {
        var column = self
        column.formerNames = names
        return column
    }

    /// A column read from a definition, where a key may claim anything until it is validated.
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

// What becomes of a column when its table is declared in another way.
extension ColumnSchema {
    /// This place of the table, without the column.
    package var dropped: ColumnSchema {
        var column = ColumnSchema(
            // A table that is not STRICT for its sake stays so: what users added to it may be of any type.
            name: "", type: type, logicalType: logicalType, isKey: isKey, isNullable: true,
            defaultValue: nil, formerNames: [])
        column.isDropped = true
        return column
    }

    /// The column of a table as a declaration wants it now: its name and meaning, and what it keeps of what it was.
    ///
    /// - Parameter keepsDefault: whether the table's default holds, whatever the declaration says: `@Table`'s are those
    ///   of new rows.
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
    /// The number that a column of reals holds for an integer.
    package var asReal: StoredValue {
        if case .integer(let value) = self { return .real(Double(value)) }
        return self
    }
}

/// Whether SQLite takes two names for the same: ASCII letters compare without case, all else as
/// bytes.
package func isSameName(_ one: String, _ other: String) -> Bool {
    one.utf8.count == other.utf8.count
        && zip(one.utf8, other.utf8).allSatisfy { foldedCase($0) == foldedCase($1) }
}

/// A name in the one form that all its spellings share; equal as bytes exactly if the names are.
package func foldedName(_ name: String) -> [UInt8] { name.utf8.map(foldedCase) }

private func foldedCase(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
