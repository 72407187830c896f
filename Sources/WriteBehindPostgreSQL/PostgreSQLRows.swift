import EventLog
import WriteBehindCore

/// The rows of one table, in the order of their keys, read through a cursor of the caller's transaction: neither side holds
/// all of them.
///
/// `@unchecked Sendable`: nothing is locked. One thread at a time uses it, and nobody uses the session meanwhile.
final class PostgreSQLRows: StoredRowSource, @unchecked Sendable {
    private let table: PostgreSQLTable
    private let connection: PostgreSQLConnection
    private let cursor: String
    /// How many rows are fetched next. It follows their size, so that a fetch takes a bounded room.
    private var limit = 64
    private static let rowLimit = 1024
    private static let byteLimit = 2 << 20
    private var isAtEnd = false

    let respelled: Set<Int>

    init(_ table: PostgreSQLTable, _ connection: PostgreSQLConnection) throws(SinkError) {
        (self.table, self.connection) = (table, connection)
        // A prepared FETCH keeps the columns of its cursor, so each table has a name of its own.
        cursor = "writebehind_rows_\(table.definition.id)"
        respelled = Set(
            table.values.indices.filter { place in
                table.values[place].map { $0.type == .jsonb || $0.type == .numeric } ?? false
            })
        try connection.run("DECLARE \(cursor) NO SCROLL CURSOR FOR \(table.everything)")
    }

    func fill(_ run: StoredRun) throws(SinkError) {
        guard !isAtEnd else { return }
        // Sorting by another order than an index's may take the server long.
        let rows = try connection.patiently { () throws(SinkError) in
            try connection.run("FETCH FORWARD \(limit) FROM \(cursor)", PostgreSQLParameters())
        }
        isAtEnd = rows.rowCount < limit
        for row in 0..<rows.rowCount { try append(row, rows, to: run) }
        let size = max(1, run.bytes.count / max(1, rows.rowCount))
        while limit * size > Self.byteLimit, limit > 1 { limit /= 2 }
        if limit < Self.rowLimit, limit * 2 * size <= Self.byteLimit { limit *= 2 }
    }

    private func append(
        _ row: Int, _ answer: PostgreSQLAnswer, to run: StoredRun
    ) throws(SinkError) {
        var fault: String?
        func value(_ column: PostgreSQLTable.Column?, _ place: Int) -> StoredValue {
            guard let column else { return .null }
            do throws(SinkError) {
                let bytes = answer.bytes(row, place)
                if let reason = column.type.loss(bytes) {
                    fault = fault ?? "\(column.plainName) \(reason)"
                }
                return try column.type.value(bytes, stored: column.stored)
            } catch {
                fault = fault ?? "\(column.plainName): \(error.message)"
                return .null
            }
        }
        let key = table.keys.enumerated().map { value($1, $0) }
        let values = table.values.enumerated().map { value($1, table.keys.count + $0) }
        do throws(RowError) {
            let body = try fault == nil ? RowCodec.encodeRow(values, table.schema) : []
            run.append(key: try KeyCodec.encode(key, table.schema), body: body, fault: fault)
        } catch {
            let encoded = (try? KeyCodec.encode(key, table.schema)) ?? []
            run.append(key: encoded, body: [], fault: fault ?? "\(error)")
        }
    }

    // MARK: spellings

    func areEqual(_ pairs: [RespelledPair]) throws(SinkError) -> [Bool] {
        var answers = [Bool](repeating: false, count: pairs.count)
        for type in [NaturalType.jsonb, .numeric] {
            let places = pairs.indices.filter { table.values[pairs[$0].column]?.type == type }
            // Not all at once: they may be long.
            for start in stride(from: 0, to: places.count, by: Self.rowLimit) {
                let some = places[start..<min(start + Self.rowLimit, places.count)]
                try judge(Array(some), pairs, type, &answers)
            }
        }
        return answers
    }

    private func judge(
        _ places: [Int], _ pairs: [RespelledPair], _ type: NaturalType, _ answers: inout [Bool]
    ) throws(SinkError) {
        var columns = (ArrayColumn(25), ArrayColumn(25))
        for place in places {
            columns.0.append(pairs[place].log.utf8)
            columns.1.append(pairs[place].database.utf8)
        }
        var parameters = PostgreSQLParameters()
        parameters.append(columns.0)
        parameters.append(columns.1)
        try connection.run("SAVEPOINT writebehind_spelling")
        do throws(SinkError) {
            let rows = try connection.run(
                """
                SELECT u.log::\(type.name) = u.stored::\(type.name) \
                FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u(log, stored, place) \
                ORDER BY u.place
                """, parameters)
            for (row, place) in places.enumerated() { answers[place] = rows.boolean(row, 0) }
            try connection.run("RELEASE writebehind_spelling")
        } catch {
            guard error.kind == .constraint, connection.isUsable else { throw error }
            try connection.run("ROLLBACK TO writebehind_spelling")
            // One of them is no value of the type: alone it differs, and the others are judged without it.
            guard places.count > 1 else { return }
            let middle = places.count / 2
            try judge(Array(places[..<middle]), pairs, type, &answers)
            try judge(Array(places[middle...]), pairs, type, &answers)
        }
    }
}
