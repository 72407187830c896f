/// A row of a table as a Swift type.
///
/// `@Table` writes the conformance for a struct. Written by hand, it looks like this:
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
/// read; it names table and column. If the order differs between the two methods, that is an error as well: the first
/// rows that are put through a handle are read back by `init(from:)` and encoded again before they are logged. If the type
/// of ``Key`` does not fit the key column, ``Store/table(_:)`` throws.
///
/// The store calls both methods only with values of your own rows. They must not trap. If your program
/// only writes rows of a type, its `init(from:)` may throw an error of your own: rows are logged anyway, and a read
/// throws ``RowError/Problem/decodingFailed(_:)`` with the text of the error.
public protocol TableRow: Sendable {
    /// The key by which a row is found: a single value, or your own type for a composite key.
    associatedtype Key: RowKey

    /// The columns outside the key, for key paths; `@Table` makes it.
    associatedtype StoredColumns: TableColumns = NoStoredColumns

    /// The table that the rows belong to. It must be the same at every call.
    static var schema: TableSchema { get }

    /// Writes every column, in schema order.
    func encode(to encoder: inout RowEncoder)

    /// Reads every column, in schema order.
    init(from decoder: inout RowDecoder) throws
}

extension TableRow {
    /// Whether the columns are the properties, so that coding follows their order. A type that is coded by hand
    /// would silently write into the wrong column if only its schema got another order.
    static var hasNamedColumns: Bool { StoredColumns.self != NoStoredColumns.self }
}

/// A row's key. Conform your own type for a composite key.
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
