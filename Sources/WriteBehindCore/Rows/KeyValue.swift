/// Bytes under a name: a row of the table `keyvalue`, for stores that need no columns. See
/// ``Store/keyValues()``.
public struct KeyValue: TableRow, Hashable {
    public typealias Key = String

    /// The table `keyvalue`, with a text and a blob.
    public static let schema = TableSchema(
        "keyvalue", [.key("key", .text), .column("value", .blob)])

    /// The key.
    public var key: String
    /// Its content.
    public var value: [UInt8]

    /// Makes a row; nothing is written yet.
    public init(key: String, value: [UInt8]) {
        self.key = key
        self.value = value
    }

    public func encode(to encoder: inout RowEncoder) {
        encoder.encode(key)
        encoder.encode(value)
    }

    public init(from decoder: inout RowDecoder) throws {
        key = try decoder.decode()
        value = try decoder.decode()
    }
}
