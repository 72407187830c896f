import ArgumentParser
import Foundation
import WriteBehind
import WriteBehindInspection

/// A row of a file that does not fit its table.
struct RowFault: Error, CustomStringConvertible {
    var file: String?
    var line: Int
    var reason: String

    var description: String {
        (file.map { "\(WriteBehindText.quoted($0)), " } ?? "") + "line \(line): \(reason)"
    }
}

/// Rows of a table in a CSV or NDJSON file.
struct RowFile {
    private let path: String?
    private let data: Data
    private let format: Import.Format
    private let schema: TableSchema

    var byteCount: Int { data.count }

    init(_ path: String, format: Import.Format, schema: TableSchema) throws {
        self.path = path
        data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        self.format = format
        self.schema = schema
    }

    /// A single row as a JSON object.
    init(text: String, schema: TableSchema) {
        path = nil
        data = Data(text.utf8)
        format = .ndjson
        self.schema = schema
    }

    func onlyRow() throws -> [StoredValue] {
        var rows = reader()
        do {
            guard let values = try rows.next(), try rows.next() == nil else {
                throw ValidationError("--row: give exactly one row, as a JSON object.")
            }
            return values
        } catch let fault as RowFault {
            throw ValidationError("--row: \(fault.reason).")
        }
    }

    /// Calls `body` with the values of each row, in schema order, and the offset in the file at which the row ends.
    @discardableResult
    func read(_ body: ([StoredValue], Int) throws -> Void) throws -> Int {
        var rows = reader()
        var count = 0
        do {
            while let values = try rows.next() {
                try naming(rows.line) { try body(values, rows.offset) }
                count += 1
            }
        } catch var fault as RowFault {
            fault.file = path
            throw fault
        }
        return count
    }

    /// As ``read(_:)``, for a body that suspends.
    func write(_ body: ([StoredValue], Int) async throws -> Void) async throws {
        var rows = reader()
        while let values = try rows.next() { try await body(values, rows.offset) }
    }

    private func naming(_ line: Int, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as RowError {
            throw RowFault(line: line, reason: "\(error)")
        }
    }

    private func reader() -> Reader { Reader(data: data, format: format, schema: schema) }

    private struct Reader {
        private let schema: TableSchema
        private let format: Import.Format
        private var records: CSVRecords
        private var places: [Int?]?
        private var titleCount = 0
        var line: Int { records.line }
        var offset: Int { records.offset }

        init(data: Data, format: Import.Format, schema: TableSchema) {
            self.schema = schema
            self.format = format
            records = CSVRecords(data)
        }

        mutating func next() throws -> [StoredValue]? {
            switch format {
            case .csv: try nextCSV()
            case .ndjson: try nextJSON()
            }
        }

        private mutating func nextCSV() throws -> [StoredValue]? {
            if places == nil {
                guard let titles = try records.next() else { return nil }
                titleCount = titles.count
                places = try places(of: titles.map(\.text))
            }
            guard let fields = try records.next(), let places else { return nil }
            guard fields.count == titleCount else {
                throw RowFault(
                    line: line,
                    reason:
                        "the line has \(WriteBehindText.counted(fields.count, "field")), the first "
                        + "line \(titleCount); quote a field that holds a comma")
            }
            return try zip(schema.columns, places).map { column, place in
                guard let place else { return column.missingValue }
                let field = fields[place]
                if field.text.isEmpty, !field.isQuoted, column.isNullable { return .null }
                guard let value = StoredValue(field.text, in: column) else {
                    throw RowFault(
                        line: line,
                        reason:
                            "\(WriteBehindText.quoted(field.text)) is no \(column.meaning) "
                            + "(\(plain(column.name)))")
                }
                return value
            }
        }

        private func places(of titles: [String]) throws -> [Int?] {
            for title in titles
            where !schema.columns.contains(where: { !$0.isDropped && isSameName($0.name, title) }) {
                throw RowFault(
                    line: 1,
                    reason: noColumn(title))
            }
            return try schema.columns.map { column in
                let found = titles.indices.filter { isSameName(titles[$0], column.name) }
                guard found.count <= 1 else {
                    throw RowFault(
                        line: 1, reason: "column \(plain(column.name)) is there twice")
                }
                let place = found.first
                guard place != nil || column.isNullable || column.defaultValue != nil else {
                    throw RowFault(line: 1, reason: "column \(plain(column.name)) is missing")
                }
                return place
            }
        }

        private func noColumn(_ name: String) -> String {
            let known = schema.columns.filter { !$0.isDropped }.map { plain($0.name) }.joined(
                separator: ", ")
            return
                "\(plain(schema.name)) has no column \(WriteBehindText.quoted(name)); it has \(known)"
        }

        private mutating func nextJSON() throws -> [StoredValue]? {
            var text = Data()
            repeat {
                guard let found = records.nextLine() else { return nil }
                text = found
            } while text.allSatisfy { $0 == 0x20 || $0 == 0x0D }
            let object: [String: JSONField]
            do {
                object = try JSONDecoder().decode([String: JSONField].self, from: text)
            } catch {
                throw RowFault(line: line, reason: "not a JSON object of values")
            }
            for name in object.keys
            where !schema.columns.contains(where: { !$0.isDropped && isSameName($0.name, name) }) {
                throw RowFault(
                    line: line,
                    reason: noColumn(name))
            }
            return try schema.columns.map { try value(of: $0, in: object) }
        }

        private func value(
            of column: ColumnSchema, in object: [String: JSONField]
        ) throws -> StoredValue {
            let fields = object.filter { isSameName($0.key, column.name) }
            guard fields.count <= 1 else {
                throw RowFault(
                    line: line, reason: "column \(plain(column.name)) is there twice")
            }
            guard let field = fields.first?.value else { return column.missingValue }
            guard let value = field.value(in: column) else {
                throw RowFault(
                    line: line,
                    reason: "\(plain(column.name)) is no \(column.meaning); write it as "
                        + JSONField.form(of: column))
            }
            return value
        }
    }
}

/// A value from JSON, in the forms that ``StoredValue`` writes.
struct JSONField: Decodable {
    private enum Form {
        case null
        case bool(Bool)
        case integer(Int64)
        case real(Double)
        case text(String)
        case object([String: String])
        case other
    }

    private let form: Form

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            form = .null
        } else if let value = try? container.decode(Bool.self) {
            form = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            form = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            form = .real(value)
        } else if let value = try? container.decode(String.self) {
            form = .text(value)
        } else {
            form = (try? container.decode([String: String].self)).map(Form.object) ?? .other
        }
    }

    /// The value for a column; nil if the JSON is not such a value. Encoding the row refuses a null that the column does not
    /// take.
    func value(in column: ColumnSchema) -> StoredValue? {
        switch (form, column.type) {
        case (.null, _): .null
        case (.bool(let value), .integer): .integer(value ? 1 : 0)
        case (.integer(let value), .integer): .integer(value)
        case (.integer(let value), .real): .real(Double(value))
        case (.real(let value), .real): .real(value)
        case (.text(let value), .text): StoredValue(value, in: column)
        // A time, or a UUID.
        case (.text(let value), _):
            column.logicalType.flatMap { StoredValue(value, as: $0, column.type) }
        case (.object(let fields), .blob) where fields.count == 1:
            fields["blob"].flatMap { bytes(hexadecimal: $0) }.map { .blob($0) }
        case (.object(let fields), .real) where fields.count == 1:
            fields["real"].flatMap { StoredValue($0, as: .real) }
        default: nil
        }
    }

    /// The form in which a value of a column must be written, for a message.
    static func form(of column: ColumnSchema) -> String {
        switch column.type {
        case .integer: "5"
        case .real: #"1.5, or {"real":"inf"}"#
        case .text: #""text""#
        case .blob: #"{"blob":"00ff"}"#
        }
    }
}
