package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// A record with its place in the log.
package struct LoggedRecord: Sendable, Equatable {
    package var sequence: UInt64
    /// Milliseconds since 1970.
    package var time: UInt64
    /// The first sequence of the commit that it belongs to.
    package var commit: UInt64
    package var commitCount: UInt32
    package var operation: Operation
    package var table: UInt32
    package var key: [UInt8]
    package var body: [UInt8]
    /// The row before a patch, where the record carries it.
    package var before: [UInt8]?
    /// Bytes that the record takes, unpacked.
    package var byteCount: Int

    package init(
        sequence: UInt64, time: UInt64, commit: UInt64, commitCount: UInt32,
        operation: Operation, table: UInt32, key: [UInt8], body: [UInt8],
        before: [UInt8]? = nil, byteCount: Int
    ) {
        self.sequence = sequence
        self.time = time
        self.commit = commit
        self.commitCount = commitCount
        self.operation = operation
        self.table = table
        self.key = key
        self.body = body
        self.before = before
        self.byteCount = byteCount
    }
}

/// Calls `body` for the records of a commit, until it returns false.
///
/// - Parameter matcher: which records are wanted; nil for all.
/// - Returns: false if `body` did.
@discardableResult
package func forEachRecord(
    of commit: Commit, in payload: Span<UInt8>, _ matcher: RecordMatcher? = nil,
    _ body: (LoggedRecord) throws -> Bool
) throws -> Bool {
    var reader = ByteReader(commit.records)
    var sequence = commit.firstSequence
    while !reader.isAtEnd {
        let start = reader.offset
        let record = try reader.record(payload)
        defer { sequence += 1 }
        if let matcher,
            !matcher.admits(record, sequence: sequence, time: commit.time, payload)
        {
            continue
        }
        let logged = LoggedRecord(
            sequence: sequence, time: commit.time, commit: commit.firstSequence,
            commitCount: commit.count, operation: record.operation, table: record.table,
            key: [UInt8](copying: payload.extracting(record.key)),
            body: [UInt8](copying: payload.extracting(record.body)),
            before: record.before.isEmpty
                ? nil : [UInt8](copying: payload.extracting(record.before)),
            byteCount: reader.offset - start)
        guard try body(logged) else { return false }
    }
    return true
}

/// A record with the names and values of its table.
package struct DecodedRecord: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: ShownValue
        package var logicalType: LogicalType?

        package init(_ column: ColumnSchema, _ value: ShownValue) {
            name = column.name
            self.value = value
            logicalType = column.logicalType
        }

        package init(_ column: ColumnSchema, _ value: StoredValue) {
            self.init(column, .stored(value))
        }

        /// The value in the form of the column's logical type, for people and as JSON.
        package var text: String { value.text(as: logicalType) }
        package var json: String { value.json(as: logicalType) }
    }

    package var record: LoggedRecord
    /// nil for records that belong to no table.
    package var table: String?
    package var key: [Field] = []
    /// The columns that the record sets.
    package var values: [Field] = []
    /// Whether ``values`` are those of a row that is put only if there is none.
    package var isIfAbsent = false
    /// What the record adds to columns.
    package var amounts: [Field] = []
    /// A mark's name, or why a quarantined commit was given up.
    package var text: String?
    /// The quarantined commit that was given up, or the first of several that share rows.
    package var settles: UInt64?
    /// The last record of those.
    package var settlesThrough: UInt64?
    package var definition: TableDefinition?
    /// Why the bytes cannot be decoded. The other fields are empty then.
    package var problem: String?

    /// What the record does, for people.
    package var word: String { isIfAbsent ? "put if absent" : record.operation.word }

    package init(_ record: LoggedRecord, _ catalog: Catalog) {
        self.record = record
        do {
            switch record.operation {
            case .put, .patch, .add, .delete, .clear: try decodeRow(catalog)
            case .define:
                let json = try text(in: record.body, behind: nil)
                definition = try TableDefinition(json: Array(json.utf8).span)
                table = definition?.schema.name
            case .mark: text = try text(in: record.body, behind: nil)
            case .settle:
                var reader = ByteReader(0..<record.body.count)
                settles = try reader.varint(record.body.span)
                settlesThrough = try reader.varint(record.body.span)
                _ = try reader.varint(record.body.span)
                text = try text(in: record.body, behind: reader)
            case .preamble: break
            }
        } catch {
            problem = "\(error)"
        }
    }

    private mutating func decodeRow(_ catalog: Catalog) throws {
        guard let schema = catalog[record.table]?.schema else {
            problem = "table \(record.table) is not defined before this record"
            return
        }
        table = schema.name
        guard record.operation != .clear else { return }
        let values = try KeyCodec.decode(record.key.span, schema)
        key = zip(schema.keyColumns, values).map { Field($0, $1) }
        switch record.operation {
        case .put: self.values = try Self.row(record.body, schema)
        case .patch:
            self.values = Self.fields(try RowCodec.decodePatch(record.body.span, schema), schema)
        case .add:
            let add = try RowCodec.decodeAdd(record.body.span, schema)
            amounts = add.amounts.compactMap {
                let column = schema.valueColumns[$0.column]
                return column.isDropped ? nil : Field(column, .integer($0.amount))
            }
            guard let row = add.row else { break }
            self.values = Self.fields(row, schema)
            isIfAbsent = true
        default: break
        }
    }

    private static func fields(_ changes: [ColumnChange], _ schema: TableSchema) -> [Field] {
        changes.compactMap {
            let column = schema.valueColumns[$0.column]
            return column.isDropped ? nil : Field(column, $0.value)
        }
    }

    /// The values that a row body holds. A row from before a column was added does not hold that column.
    private static func row(_ body: [UInt8], _ schema: TableSchema) throws -> [Field] {
        var reader = ByteReader(0..<body.count)
        let count = try reader.valueCount(body.span)
        let values = try ShownValue.row(body, schema)
        return zip(schema.valueColumns, values).prefix(count).compactMap {
            $0.isDropped ? nil : Field($0, $1)
        }
    }

    /// The text at the end of a body, behind the part that was already read.
    private func text(in body: [UInt8], behind start: ByteReader?) throws -> String {
        var reader = start ?? ByteReader(0..<body.count)
        let span = body.span
        let range = try reader.take(try reader.varint(span))
        return String(decoding: body[range], as: UTF8.self)
    }
}

extension Operation {
    /// The name in Format.md.
    package var word: String {
        switch self {
        case .put: "put"
        case .patch: "patch"
        case .add: "add"
        case .delete: "delete"
        case .clear: "clear"
        case .define: "define"
        case .mark: "mark"
        case .settle: "settle"
        case .preamble: "preamble"
        }
    }
}
