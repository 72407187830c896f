import EventLog
import WriteBehindCore

/// Adds to rows of shared tables, which other stores change at the same time, inside a transaction of the caller's.
///
/// First the rows that are not there are made, of all tables, and then the others are locked and changed, each time in the
/// order of tables' names and of keys, which is the same in all stores. So two of them never wait for each other in a
/// circle. Making a row waits for another transaction that is making it; the lock of an update does not keep others from
/// referring to the row by a foreign key.
struct SharedRows {
    private let connection: PostgreSQLConnection
    private let options: PostgreSQLOptions
    private let store: [UInt8]
    /// Whether a row is made of its defaults, and what is added to it then. So a constraint is asked only about the row that
    /// there is in the end, which another transaction may be making right now.
    private let makesDefaults: Bool

    /// Amounts for rows of one table, in the order of their keys.
    struct Adds {
        var table: PostgreSQLTable
        var keys: [[UInt8]] = []
        var bodies: [[UInt8]] = []
    }

    /// Some of a table's rows, by their places in ``Adds``: as many as a statement has.
    private struct Part {
        var adds: Adds
        var places: [Int]

        var keys: [[UInt8]] { places.map { adds.keys[$0] } }
    }

    init(
        _ connection: PostgreSQLConnection, _ options: PostgreSQLOptions, store: [UInt8],
        makesDefaults: Bool = false
    ) {
        (self.connection, self.options, self.store) = (connection, options, store)
        self.makesDefaults = makesDefaults
    }

    /// Makes the rows that are not there.
    ///
    /// - Parameter change: gets the values of columns of rows that are there, and locked until the transaction ends.
    func apply(
        _ all: [Adds],
        change: (PostgreSQLTable, _ key: Span<UInt8>, _ patch: Span<UInt8>) throws(SinkError) ->
            Void
    ) throws(SinkError) {
        let all = all.sorted { $0.table.name < $1.table.name }
        var parts = all.flatMap(divided)
        for attempt in 1... {
            for index in parts.indices { try make(&parts[index]) }
            for index in parts.indices { try lock(&parts[index], change) }
            parts.removeAll { $0.places.isEmpty }
            if parts.isEmpty { break }
            // Somebody may have deleted rows in between.
            guard attempt < 10 else {
                throw SinkError(
                    .constraint,
                    "table \(parts[0].adds.table.name): a row is not there after it was made; a trigger ignores it, or "
                        + "somebody deletes it all the time")
            }
        }
        for adds in all { try note(adds) }
    }

    private func divided(_ adds: Adds) -> [Part] {
        var parts: [Part] = []
        var places: [Int] = []
        var byteCount = 0
        for place in adds.keys.indices {
            places.append(place)
            byteCount += adds.keys[place].count + adds.bodies[place].count
            if places.count == options.rowsAStatement || byteCount >= options.bytesAStatement
                || place == adds.keys.count - 1
            {
                parts.append(Part(adds: adds, places: places))
                (places, byteCount) = ([], 0)
            }
        }
        return parts
    }

    /// Makes the rows that no transaction has made yet, and takes those out of the part that are as they must be.
    private func make(_ part: inout Part) throws(SinkError) {
        let table = part.adds.table
        let there = try connection.run(table.there, try parameters(of: part))
        var missing = Set(part.places)
        for row in 0..<there.rowCount { missing.remove(try place(there.integer(row, 0), part)) }
        guard !missing.isEmpty else { return }
        let rows = GatheredRows(table.keys + table.columns())
        var made: [Int] = []
        var begun: Set<Int> = []
        for place in missing.sorted() {
            var (key, add) = (part.adds.keys[place], part.adds.bodies[place])
            if makesDefaults, add.first == RowMerge.Origin.making.rawValue {
                add = RowCodec.encodeAdd([], makesRow: true)
                begun.insert(place)
            }
            let added = try AddedRow(adding: add.span, to: nil, table.schema, named: table.name)
            guard case .put(let row) = added else {
                // It adds nothing.
                part.places.removeAll { $0 == place }
                continue
            }
            try rows.append(key: key.span, table)
            try rows.append(row: row.span, table)
            made.append(place)
        }
        guard !made.isEmpty else { return }
        // Adds of several stores commute, but who makes a row does not: after a crash of the server the same one must have
        // made it, though another store may be the first to come back.
        if made.contains(where: { part.adds.bodies[$0].first == RowMerge.Origin.either.rawValue }) {
            try connection.run("SET LOCAL synchronous_commit = on")
        }
        let answer = try connection.run(table.make, rows.parameters)
        var own: Set<[UInt8]> = []
        for row in 0..<answer.rowCount { own.insert(try table.key(row, 0, answer)) }
        part.places.removeAll { own.contains(part.adds.keys[$0]) && !begun.contains($0) }
    }

    /// Locks the rows that are there, and takes them out of the part.
    private func lock(
        _ part: inout Part,
        _ change: (PostgreSQLTable, Span<UInt8>, Span<UInt8>) throws(SinkError) -> Void
    ) throws(SinkError) {
        guard !part.places.isEmpty else { return }
        let (table, adds) = (part.adds.table, part.adds)
        let columns = try table.places(ofAdds: part.places.map { adds.bodies[$0] })
        let answer = try connection.run(table.lock(columns), try parameters(of: part))
        var locked: Set<Int> = []
        for row in 0..<answer.rowCount {
            let place = try place(answer.integer(row, 0), part)
            locked.insert(place)
            let old = try table.row(columns, row, answer)
            let (key, add) = (adds.keys[place], adds.bodies[place])
            let added = try AddedRow(adding: add.span, to: old, table.schema, named: table.name)
            if case .patch(let patch) = added, patch != RowCodec.noValues {
                try change(table, key.span, patch.span)
            }
        }
        part.places.removeAll { locked.contains($0) }
    }

    private func parameters(of part: Part) throws(SinkError) -> PostgreSQLParameters {
        var parameters = PostgreSQLParameters()
        for column in try part.adds.table.parameters(of: part.keys) { parameters.append(column) }
        return parameters
    }

    /// - Parameter number: a row's number in a statement, which counts from 1.
    private func place(_ number: Int64?, _ part: Part) throws(SinkError) -> Int {
        guard let number, number > 0, number <= part.places.count else {
            throw SinkError(.schema, "table \(part.adds.table.name): an answer of other rows")
        }
        return part.places[Int(number) - 1]
    }

    // MARK: what was added

    /// Notes how much this store has added to each column, for `writebehind verify`.
    private func note(_ adds: Adds) throws(SinkError) {
        let sums: [Int: Int128]
        do throws(MalformedRecord) {
            sums = try RowMerge.sums(ofAdds: adds.bodies)
        } catch {
            throw SinkError(malformed: error)
        }
        for (column, sum) in sums.sorted(by: { $0.key < $1.key }) {
            var parameters = PostgreSQLParameters()
            parameters.append(store)
            parameters.append(Int64(adds.table.definition.id))
            parameters.append(Int64(column))
            parameters.append("\(sum)")
            _ = try connection.run(
                """
                INSERT INTO writebehind.applied AS a (store, table_id, place, sum) \
                VALUES ($1::bytea, $2::bigint, $3::bigint, $4::text::numeric) \
                ON CONFLICT (store, table_id, place) DO UPDATE SET sum = a.sum + excluded.sum
                """, parameters)
        }
    }
}

extension PostgreSQLTable {
    /// The numbers of those of some rows that are there.
    var there: String {
        "SELECT u.place FROM \(rows(keys, place: true)) JOIN \(name) AS t ON \(keysMatch)"
    }

    /// Makes whole rows unless they are there, in the order of their numbers, and returns the keys of those that it made.
    var make: String {
        let columns = keys + columns()
        return """
            INSERT INTO \(name) AS t (\(columns.map(\.name).joined(separator: ", "))) \
            SELECT \(columns.enumerated().map(parameter).joined(separator: ", ")) \
            FROM \(rows(columns, place: true)) ORDER BY u.place \
            ON CONFLICT (\(keys.map(\.name).joined(separator: ", "))) DO NOTHING \
            RETURNING \(keys.map { $0.type.read("t.\($0.name)") }.joined(separator: ", "))
            """
    }

    /// The number and some columns of each row that is there. The rows are locked in the order of their numbers.
    func lock(_ places: [Int]) -> String {
        """
        SELECT \((["u.place"] + readValues(places, "t")).joined(separator: ", ")) \
        FROM \(rows(keys, place: true)) JOIN \(name) AS t ON \(keysMatch) \
        ORDER BY u.place FOR NO KEY UPDATE OF t
        """
    }

    /// The key in some columns of an answer's row.
    func key(
        _ row: Int, _ first: Int, _ answer: PostgreSQLAnswer
    ) throws(SinkError) -> [UInt8] {
        var values: [StoredValue] = []
        for (index, column) in keys.enumerated() {
            values.append(
                try column.type.value(answer.bytes(row, first + index), stored: column.stored))
        }
        do throws(RowError) {
            return try KeyCodec.encode(values, schema)
        } catch {
            throw SinkError(.schema, "\(error)")
        }
    }
}
