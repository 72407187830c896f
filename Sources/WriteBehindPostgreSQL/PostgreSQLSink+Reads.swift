import EventLog
import WriteBehindCore

// Reads: the rows, the watermark, the version of the claim and the revision of the table come from one statement, and so
// from one snapshot.

extension PostgreSQLSink {
    func holds(_ table: UInt32) -> Bool { state.withLock { $0.tables[table] != nil } }

    func read(_ table: UInt32, key: Span<UInt8>) throws(SinkError) -> StoredRow {
        let keys = [[UInt8](copying: key)]
        let look = try look(table)
        return try readers.run { connection throws(SinkError) in
            try look.rows(keys, connection)[0]
        }
    }

    func read(_ table: UInt32, keys: [[UInt8]]) async throws(SinkError) -> [StoredRow] {
        guard !keys.isEmpty else { return [] }
        let look = try look(table)
        return try await readers.run { connection throws(SinkError) in
            try look.rows(keys, connection)
        }
    }

    func scan(
        _ table: UInt32, columns: [Int], after key: [UInt8]?, limit: Int
    ) throws(SinkError) -> ScannedRows {
        let look = try look(table)
        return try readers.run { connection throws(SinkError) in
            try look.scan(columns, after: key, limit: limit, connection)
        }
    }

    func dueRows(
        _ table: UInt32, before seconds: Int64, limit: Int
    ) throws(SinkError) -> DueRows {
        let look = try look(table)
        return try readers.run { connection throws(SinkError) in
            try look.due(before: seconds, limit: limit, connection)
        }
    }

    private func look(_ id: UInt32) throws(SinkError) -> TableLook {
        try checkOpen()
        guard let table = state.withLock({ $0.tables[id] }) else {
            throw SinkError(.schema, "table \(id) is not defined in the database")
        }
        return TableLook(table: table, store: store, version: version)
    }
}

/// A look at a table by a session that reads.
private struct TableLook: Sendable {
    var table: PostgreSQLTable
    let store: [UInt8]
    let version: Int64

    /// The columns before those of rows: watermark, version, revision, whether there is a row.
    private static let markCount = 4

    func rows(
        _ keys: [[UInt8]], _ connection: PostgreSQLConnection
    ) throws(SinkError) -> [StoredRow] {
        try current(connection) { (table, parameters) throws(SinkError) in
            var parameters = parameters
            for column in try table.parameters(of: keys) { parameters.append(column) }
            return (table.select, parameters)
        } read: { (table, answer, watermark) throws(SinkError) in
            guard answer.rowCount == keys.count else {
                throw SinkError(.schema, "\(answer.rowCount) rows instead of \(keys.count)")
            }
            var rows: [StoredRow] = []
            for row in 0..<answer.rowCount {
                let body =
                    answer.boolean(row, 3)
                    ? try table.body(
                        Array(table.values.indices), row, behind: Self.markCount, answer) : nil
                rows.append(StoredRow(body: body, watermark: watermark))
            }
            return rows
        }
    }

    func scan(
        _ columns: [Int], after key: [UInt8]?, limit: Int, _ connection: PostgreSQLConnection
    ) throws(SinkError) -> ScannedRows {
        try current(connection) { (table, parameters) throws(SinkError) in
            var parameters = parameters
            if let key {
                try table.append(key: key.span) { (place, value) throws(SinkError) in
                    let column = table.keys[place]
                    try value.append(to: &parameters, as: column.type, column.name)
                }
            }
            parameters.append(Int64(limit))
            let places = columns.filter { $0 < table.values.count }
            return (table.scan(places, isFromStart: key == nil), parameters)
        } read: { (table, answer, watermark) throws(SinkError) in
            let places = columns.filter { $0 < table.values.count }
            var rows: [ScannedRows.Row] = []
            for row in 0..<answer.rowCount where answer.boolean(row, 3) {
                rows.append(
                    ScannedRows.Row(
                        key: try table.key(row, Self.markCount + places.count, answer),
                        columns: try table.body(places, row, behind: Self.markCount, answer)))
            }
            return ScannedRows(rows: rows, watermark: watermark)
        }
    }

    func due(
        before seconds: Int64, limit: Int, _ connection: PostgreSQLConnection
    ) throws(SinkError) -> DueRows {
        try current(connection) { (table, parameters) throws(SinkError) in
            guard let sql = table.due, let place = table.schema.expiryIndex,
                let column = table.values[place]
            else { return nil }
            var parameters = parameters
            try StoredValue.integer(seconds).append(
                to: &parameters, as: column.type, column.name)
            parameters.append(Int64(limit))
            return (sql, parameters)
        } read: { (table, answer, watermark) throws(SinkError) in
            var keys: [[UInt8]] = []
            for row in 0..<answer.rowCount where answer.boolean(row, 3) {
                keys.append(try table.key(row, Self.markCount, answer))
            }
            return DueRows(keys: keys, watermark: watermark, column: table.schema.expiryIndex)
        } ?? DueRows(keys: [])
    }

    private typealias Question = (sql: String, parameters: PostgreSQLParameters)

    /// Asks with the table as it is by now: its columns may have got other names, or each other's, since the caller looked.
    private func current<Value>(
        _ connection: PostgreSQLConnection,
        ask: (PostgreSQLTable, PostgreSQLParameters) throws(SinkError) -> (
            String, PostgreSQLParameters
        ),
        read: (PostgreSQLTable, PostgreSQLAnswer, UInt64) throws(SinkError) -> Value
    ) throws(SinkError) -> Value {
        let value = try current(connection) {
            (table, parameters) throws(SinkError) -> (String, PostgreSQLParameters)? in
            try ask(table, parameters)
        } read: { (table, answer, watermark) throws(SinkError) in
            try read(table, answer, watermark)
        }
        guard let value else { throw SinkError(.schema, "nothing was asked") }
        return value
    }

    private func current<Value>(
        _ connection: PostgreSQLConnection,
        ask: (PostgreSQLTable, PostgreSQLParameters) throws(SinkError) -> (
            String, PostgreSQLParameters
        )?,
        read: (PostgreSQLTable, PostgreSQLAnswer, UInt64) throws(SinkError) -> Value
    ) throws(SinkError) -> Value? {
        var table = table
        var start = PostgreSQLParameters()
        start.append(store)
        start.append(Int64(table.definition.id))
        for attempt in 1... {
            do throws(SinkError) {
                guard let (sql, parameters) = try ask(table, start) else { return nil }
                let answer = try connection.run(sql, parameters)
                guard answer.rowCount > 0, let sequence = answer.integer(0, 0) else {
                    throw SinkError(.gone, "the store's row in writebehind.watermark is missing")
                }
                guard answer.integer(0, 1) == version else {
                    throw SinkError(.gone, "the database was claimed meanwhile")
                }
                if answer.integer(0, 2) == Int64(table.definition.revision) {
                    return try read(table, answer, UInt64(bitPattern: sequence))
                }
            } catch {
                let states = ["0A000", "26000", "42703", "42P01", "42804"]
                guard attempt < 5, let state = error.sqlState, states.contains(state) else {
                    throw error
                }
                try connection.forgetPrepared()
            }
            guard attempt < 5 else { break }
            table = try newest(start, connection)
        }
        throw SinkError(.busy, "table \(table.name) was changed again and again")
    }

    private func newest(
        _ parameters: PostgreSQLParameters, _ connection: PostgreSQLConnection
    ) throws(SinkError) -> PostgreSQLTable {
        let rows = try connection.run(
            """
            SELECT definition FROM writebehind.tables WHERE store = $1::bytea AND id = $2::bigint
            """, parameters)
        guard let json = rows.rowCount == 1 ? rows.bytes(0, 0) : nil else {
            throw SinkError(.schema, "table \(table.name) is not defined in the database")
        }
        do throws(SchemaError) {
            return PostgreSQLTable(try TableDefinition(json: json.span), in: table.namespace)
        } catch {
            throw SinkError(.schema, "writebehind.tables: \(error)")
        }
    }
}
