/// A row of a table as a Swift type.
///
/// `@Table` writes the conformance for a struct. By hand it is this:
///
/// ```swift
/// struct Flight: TableRow {
///     typealias Key = Int
///     static let schema = TableSchema("flight", [
///         .key("number", .integer), .column("carrier", .text),
///         .column("delay", .integer, nullable: true),
///     ])
///     var number: Int, carrier: String, delay: Int?
///
///     func encode(to encoder: inout RowEncoder) {
///         encoder.encode(number)
///         encoder.encode(carrier)
///         encoder.encode(delay)
///     }
///     init(from decoder: inout RowDecoder) throws {
///         number = try decoder.decode()
///         carrier = try decoder.decode()
///         delay = try decoder.decode()
///     }
/// }
/// ```
///
/// Both methods go through *all* columns in the order of ``schema``, those of the key included. A
/// mistake (another type than the column's, a column too few) is an error at the first write or
/// read, naming table and column. So is an order that differs between the two: the first rows that are put
/// through a handle are also read back, by `init(from:)`, and encoded again, before they are logged. A ``Key`` of
/// another type than the key column's is an error of ``Store/table(_:)``.
///
/// The store calls both methods with no other values than those of your own rows. Neither must trap. If your program
/// only writes rows of a type, let its `init(from:)` throw an error of yours: the row is logged all the same, and a read
/// throws ``RowError/Problem/decodingFailed(_:)`` with the text of the error.
public protocol TableRow: Sendable {
    /// The key by which a row is found: a single value, or a type of yours for a composite key.
    associatedtype Key: RowKey

    /// The columns outside the key, for key paths; `@Table` makes it.
    associatedtype StoredColumns: TableColumns = NoStoredColumns

    /// The table that its rows are of; the same at every call.
    static var schema: TableSchema { get }

    /// Writes every column, in schema order.
    func encode(to encoder: inout RowEncoder)

    /// Reads every column, in schema order.
    init(from decoder: inout RowDecoder) throws
}

extension TableRow {
    /// Whether the columns are the properties, so that coding follows their order by itself. A type that is coded by hand
    /// would silently write into the wrong column if only its schema were put into another order.
    static var hasNamedColumns: Bool { StoredColumns.self != NoStoredColumns.self }
}

/// A row's key. Conform a type of yours for a composite one.
///
/// ```swift
/// struct FlightKey: RowKey {
///     var day: String, number: Int
///     func encode(to encoder: inout KeyEncoder) {
///         encoder.encode(day)
///         encoder.encode(number)
///     }
///     init(from decoder: inout RowDecoder) throws {
///         day = try decoder.decode()
///         number = try decoder.decode()
///     }
/// }
/// ```
public protocol RowKey: IndexValue {
    /// Writes every key column, in schema order.
    func encode(to encoder: inout KeyEncoder)

    /// Reads every key column, in schema order.
    init(from decoder: inout RowDecoder) throws
}
