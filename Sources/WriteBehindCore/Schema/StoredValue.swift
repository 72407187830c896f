/// One value of a row, in one of the five forms that SQLite stores.
///
/// Two texts are equal if their UTF-8 is equal, as in the database: a composed and a decomposed "é"
/// are different values, although they are equal as a Swift `String`. NaN is never stored (writing
/// it is an error), and -0.0 is stored as 0.0.
public enum StoredValue: Sendable {
    /// SQL's `NULL`.
    case null
    /// A signed integer of 64 bits.
    case integer(Int64)
    /// A double-precision number.
    case real(Double)
    /// UTF-8 text.
    case text(String)
    /// Bytes.
    case blob([UInt8])

    /// The type of the column that holds such a value; nil for ``null``, which any nullable
    /// column can hold.
    public var type: ColumnType? {
        switch self {
        case .null: nil
        case .integer: .integer
        case .real: .real
        case .text: .text
        case .blob: .blob
        }
    }
}

extension StoredValue: Hashable {
    public static func == (one: StoredValue, other: StoredValue) -> Bool {
        switch (one, other) {
        case (.null, .null): true
        case (.integer(let one), .integer(let other)): one == other
        case (.real(let one), .real(let other)): one == other
        case (.text(let one), .text(let other)): one.utf8.elementsEqual(other.utf8)
        case (.blob(let one), .blob(let other)): one == other
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0 as UInt8)
        case .integer(let value): hasher.combine(value)
        case .real(let value): hasher.combine(value)
        case .text(let value): for byte in value.utf8 { hasher.combine(byte) }
        case .blob(let value): hasher.combine(value)
        }
    }
}

/// The type of a column's values, as they are stored. A write with a value of another type is refused.
public enum ColumnType: String, Sendable, Hashable, Codable, CaseIterable {
    /// A signed integer of 64 bits.
    case integer
    /// A double-precision number; infinities are allowed, NaN is not.
    case real
    /// UTF-8 text; may contain NUL.
    case text
    /// Bytes.
    case blob
}
