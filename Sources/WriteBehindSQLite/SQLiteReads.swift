import EventLog
import GRDB
import GRDBSQLite
import Synchronization
package import WriteBehindCore

// Reads. The row and the watermark come from one snapshot, so the caller has the state to which the row belongs.

extension SQLiteSink {
    package func holds(_ table: UInt32) -> Bool { state.withLock { $0.tables[table] != nil } }

    package func read(_ table: UInt32, key: Span<UInt8>) throws(SinkError) -> StoredRow {
        let sql = try openTable(table)
        return try throwingSinkError {
            try reads.read { db in try row(sql, [UInt8](copying: key), in: db) }
        }
    }

    package func read(
        _ table: UInt32, keys: [[UInt8]]
    ) async throws(SinkError) -> [StoredRow] {
        let sql = try openTable(table)
        do {
            return try await reads.read { db in
                try keys.map { key in try self.row(sql, key, in: db) }
            }
        } catch {
            throw SinkError(wrapping: error)
        }
    }

    package func dueRows(
        _ table: UInt32, before seconds: Int64, limit: Int
    ) throws(SinkError) -> DueRows {
        let sql = try openTable(table)
        return try throwingSinkError {
            try reads.read { db in
                var rows = DueRows(keys: [], watermark: try Self.watermark(in: db))
                let sql = try current(sql, in: db)
                guard let due = sql.due else { return DueRows(keys: []) }
                rows.column = sql.schema.expiryIndex
                let statement = try PreparedStatement(cached: due, in: db)
                try statement.bind(seconds, at: 1)
                try statement.bind(Int64(limit), at: 2)
                while try statement.step() {
                    let values = sql.schema.keyColumns.indices.map { statement.value(Int32($0)) }
                    rows.keys.append(try KeyCodec.encode(values, sql.schema))
                }
                return rows
            }
        }
    }

    package func scan(
        _ table: UInt32, columns: [Int], after key: [UInt8]?, limit: Int
    ) throws(SinkError) -> ScannedRows {
        let sql = try openTable(table)
        return try throwingSinkError {
            try reads.read { db in
                _ = try Self.watermark(in: db)
                let sql = try current(sql, in: db)
                let columns = columns.filter { $0 < sql.schema.valueColumns.count }
                return try Self.rows(sql, columns, after: key, limit: limit, in: db)
            }
        }
    }

    static func rows(
        _ sql: TableSQL, _ columns: [Int], after key: [UInt8]?, limit: Int, in db: Database
    ) throws -> ScannedRows {
        try page(sql, columns, after: key, limit: limit, bytes: .max, in: db).rows
    }

    /// - Parameter bytes: when keys and columns take more than this many bytes, no further row is added.
    /// - Returns: the rows, and whether they are the last ones.
    static func page(
        _ sql: TableSQL, _ columns: [Int], after key: [UInt8]?, limit: Int, bytes byteLimit: Int,
        in db: Database
    ) throws -> (rows: ScannedRows, isLast: Bool) {
        let watermark = try watermark(in: db)
        let select = try PreparedStatement(
            cached: sql.scan(columns, isFromStart: key == nil), in: db)
        let types = sql.schema.keyColumns.map(\.type)
        try select.bind(Int64(limit), at: Int32(key == nil ? 1 : types.count + 1))
        return try unsafe (key ?? []).withUnsafeBufferPointer { bytes in
            if key != nil { unsafe try select.bind(key: bytes, types) }
            var rows: [ScannedRows.Row] = []
            var byteCount = 0
            var isLast = false
            while byteCount < byteLimit {
                guard try select.step() else {
                    isLast = rows.count < limit
                    break
                }
                let row = try select.scannedRow(sql.schema, columnCount: columns.count)
                byteCount += row.key.count + row.columns.count
                rows.append(row)
            }
            return (ScannedRows(rows: rows, watermark: watermark), isLast)
        }
    }

    private static func watermark(in db: Database) throws -> UInt64 {
        let watermark = try PreparedStatement(
            cached: "SELECT sequence FROM _writebehind_watermark", in: db)
        guard try watermark.step(), case .integer(let sequence) = watermark.value(0) else {
            throw SinkError(.corrupt, "the database has no watermark")
        }
        return UInt64(bitPattern: sequence)
    }

    private func row(_ sql: TableSQL, _ key: [UInt8], in db: Database) throws -> StoredRow {
        let watermark = try Self.watermark(in: db)
        let sql = try current(sql, in: db)
        let select = try PreparedStatement(cached: sql.select, in: db)
        let types = sql.schema.keyColumns.map(\.type)
        let body = try unsafe key.withUnsafeBufferPointer { key throws(SinkError) -> [UInt8]? in
            unsafe try select.bind(key: key, types)
            guard try select.step() else { return nil }
            return select.rowBody(columnCount: sql.schema.valueColumns.count)
        }
        return StoredRow(body: body, watermark: watermark)
    }

    /// The table in the state of the database that this read sees. The first statement of a read decides which state that
    /// is, and must come before this call. If the table changed while the read waited for its turn, it may have more columns
    /// than `sql`, or other names for them.
    private func current(_ sql: TableSQL, in db: Database) throws -> TableSQL {
        let id = sql.definition.id
        let isCurrent = state.withLock {
            $0.definers == 0 && $0.tables[id]?.definition.revision == sql.definition.revision
        }
        if isCurrent { return sql }
        let json = try String.fetchOne(
            db, sql: "SELECT schema FROM _writebehind_table WHERE id = ?", arguments: [Int64(id)])
        guard let json else {
            throw SinkError(.schema, "table \(id) is not defined in the database")
        }
        return TableSQL(
            definition: try WriteBehindCore.TableDefinition(json: Array(json.utf8).span))
    }

    private func openTable(_ table: UInt32) throws(SinkError) -> TableSQL {
        let (isClosed, sql) = state.withLock { ($0.isClosed, $0.tables[table]) }
        guard !isClosed else { throw SinkError(.gone, "the database is closed") }
        guard let sql else {
            throw SinkError(.schema, "table \(table) is not defined in the database")
        }
        return sql
    }
}
