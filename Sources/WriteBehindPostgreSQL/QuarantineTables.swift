import WriteBehindCore

/// Quarantine as the database holds it, changed in the caller's transaction.
struct QuarantineTables {
    private let connection: PostgreSQLConnection
    private let store: [UInt8]

    init(_ connection: PostgreSQLConnection, _ store: [UInt8]) {
        (self.connection, self.store) = (connection, store)
    }

    private var start: PostgreSQLParameters {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        return parameters
    }

    /// Writes down what has changed.
    func save(_ changes: QuarantineIndex.Changes, of index: QuarantineIndex) throws(SinkError) {
        for sequence in changes.refused { try save(sequence, of: index) }
        for key in changes.keys { try save(key, index.held[key]) }
        for number in changes.groups {
            var parameters = start
            parameters.append(Int64(bitPattern: number))
            _ = try connection.run(
                "DELETE FROM writebehind.quarantine_group WHERE store = $1::bytea AND id = $2::bigint",
                parameters)
            guard let group = index.groups[number] else { continue }
            parameters.append(Int64(group.followers))
            _ = try connection.run(
                """
                INSERT INTO writebehind.quarantine_group (store, id, followers) \
                VALUES ($1::bytea, $2::bigint, $3::bigint)
                """, parameters)
        }
    }

    private func save(_ sequence: UInt64, of index: QuarantineIndex) throws(SinkError) {
        var parameters = start
        parameters.append(Int64(bitPattern: sequence))
        _ = try connection.run(
            "DELETE FROM writebehind.quarantine WHERE store = $1::bytea AND sequence = $2::bigint",
            parameters)
        guard let commit = index.refused[sequence] else { return }
        parameters.append(Int64(commit.recordCount))
        parameters.append(commit.error.kind.rawValue)
        parameters.append(Int64(commit.error.code))
        // The server's text has no NUL, and a message may quote anything.
        parameters.append(commit.error.message.replacing("\0", with: "\u{FFFD}"))
        parameters.append(commit.refusedAt)
        parameters.append(Int64(commit.attempts))
        parameters.append(Int64(bitPattern: index.group(of: commit) ?? sequence))
        parameters.append(commit.isDefinition)
        _ = try connection.run(
            """
            INSERT INTO writebehind.quarantine (store, sequence, record_count, kind, code, message, \
            refused_at, attempts, group_id, is_definition) VALUES ($1::bytea, $2::bigint, $3::bigint, \
            $4::text, $5::bigint::integer, $6::text, $7::bigint, $8::bigint, $9::bigint, $10::boolean)
            """, parameters)
    }

    private func save(
        _ key: QuarantinedKey, _ holder: QuarantineIndex.Held?
    ) throws(SinkError) {
        var parameters = start
        parameters.append(Int64(key.table))
        switch key {
        case .row(_, let bytes): parameters.append(bytes)
        case .table: parameters.append(nil as [UInt8]?)
        }
        _ = try connection.run(
            """
            DELETE FROM writebehind.quarantine_key WHERE store = $1::bytea AND table_id = $2::bigint \
            AND key IS NOT DISTINCT FROM $3::bytea
            """, parameters)
        guard let holder else { return }
        parameters.append(Int64(bitPattern: holder.since))
        parameters.append(Int64(bitPattern: holder.last))
        parameters.append(Int64(bitPattern: holder.group))
        _ = try connection.run(
            """
            INSERT INTO writebehind.quarantine_key (store, table_id, key, since, last, group_id) \
            VALUES ($1::bytea, $2::bigint, $3::bytea, $4::bigint, $5::bigint, $6::bigint)
            """, parameters)
    }

    func load() throws(SinkError) -> QuarantineIndex {
        var index = QuarantineIndex()
        var keys: [UInt64: [QuarantinedKey]] = [:]
        // Definitions are tried also where their table is held already.
        var tables: [UInt64: [QuarantinedKey]] = [:]
        let held = try connection.run(
            """
            SELECT table_id, since, last, group_id, key FROM writebehind.quarantine_key \
            WHERE store = $1::bytea ORDER BY number
            """, start)
        func number(_ row: Int, _ column: Int, _ answer: PostgreSQLAnswer) -> UInt64 {
            UInt64(bitPattern: answer.integer(row, column) ?? 0)
        }
        func count(_ row: Int, _ column: Int, _ answer: PostgreSQLAnswer) -> Int {
            // No store writes a negative one.
            max(0, Int(answer.integer(row, column) ?? 0))
        }
        for row in 0..<held.rowCount {
            let table = UInt32(truncatingIfNeeded: number(row, 0, held))
            let key =
                held.bytes(row, 4).map { QuarantinedKey.row(table: table, key: $0) }
                ?? .table(table)
            let (since, group) = (number(row, 1, held), number(row, 3, held))
            // A refused commit was tried, so nothing before it holds a key of it.
            keys[since, default: []].append(key)
            if case .table = key { tables[group, default: []].append(key) }
            index.load(
                key,
                QuarantineIndex.Held(since: since, last: number(row, 2, held), group: group))
        }
        let commits = try connection.run(
            """
            SELECT sequence, record_count, code::bigint, refused_at, attempts, group_id, is_definition, kind, message \
            FROM writebehind.quarantine WHERE store = $1::bytea
            """, start)
        for row in 0..<commits.rowCount {
            let (sequence, group) = (number(row, 0, commits), number(row, 5, commits))
            let isDefinition = commits.boolean(row, 6)
            let kind = SinkError.Kind(rawValue: commits.text(row, 7) ?? "") ?? .constraint
            let error = SinkError(
                kind, code: Int32(truncatingIfNeeded: commits.integer(row, 2) ?? 0),
                commits.text(row, 8) ?? "")
            index.load(
                QuarantinedCommit(
                    firstSequence: sequence, recordCount: count(row, 1, commits),
                    error: error, refusedAt: commits.integer(row, 3) ?? 0,
                    attempts: count(row, 4, commits),
                    keys: keys[sequence] ?? (isDefinition ? tables[group] ?? [] : []),
                    isDefinition: isDefinition),
                group: group)
        }
        let groups = try connection.run(
            "SELECT id, followers FROM writebehind.quarantine_group WHERE store = $1::bytea",
            start)
        for row in 0..<groups.rowCount {
            index.load(group: number(row, 0, groups), followers: count(row, 1, groups))
        }
        return index
    }
}
