/// Why a row or key cannot be written or read. If it comes from a write, nothing was written.
public struct RowError: Error, Hashable, Sendable {
    /// The table that the row belongs to.
    public let table: String
    /// The column at fault; nil if the fault is not in one column.
    public let column: String?
    /// The fault.
    public let problem: Problem

    /// The faults that a row, a key or a value can have.
    #if compiler(>=6.2.3)
        @nonexhaustive
    #endif
    public enum Problem: Hashable, Sendable {
        /// A value of another type than its column's.
        case wrongType(expected: ColumnType, got: ColumnType)
        /// Null in a column that is not nullable, or that was read as a value that cannot be null.
        case unexpectedNull
        /// NaN, which the database would turn into null.
        case notANumber
        /// A date before year 0 or after year 9999. As text, such dates would not sort by time.
        case dateOutOfRange
        /// A value that its column cannot hold: an integer above `Int64.max`, or a value without a JSON form.
        case outOfRange(String)
        /// A stored value that cannot be read as this type: a date, a UUID, or a smaller integer type.
        case notConvertible(to: String)
        /// More or fewer values than the table has columns.
        case wrongColumnCount(expected: Int, got: Int)
        /// An encoded key takes more bytes than a record can hold.
        case keyTooLong(bytes: Int, limit: Int)
        /// No column outside the key has the name.
        case noSuchColumn
        /// `encode(to:)` writes a value to this column that `init(from:)` reads from the column that is named here. Both
        /// methods must go through the columns in schema order.
        case exchanged(with: String)
        /// What was added to the column makes a sum that does not fit into 64 bits: see <doc:Counters>.
        case sumOutOfRange
        /// Stored bytes that the store never writes.
        case malformed(String)
        /// The `init(from:)` of the row or key threw an error of its own, which is given as text.
        case decodingFailed(String)
    }

    /// The error that a type's own `init(from:)` threw.
    init(_ error: any Error, _ layout: RowLayout) {
        self =
            error as? RowError
            ?? RowError(table: layout.schema.name, .decodingFailed("\(error)"))
    }

    package init(table: String, column: String? = nil, _ problem: Problem) {
        self.table = table
        self.column = column
        self.problem = problem
    }
}

extension RowError: CustomStringConvertible {
    public var description: String {
        let place = column.map { ", column \(StoredValue.text($0))" } ?? ""
        return "table \(StoredValue.text(table))\(place): \(problem.reason)"
    }
}

extension RowError.Problem {
    var reason: String {
        switch self {
        case .wrongType(let expected, let got):
            "expected \(expected.rawValue), got \(got.rawValue)"
        case .unexpectedNull: "null where a value must be"
        case .notANumber: "NaN cannot be stored"
        case .dateOutOfRange: "the date is not within the years 0 to 9999"
        case .outOfRange(let value): "the column cannot hold \(value)"
        case .notConvertible(let type): "the stored value is no \(type)"
        case .wrongColumnCount(let expected, let got): "expected \(expected) columns, got \(got)"
        case .keyTooLong(let bytes, let limit):
            "the key takes \(bytes) bytes, more than \(limit)"
        case .noSuchColumn: "there is no such column outside the key"
        case .exchanged(let other):
            "what is read of column \(StoredValue.text(other)) is written here; `encode(to:)` and `init(from:)` "
                + "must both go through the columns in schema order"
        case .sumOutOfRange: "the sum of what was added does not fit into 64 bits"
        case .malformed(let reason): "the stored bytes are damaged: \(reason)"
        case .decodingFailed(let reason): "its `init(from:)` throws: \(reason)"
        }
    }
}
