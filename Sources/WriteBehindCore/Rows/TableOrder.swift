import Foundation

// The orders in which rows of a table can be read, by the key paths that `@Table` makes.

/// An order in which rows can be read: a column with its own index, as `\.score`, or an index over several columns, as
/// `\.byAuthor`.
///
/// `@Table` makes the values. Do not conform your own types.
public protocol TableOrder<Row>: Sendable {
    /// The rows.
    associatedtype Row
    /// The value of the first column.
    associatedtype First: IndexValue
    /// The values of all columns: one, or a tuple of them.
    associatedtype Bound

    /// Which index it is.
    var reference: IndexReference { get }

    /// Writes the values of all columns.
    static func encode(_ bound: Bound, to encoder: inout IndexBound)
}

/// Refers to an index of a table.
public struct IndexReference: Sendable {
    package enum Kind: Sendable {
        /// The index of a column, by the column's place among those outside the key.
        case column(Int)
        case name(String)
    }

    package let kind: Kind

    package init(_ kind: Kind) { self.kind = kind }
}

extension TableColumn: TableOrder where Value: IndexValue {
    public typealias First = Value
    public typealias Bound = Value

    public var reference: IndexReference { IndexReference(.column(index)) }

    public static func encode(_ bound: Value, to encoder: inout IndexBound) {
        bound.encode(to: &encoder)
    }
}

/// An index over several columns. A key path such as `\.byAuthor` leads to it. `First` is the type of its first column, and
/// `Column` are the types of all.
public struct TableIndex<Row, First, each Column>: Sendable {
    private let name: String

    /// The index with a name; `@Table` writes this.
    public init(_ name: String) { self.name = name }

    /// The index with a name, over properties whose types the source does not spell out; `@Table` writes this.
    ///
    /// - Parameters:
    ///   - first: the first column.
    ///   - columns: all columns.
    public init(
        _ name: String, _ first: KeyPath<Row, First>, _ columns: repeat KeyPath<Row, each Column>
    ) {
        self.name = name
    }
}

extension TableIndex: TableOrder where First: IndexValue, repeat each Column: IndexValue {
    public typealias Bound = (repeat each Column)

    public var reference: IndexReference { IndexReference(.name(name)) }

    public static func encode(_ bound: (repeat each Column), to encoder: inout IndexBound) {
        repeat (each bound).encode(to: &encoder)
    }
}

/// A value by which rows can be ordered: any ``ColumnValue``, an enum that is a ``RowKey``, or an optional of these.
public protocol IndexValue: Sendable {
    /// Writes the value of the next column.
    func encode(to bound: inout IndexBound)
}

extension RowKey {
    public func encode(to bound: inout IndexBound) { bound.encode(self) }
}

extension Optional: IndexValue where Wrapped: RowKey {
    public func encode(to bound: inout IndexBound) {
        if let self { bound.encode(self) } else { bound.encodeNull() }
    }
}

/// Writes the values with which a part of an index begins or ends.
///
/// The methods do not throw. The call that reads the rows throws the first mistake.
public struct IndexBound: Sendable {
    private let table: String
    private let columns: [ColumnSchema]
    private var index = 0
    private var bytes: [UInt8] = []
    private var failure: RowError?

    package init(table: String, columns: [ColumnSchema]) {
        self.table = table
        self.columns = columns
    }

    /// Writes the next value.
    ///
    /// A bound is stored as a value of the column is. So the date at which a row expires is rounded up to whole seconds.
    public mutating func encode(_ value: some RowKey) {
        guard let column = next() else { return }
        do throws(RowError) {
            let component = try component(value, column)
            if column.isNullable { bytes.append(1) }
            bytes += component
        } catch {
            failure = failure ?? error
        }
    }

    private func component(
        _ value: some RowKey, _ column: ColumnSchema
    ) throws(RowError) -> [UInt8] {
        // The date at which a row expires is in a column of integers.
        if column.type == .integer, let date = value as? Date {
            guard let seconds = date.expirySeconds else {
                throw RowError(table: table, column: column.name, .dateOutOfRange)
            }
            return try component(seconds, column)
        }
        // Encoded with another column behind it, so that the value's end is marked.
        func encoded(as type: ColumnType) throws(RowError) -> [UInt8] {
            let schema = TableSchema(table, [.key(column.name, type), .key("", .integer)])
            var encoder = KeyEncoder(RowLayout(schema))
            try encoder.encode(first: value)
            return encoder.key
        }
        do throws(RowError) {
            return try encoded(as: column.type)
        } catch {
            // A program from before the column was one of reals has an integer.
            guard column.wasInteger, let integer = try? encoded(as: .integer) else { throw error }
            let schema = TableSchema(table, [.key(column.name, .integer)])
            var bytes: [UInt8] = []
            for value in try KeyCodec.decode(integer.span, schema) {
                bytes.append(indexComponent: value.asReal, isNullable: false)
            }
            return bytes
        }
    }

    /// Writes null.
    public mutating func encodeNull() {
        guard let column = next() else { return }
        guard column.isNullable else {
            failure = failure ?? RowError(table: table, column: column.name, .unexpectedNull)
            return
        }
        bytes.append(0)
    }

    private mutating func next() -> ColumnSchema? {
        defer { index += 1 }
        if index < columns.count { return columns[index] }
        failure =
            failure
            ?? RowError(table: table, .wrongColumnCount(expected: columns.count, got: index + 1))
        return nil
    }

    /// The bytes of the values.
    package func encoded() throws(RowError) -> [UInt8] {
        if let failure { throw failure }
        return bytes
    }
}
