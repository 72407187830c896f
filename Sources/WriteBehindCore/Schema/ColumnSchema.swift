/// A column of a table: its name, what it holds, and whether it is part of the key.
public struct ColumnSchema: Sendable, Hashable {
    /// Its name in SQL; names compare without the case of ASCII letters.
    public let name: String
    /// Its content.
    public let type: ColumnType
    /// What that means, if it is more than what is stored.
    public let logicalType: LogicalType?
    /// Whether the column is part of the primary key. Key columns are never null.
    public let isKey: Bool
    /// Whether a row may have null in it.
    public let isNullable: Bool
    /// The column's value in rows that were written before it was added; null if there is none.
    public let defaultValue: StoredValue?
    /// Why a property's value cannot be the default, though it should be: see ``TableSchema/validate()``.
    var unfitDefault: String?

    private init(
        name: String, type: ColumnType, logicalType: LogicalType?, isKey: Bool, isNullable: Bool,
        defaultValue: StoredValue?
    ) {
        self.name = name
        self.type = type
        self.logicalType = logicalType
        self.isKey = isKey
        self.isNullable = isNullable
        self.defaultValue = defaultValue
    }

    /// A column of the primary key. Several make a composite key, in the order they are listed.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - type: what it holds.
    ///   - logicalType: what that means.
    public static func key(
        _ name: String, _ type: ColumnType, as logicalType: LogicalType? = nil
    ) -> ColumnSchema {
        ColumnSchema(
            name: name, type: type, logicalType: logicalType, isKey: true, isNullable: false,
            defaultValue: nil)
    }

    /// A column outside the key.
    ///
    /// A column that is added to an existing table must be nullable or have a default.
    ///
    /// - Parameters:
    ///   - name: its name in SQL.
    ///   - type: what it holds.
    ///   - logicalType: what that means.
    ///   - nullable: whether a row may have null in it.
    ///   - defaultValue: what older rows hold; ``StoredValue/null`` is the same as none.
    public static func column(
        _ name: String, _ type: ColumnType, as logicalType: LogicalType? = nil,
        nullable: Bool = false, default defaultValue: StoredValue? = nil
    ) -> ColumnSchema {
        ColumnSchema(
            name: name, type: type, logicalType: logicalType, isKey: false, isNullable: nullable,
            defaultValue: defaultValue == .null ? nil : defaultValue)
    }

    /// A column read from a definition, where a key may claim anything until it is validated.
    init(_ form: DefinitionForm.ColumnForm) {
        self.init(
            name: form.name, type: form.type,
            logicalType: form.logical.map { LogicalType(rawValue: $0) }, isKey: form.key ?? false,
            isNullable: form.nullable ?? false, defaultValue: form.default?.value)
    }

    /// This column with the meaning that a table's has, if its own declaration leaves that open.
    func keepingLogicalType(of known: ColumnSchema?) -> ColumnSchema {
        guard logicalType == nil, let logical = known?.logicalType, logical.fits(type) else {
            return self
        }
        var column = ColumnSchema(
            name: name, type: type, logicalType: logical, isKey: isKey, isNullable: isNullable,
            defaultValue: defaultValue)
        column.unfitDefault = unfitDefault
        return column
    }

    /// The value of a row that lacks the column.
    package var missingValue: StoredValue { defaultValue ?? .null }
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
