import EventLog
import GRDB
import GRDBSQLite
import WriteBehindCore

/// The rows of one table in the database, in the order of their keys, encoded in the form of the log.
///
/// Unchecked, because nothing is locked: one thread at a time reads.
final class StoredRows: StoredRowSource, @unchecked Sendable {
    /// The row that the last ``next()`` went to.
    private var row = Row()

    private struct Row {
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

    init(_ definition: WriteBehindCore.TableDefinition, _ db: Database) throws {
        schema = definition.schema
        columns = Array(zip(RowLayout(schema).codes, schema.columns.map(\.type)))
        valueCount = schema.valueColumns.count
        let columns = schema.columns.map { $0.isDropped ? "NULL" : quoted($0.name) }
            .joined(separator: ", ")
        let keys = schema.keyColumns.map { quoted($0.name) }.joined(separator: ", ")
        statement = try PreparedStatement(
            cached: "SELECT \(columns) FROM \(quoted(schema.name)) ORDER BY \(keys)", in: db)
    }

    func fill(_ run: StoredRun) throws(SinkError) {
        while !run.isFull, try next() {
            run.append(key: row.key, body: row.body, fault: row.fault)
        }
    }

    /// Goes to the next row; false behind the last.
    private func next() throws(SinkError) -> Bool {
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
