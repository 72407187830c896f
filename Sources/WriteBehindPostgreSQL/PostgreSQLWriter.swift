import EventLog
import WriteBehindCore

/// The session that writes for a store.
///
/// `@unchecked Sendable`: it has no lock of its own. An instance is used only while the sink's writer lock is held.
final class PostgreSQLWriter: @unchecked Sendable {
    let connection: PostgreSQLConnection
    let options: PostgreSQLOptions
    private let store: [UInt8]
    let claim: Claim
    /// The watermark of the last transaction: nobody else may have moved it since.
    private(set) var watermark: Watermark
    /// The server's process for this session.
    let pid: Int64

    /// What was in the database when it was claimed.
    struct Claimed {
        var writer: PostgreSQLWriter
        var tables: [TableDefinition]
        var quarantine: QuarantineIndex
    }

    private init(
        _ connection: PostgreSQLConnection, _ options: PostgreSQLOptions, _ store: [UInt8],
        _ claim: Claim, _ watermark: Watermark, pid: Int64
    ) {
        (self.connection, self.options, self.store) = (connection, options, store)
        (self.claim, self.watermark, self.pid) = (claim, watermark, pid)
    }

    // MARK: claiming

    /// Claims the store's row, or makes it with `origin` as its watermark.
    static func claim(
        _ connection: PostgreSQLConnection, _ options: PostgreSQLOptions, store: [UInt8],
        origin: Watermark, _ claims: Claims
    ) throws(SinkError) -> Claimed {
        let standby = try connection.run("SELECT pg_is_in_recovery()", PostgreSQLParameters())
        guard !standby.boolean(0, 0) else {
            throw SinkError(.readOnly, "the server is a standby, which cannot be written to")
        }
        try StoreTables.make(connection)
        do throws(SinkError) {
            return try take(connection, options, store, origin, claims)
        } catch {
            guard error.sqlState == "55P03" else { throw error }
            // The session before this one still has the row: its server process may wait for a client that is gone.
            try endHolder(connection, store)
            return try take(connection, options, store, origin, claims)
        }
    }

    private static func take(
        _ connection: PostgreSQLConnection, _ options: PostgreSQLOptions, _ store: [UInt8],
        _ origin: Watermark, _ claims: Claims
    ) throws(SinkError) -> Claimed {
        let claimed = try inTransaction(connection) { () throws(SinkError) in
            // Once in a long while, so it may wait for the disk. A claim that is lost would not keep others out.
            try connection.run("SET LOCAL synchronous_commit = on")
            var parameters = PostgreSQLParameters()
            parameters.append(store)
            let row = try connection.run(
                """
                SELECT sequence, chain, version, claims FROM writebehind.watermark \
                WHERE store = $1::bytea FOR UPDATE
                """, parameters)
            var found: Claim?
            var watermark = origin
            if let sequence = row.rowCount == 1 ? row.integer(0, 0) : nil {
                guard sequence >= 0 else {
                    throw SinkError(
                        .schema, "the watermark in writebehind.watermark is \(sequence)")
                }
                watermark = Watermark(
                    sequence: UInt64(bitPattern: sequence),
                    chain: UInt64(bitPattern: row.integer(0, 1) ?? 0))
                found = Claim(claims: row.integer(0, 3) ?? 0, version: row.integer(0, 2) ?? 0)
            }
            guard claims.mayClaim(found) else { throw fenced }
            let claim = claims.next(after: found, options.random)
            let pid = try write(claim, watermark, isNew: found == nil, connection, store)
            guard pid == connection.process else { throw .pooled }
            let writer = PostgreSQLWriter(
                connection, options, store, claim, watermark, pid: pid)
            return Claimed(
                writer: writer, tables: try tables(connection, store),
                quarantine: try QuarantineTables(connection, store).load())
        }
        claims.confirm(claimed.writer.claim)
        return claimed
    }

    static func write(
        _ claim: Claim, _ watermark: Watermark, isNew: Bool, _ connection: PostgreSQLConnection,
        _ store: [UInt8]
    ) throws(SinkError) -> Int64 {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        parameters.append(claim.version)
        parameters.append(claim.claims)
        parameters.append(Int64(bitPattern: watermark.sequence))
        parameters.append(Int64(bitPattern: watermark.chain))
        let started = """
            (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
            """
        let sql =
            isNew
            ? """
            INSERT INTO writebehind.watermark (store, version, claims, sequence, chain, pid, backend_start, \
            applied_at) VALUES ($1::bytea, $2::bigint, $3::bigint, $4::bigint, $5::bigint, pg_backend_pid(), \
            \(started), clock_timestamp()) RETURNING pid::bigint
            """
            : """
            UPDATE writebehind.watermark SET version = $2::bigint, claims = $3::bigint, \
            pid = pg_backend_pid(), backend_start = \(started) \
            WHERE store = $1::bytea AND sequence = $4::bigint AND chain = $5::bigint RETURNING pid::bigint
            """
        let answer = try connection.run(sql, parameters)
        guard answer.rowCount == 1, let pid = answer.integer(0, 0) else {
            throw SinkError(
                .schema,
                "the row of writebehind.watermark cannot be written: row security or a trigger is in the way"
            )
        }
        return pid
    }

    static func tables(
        _ connection: PostgreSQLConnection, _ store: [UInt8]
    ) throws(SinkError) -> [TableDefinition] {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        let rows = try connection.run(
            "SELECT definition FROM writebehind.tables WHERE store = $1::bytea ORDER BY id",
            parameters)
        var tables: [TableDefinition] = []
        for row in 0..<rows.rowCount {
            let json = rows.bytes(row, 0) ?? []
            do throws(SchemaError) {
                tables.append(try TableDefinition(json: json.span))
            } catch {
                throw SinkError(.schema, "writebehind.tables: \(error)")
            }
        }
        return tables
    }

    /// Ends the server's process that has the row, if it is the one that the row names.
    private static func endHolder(
        _ connection: PostgreSQLConnection, _ store: [UInt8]
    ) throws(SinkError) {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        _ = try connection.run(
            """
            SELECT pg_terminate_backend(a.pid, 5000) FROM writebehind.watermark AS w \
            JOIN pg_stat_activity AS a ON a.pid = w.pid AND a.backend_start = w.backend_start \
            WHERE w.store = $1::bytea
            """, parameters)
    }

    static var fenced: SinkError {
        SinkError(
            .foreignDatabase,
            "another store with the same identity has claimed it: a copy of this store's directory is open somewhere; "
                + "close one of the two, and delete the copy")
    }

    // MARK: transactions

    /// Runs `body` in one transaction, which moves the watermark first: that locks the store's row.
    ///
    /// - Parameter isKept: whether the commit waits until it survives power loss, and all before it.
    func transaction<Result>(
        through: Watermark?, isKept: Bool = false, _ body: () throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        let result = try Self.inTransaction(connection) { () throws(SinkError) in
            if isKept { try connection.run("SET LOCAL synchronous_commit = on") }
            try advance(to: through ?? watermark)
            return try body()
        }
        if let through { watermark = through }
        return result
    }

    /// Runs `body` in one transaction. It has failed unless the server says that it is committed.
    static func inTransaction<Result>(
        _ connection: PostgreSQLConnection, _ body: () throws(SinkError) -> Result
    ) throws(SinkError) -> Result {
        do throws(SinkError) {
            // Constraints that can wait are looked at when all rows are there.
            try connection.run(
                "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET CONSTRAINTS ALL DEFERRED")
            let result = try body()
            // The commit of a transaction that has failed succeeds, and says that it rolled back.
            let tag = try connection.run("COMMIT").tag
            guard tag == "COMMIT" else {
                throw SinkError(.io, "the server answered COMMIT with \(tag)")
            }
            return result
        } catch {
            if connection.isUsable {
                _ = try? connection.run("ROLLBACK")
                let isOutdated = error.sqlState == "0A000" || error.sqlState == "26000"
                if isOutdated { try? connection.forgetPrepared() }
            }
            throw error
        }
    }

    /// Stores the watermark, if it is still the one of the last transaction, and this session the one that claimed it.
    private func advance(to new: Watermark) throws(SinkError) {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        parameters.append(claim.version)
        parameters.append(Int64(bitPattern: watermark.sequence))
        parameters.append(Int64(bitPattern: watermark.chain))
        parameters.append(Int64(bitPattern: new.sequence))
        parameters.append(Int64(bitPattern: new.chain))
        let answer = try connection.run(
            """
            UPDATE writebehind.watermark SET sequence = $5::bigint, chain = $6::bigint, \
            applied_at = clock_timestamp() \
            WHERE store = $1::bytea AND version = $2::bigint AND sequence = $3::bigint \
            AND chain = $4::bigint RETURNING pg_backend_pid()::bigint
            """, parameters)
        guard answer.rowCount == 1 else { throw try whyNot() }
        guard answer.integer(0, 0) == pid else { throw .pooled }
    }

    /// Why the store's row was not found as it was left.
    private func whyNot() throws(SinkError) -> SinkError {
        var parameters = PostgreSQLParameters()
        parameters.append(store)
        let row = try connection.run(
            "SELECT version, claims FROM writebehind.watermark WHERE store = $1::bytea",
            parameters)
        if row.rowCount == 1, let version = row.integer(0, 0), let claims = row.integer(0, 1),
            version != claim.version, claims >= claim.claims
        {
            return Self.fenced
        }
        // It went back, or somebody has changed it. Opening it again shows which.
        return SinkError(.gone, "another program changed the database's watermark")
    }
}
