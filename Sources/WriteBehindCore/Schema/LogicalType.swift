/// What the values of a column mean, beside the ``ColumnType`` that they are stored as.
///
/// It changes nothing about how a value is stored. The definition in the log holds it, so that the `writebehind` tool
/// prints a time as a time, and the column's declared type in SQL names it. ``ColumnValue`` lists which Swift type
/// has which.
public struct LogicalType: RawRepresentable, Sendable, Hashable {
    /// Its name in the definition.
    public let rawValue: String

    /// A type by its name. One that this version does not know is kept, and changes nothing.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// An integer: 0 is false, any other is true.
    public static let boolean = LogicalType(rawValue: "boolean")
    /// Text `YYYY-MM-DD HH:MM:SS.SSS` in UTC, or an integer: seconds since 1970.
    public static let timestamp = LogicalType(rawValue: "timestamp")
    /// A blob of 16 bytes, or text.
    public static let uuid = LogicalType(rawValue: "uuid")
    /// Text.
    public static let json = LogicalType(rawValue: "json")
    /// Text, with all digits.
    public static let decimal = LogicalType(rawValue: "decimal")

    /// Whether a column that stores this type can mean that.
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
