import EventLog
import WriteBehindCore

/// The type that a column has in the server.
///
/// A value that it would not give back as it is, is refused, so that what is read from the server is what memory has.
/// JSON and decimals are the exception: they come back as the same value in the server's own spelling.
enum NaturalType: Sendable, Hashable {
    case bigint, double, text, bytea, boolean, uuid, jsonb, numeric
    /// Of a text in UTC.
    case timestamp
    /// Of whole seconds since 1970.
    case seconds
    /// Of a key: ordered by its bytes.
    case keyText

    init(_ column: ColumnSchema) {
        switch (column.logicalType, column.type, column.isKey) {
        case (.boolean, .integer, _): self = .boolean
        case (.uuid, .blob, _): self = .uuid
        // As keys these would make one row of two keys, or another order.
        case (.timestamp, .text, false): self = .timestamp
        case (.timestamp, .integer, false): self = .seconds
        case (.json, .text, false): self = .jsonb
        case (.decimal, .text, false): self = .numeric
        case (_, .integer, _): self = .bigint
        case (_, .real, _): self = .double
        case (_, .text, let isKey): self = isKey ? .keyText : .text
        case (_, .blob, _): self = .bytea
        }
    }

    /// Its name, as the server writes it.
    var name: String {
        switch self {
        case .bigint: "bigint"
        case .double: "double precision"
        case .text, .keyText: "text"
        case .bytea: "bytea"
        case .boolean: "boolean"
        case .uuid: "uuid"
        case .jsonb: "jsonb"
        case .numeric: "numeric"
        case .timestamp, .seconds: "timestamp with time zone"
        }
    }

    /// In the declaration of a column.
    var declaration: String { self == .keyText ? "text COLLATE \"C\"" : name }

    /// The type of parameters, and the server's number for it.
    var parameter: (name: String, element: UInt32) {
        switch self {
        case .bigint: ("bigint", 20)
        case .double: ("double precision", 701)
        case .text, .keyText: ("text", 25)
        case .bytea: ("bytea", 17)
        case .boolean: ("boolean", 16)
        case .uuid: ("uuid", 2950)
        case .jsonb: ("jsonb", 3802)
        // Its binary form is digits to the base of 10,000: the server makes it of the text.
        case .numeric: ("text", 25)
        case .timestamp, .seconds: ("timestamptz", 1184)
        }
    }

    /// What makes the column's value of a parameter.
    func converted(_ parameter: String) -> String {
        self == .numeric ? "\(parameter)::numeric" : parameter
    }

    /// What is read of a column.
    func read(_ column: String) -> String {
        self == .numeric || self == .jsonb ? "\(column)::text" : column
    }

    /// Orders as the bytes of keys do, whatever the column's own collation is.
    func ordered(_ column: String) -> String {
        self == .keyText || self == .text ? "\(column) COLLATE \"C\"" : column
    }

    /// What the row holds, of a column of this type: for columns that change their type.
    private func stored(_ column: String) -> String {
        switch self {
        case .boolean: "\(column)::integer::bigint"
        case .uuid: "uuid_send(\(column))"
        case .jsonb, .numeric: "\(column)::text"
        case .timestamp: "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')"
        case .seconds: "floor(extract(epoch FROM \(column)))::bigint"
        default: column
        }
    }

    /// The column's value as one of another type, which holds the same.
    func changed(_ column: String, to new: NaturalType) -> String {
        let stored = stored(column)
        return switch new {
        case .boolean: "(\(stored))::integer::boolean"
        case .uuid: "encode(\(stored), 'hex')::uuid"
        case .jsonb: "(\(stored))::jsonb"
        case .numeric: "(\(stored))::numeric"
        case .timestamp: "((\(stored)) || '+00')::timestamptz"
        case .seconds: "to_timestamp((\(stored))::double precision)"
        case .double: "(\(stored))::double precision"
        default: stored
        }
    }

    /// A condition that holds for the values that would be others as another type; nil if there can be none.
    func differs(_ column: String, as new: NaturalType) -> String? {
        guard new == .boolean || new == .timestamp else { return nil }
        return "\(new.stored("(\(changed(column, to: new)))")) IS DISTINCT FROM \(stored(column))"
    }

    /// A default, as SQL.
    func literal(_ value: StoredValue) -> String {
        switch (value, self) {
        case (.null, _): "NULL"
        case (.integer(let value), .boolean): value == 0 ? "false" : "true"
        case (.integer(let value), .seconds): "to_timestamp(\(value))"
        case (.integer(let value), _): "'\(value)'::bigint"
        case (.real(let value), _): "'\(value)'::double precision"
        case (.text(let value), .timestamp): "\(quoted(value + "+00", "'"))::timestamptz"
        case (.text(let value), _): "\(quoted(value, "'"))::\(name)"
        case (.blob(let value), .uuid): "'\(hexadecimal(value))'::uuid"
        case (.blob(let value), _): "'\\x\(hexadecimal(value))'::bytea"
        }
    }
}

// MARK: values

extension NaturalType {
    private static let microseconds: Int64 = 1_000_000
    /// The server counts from the beginning of 2000.
    private static let epoch: Int64 = 946_684_800

    /// Adds the value at the reader's place to a parameter, and steps over it.
    ///
    /// - Parameter name: of the column, for errors.
    func append(
        _ reader: inout ByteReader, _ bytes: Span<UInt8>, to column: inout ArrayColumn,
        _ name: String
    ) throws(SinkError) {
        switch (try reader.place(bytes), self) {
        case (.null, _): column.appendNull()
        case (.integer(let value), .bigint): column.append(value)
        case (.integer(let value), .boolean):
            guard value == 0 || value == 1 else {
                throw .unfit("column \(name): \(value) is neither true (1) nor false (0)")
            }
            column.append(value == 1)
        case (.integer(let value), .seconds):
            let (since, overflow) = value.subtractingReportingOverflow(Self.epoch)
            let (moment, isTooLarge) = since.multipliedReportingOverflow(by: Self.microseconds)
            guard !overflow, !isTooLarge else { throw outOfRange(name) }
            column.append(moment)
        // An integer in a column that held integers before.
        case (.integer(let value), .double):
            column.append(Int64(bitPattern: Double(value).bitPattern))
        case (.real(let value), .double): column.append(Int64(bitPattern: value.bitPattern))
        case (.text(let range), .text), (.text(let range), .keyText):
            column.append(bytes.extracting(range))
        case (.text(let range), .jsonb):
            column.append(bytes.extracting(range), after: 1)  // the version of its binary form
        case (.text(let range), .numeric):
            let text = bytes.extracting(range)
            guard Self.isNumber(text) else { throw .unfit("column \(name): it is no number") }
            column.append(text)
        case (.text(let range), .timestamp):
            guard let moment = DateMilliseconds.of(bytes.extracting(range)) else {
                throw .unfit("column \(name): it is no time of the form YYYY-MM-DD HH:MM:SS.SSS")
            }
            column.append((moment - Self.epoch * 1000) * 1000)
        case (.blob(let range), .bytea): column.append(bytes.extracting(range))
        case (.blob(let range), .uuid):
            guard range.count == 16 else {
                throw .unfit("column \(name): a UUID of \(range.count) bytes instead of 16")
            }
            column.append(bytes.extracting(range))
        default: throw .unfit("column \(name): a value is not of its column's type")
        }
    }

    private func outOfRange(_ name: String) -> SinkError {
        .unfit("column \(name): a time that the server has none for")
    }

    /// Digits, and not a word such as NaN.
    private static func isNumber(_ text: Span<UInt8>) -> Bool {
        text.indices.contains { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[$0]) }
            && text.indices.allSatisfy { "+-.0123456789eE".utf8.contains(text[$0]) }
    }

    /// What ``value(_:stored:)`` leaves out of a field; nil if nothing.
    func loss(_ bytes: [UInt8]?) -> String? {
        guard let number = bytes?.bigEndian(Int64.self) else { return nil }
        let digits: Int64 =
            switch self {
            case .timestamp: 1000
            case .seconds: Self.microseconds
            default: 1
            }
        guard number % digits != 0 else { return nil }
        return "has a time with more digits in the database than the store writes"
    }

    /// The value of a field of an answer, as rows hold it.
    func value(_ bytes: [UInt8]?, stored: ColumnType) throws(SinkError) -> StoredValue {
        guard let bytes else { return .null }
        switch self {
        case .boolean: return .integer(bytes == [1] ? 1 : 0)
        case .text, .keyText, .jsonb, .numeric:
            return .text(String(decoding: bytes, as: UTF8.self))
        case .bytea, .uuid: return .blob(bytes)
        case .bigint, .double, .timestamp, .seconds:
            guard let number = bytes.bigEndian(Int64.self) else {
                throw SinkError(.schema, "a column is of another type than \(name)")
            }
            return try value(number)
        }
    }

    private func value(_ number: Int64) throws(SinkError) -> StoredValue {
        switch self {
        case .double: return .real(Double(bitPattern: UInt64(bitPattern: number)))
        case .seconds:
            return .integer(Self.floor(number, Self.microseconds) + Self.epoch)
        case .timestamp:
            let milliseconds = Self.floor(number, 1000) + Self.epoch * 1000
            guard let text = DateMilliseconds.text(of: milliseconds) else {
                throw SinkError(.schema, "a time outside of the years 0 to 9999")
            }
            return .text(String(decoding: text, as: UTF8.self))
        default: return .integer(number)
        }
    }

    private static func floor(_ number: Int64, _ divisor: Int64) -> Int64 {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
