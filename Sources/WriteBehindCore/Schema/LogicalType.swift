/// What the values of a column mean, in addition to the ``ColumnType`` as which they are stored.
///
/// It does not change how a value is stored. The definition in the log holds it, so the `writebehind` tool
/// prints a time as a time, and the column's declared type in SQL names it. ``ColumnValue`` lists the logical type of each
/// Swift type.
public struct LogicalType: RawRepresentable, Sendable, Hashable {
    /// Its name in the definition.
    public let rawValue: String

    /// A type by its name. A name that this version does not know is kept, and has no effect.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// An integer: 0 is false, any other value is true.
    public static let boolean = LogicalType(rawValue: "boolean")
    /// Text `YYYY-MM-DD HH:MM:SS.SSS` in UTC, or an integer: seconds since 1970.
    public static let timestamp = LogicalType(rawValue: "timestamp")
    /// A blob of 16 bytes, or text.
    public static let uuid = LogicalType(rawValue: "uuid")
    /// Text in the format JSON.
    public static let json = LogicalType(rawValue: "json")
    /// Text with all digits of a decimal number.
    public static let decimal = LogicalType(rawValue: "decimal")

    /// Whether a column with this type can have this meaning.
    package func fits(_ type: ColumnType) -> Bool {
        switch self {
        case .boolean: type == .integer
        case .timestamp: type == .text || type == .integer
        case .uuid: type == .blob || type == .text
        case .json, .decimal: type == .text
        default: true
        }
    }

    package var isKnown: Bool {
        [.boolean, .timestamp, .uuid, .json, .decimal].contains(self)
    }
}
