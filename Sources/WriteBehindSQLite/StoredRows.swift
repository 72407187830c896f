import EventLog
package import GRDB
import GRDBSQLite
package import WriteBehindCore

/// The rows of one table in the database, in the order of their keys, encoded in the form of the log.
///
/// Unchecked, because nothing is locked: one thread at a time reads.
package final class StoredRows: @unchecked Sendable {
    /// The row that the last ``next()`` went to.
    fileprivate private(set) var row = Row()

    fileprivate struct Row {
        var key: [UInt8] = []
        var body: [UInt8] = []
        /// Why the row cannot be encoded.
        var fault: String?
    }

    private let schema: TableSchema
    private let columns: [(code: ColumnCode, type: ColumnType)]
    private let valueCount: Int
    private let statement: PreparedStatement
    /// After the end, SQLite would start over.
    private var isAtEnd = false

    package init(_ definition: WriteBehindCore.TableDefinition, _ db: Database) throws {
        schema = definition.schema
        columns = Array(zip(RowLayout(schema).codes, schema.columns.map(\.type)))
        valueCount = schema.valueColumns.count
        let columns = schema.columns.map { $0.isDropped ? "NULL" : quoted($0.name) }
            .joined(separator: ", ")
        let keys = schema.keyColumns.map { quoted($0.name) }.joined(separator: ", ")
        statement = try PreparedStatement(
            cached: "SELECT \(columns) FROM \(quoted(schema.name)) ORDER BY \(keys)", in: db)
    }

    /// Goes to the next row; false behind the last.
    fileprivate func next() throws(SinkError) -> Bool {
        guard !isAtEnd else { return false }
        isAtEnd = true
        guard try statement.step() else { return false }
        isAtEnd = false
        if !encode(into: &row) { explain(&row) }
        return true
    }

    /// Encodes directly from SQLite's bytes; false if a column holds a value of another type.
    private func encode(into row: inout Row) -> Bool {
        row.key.removeAll(keepingCapacity: true)
        row.body.removeAll(keepingCapacity: true)
        row.body.append(varint: UInt64(valueCount))
        row.fault = nil
        for (index, column) in columns.enumerated() {
            let isFine =
                column.code.isKey
                ? statement.append(Int32(index), column.type, column.code, toKey: &row.key)
                : statement.append(Int32(index), column.type, column.code, toBody: &row.body)
            guard isFine else { return false }
        }
        return true
    }

    /// Encodes again by decoded values, whose errors say what is wrong.
    private func explain(_ row: inout Row) {
        let values = schema.columns.indices.map { statement.value(Int32($0)) }
        do throws(RowError) {
            (row.key, row.body) = try RowCodec.encode(values, schema)
        } catch {
            let keys = zip(schema.columns, values).filter(\.0.isKey).map(\.1)
            row = Row(key: (try? KeyCodec.encode(keys, schema)) ?? [], fault: "\(error)")
        }
    }
}

/// Some of the rows, read together, while others are compared.
///
/// Unchecked, because nothing is locked: one thread at a time uses a run, or two runs of one table.
package final class StoredRun: @unchecked Sendable {
    package struct Row {
        /// The places of key and body in ``bytes``.
        package var key: Range<Int>
        package var body: Range<Int>
        /// Why the row cannot be encoded.
        package var fault: String?
    }

    /// Enough rows that handing them from thread to thread costs little in comparison; and the bytes beyond which no row is
    /// added.
    private static let (rowLimit, byteLimit) = (8192, 2 << 20)

    private let stored: StoredRows
    package private(set) var bytes: [UInt8] = []
    package private(set) var rows: [Row] = []
    /// The error that stopped reading, if any.
    package private(set) var failure: SinkError?

    package init(_ stored: StoredRows) {
        self.stored = stored
    }

    package var isEmpty: Bool { rows.isEmpty && failure == nil }

    /// Reads the next rows, replacing those before.
    @Sendable package func fill() {
        bytes.removeAll(keepingCapacity: true)
        rows.removeAll(keepingCapacity: true)
        failure = nil
        do throws(SinkError) {
            while rows.count < Self.rowLimit, bytes.count < Self.byteLimit, try stored.next() {
                append(stored.row)
            }
        } catch {
            failure = error
        }
    }

    private func append(_ row: StoredRows.Row) {
        let start = bytes.count
        let middle = start + row.key.count
        bytes.append(contentsOf: row.key)
        bytes.append(contentsOf: row.body)
        rows.append(Row(key: start..<middle, body: middle..<bytes.count, fault: row.fault))
    }
}

extension PreparedStatement {
    /// Appends a column of the key in the log's form; false if the value has another type.
    fileprivate func append(
        _ column: Int32, _ type: ColumnType, _ code: ColumnCode, toKey key: inout [UInt8]
    ) -> Bool {
        switch (unsafe sqlite3_column_type(handle, column), type) {
        case (SQLITE_INTEGER, .integer):
            key.append(keyInteger: unsafe sqlite3_column_int64(handle, column))
        case (SQLITE_FLOAT, .real):
            key.append(keyReal: unsafe sqlite3_column_double(handle, column))
        case (SQLITE_TEXT, .text), (SQLITE_BLOB, .blob):
            let start = key.count
            unsafe withBytes(column) { bytes in unsafe key.append(contentsOf: bytes) }
            if !code.isLastOfKey { key.endKeyBytes(from: start) }
        default: return false
        }
        return true
    }

    /// Appends a column outside the key in the log's form; false if the value has another type.
    fileprivate func append(
        _ column: Int32, _ type: ColumnType, _ code: ColumnCode, toBody body: inout [UInt8]
    ) -> Bool {
        switch (unsafe sqlite3_column_type(handle, column), type) {
        case (SQLITE_INTEGER, .integer):
            body.append(rowInteger: unsafe sqlite3_column_int64(handle, column))
        case (SQLITE_FLOAT, .real):
            body.append(rowReal: unsafe sqlite3_column_double(handle, column))
        case (SQLITE_TEXT, .text), (SQLITE_BLOB, .blob):
            unsafe withBytes(column) { bytes in
                body.append(type.tag.rawValue)
                body.append(varint: UInt64(bytes.count))
                unsafe body.append(contentsOf: bytes)
            }
        case (SQLITE_NULL, _) where code.isNullable: body.append(ValueTag.null.rawValue)
        default: return false
        }
        return true
    }
}
