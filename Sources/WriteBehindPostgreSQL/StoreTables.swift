import EventLog
import WriteBehindCore

/// The store's own tables, in a schema `writebehind` that all stores of the database share.
///
///     watermark(store, sequence, chain, version, claims, pid, backend_start, applied_at)   one row a store
///     tables(store, id, namespace, name, shared, revision, definition)                     what was defined, as JSON
///     applied(store, table_id, place, sum)              how much the store has added to a column of a shared table
///     quarantine(…), quarantine_key(…), quarantine_group(…)
///
/// A table that is not shared has one row in `tables`, so no two stores write it.
enum StoreTables {
    static let statements = [
        "CREATE SCHEMA IF NOT EXISTS writebehind",
        """
        CREATE TABLE IF NOT EXISTS writebehind.watermark (
          store bytea PRIMARY KEY, sequence bigint NOT NULL, chain bigint NOT NULL,
          version bigint NOT NULL, claims bigint NOT NULL, pid integer NOT NULL,
          backend_start timestamptz NOT NULL, applied_at timestamptz NOT NULL
        ) WITH (fillfactor = 10)
        """,
        """
        CREATE TABLE IF NOT EXISTS writebehind.tables (
          store bytea NOT NULL, id bigint NOT NULL, namespace text NOT NULL, name text NOT NULL,
          shared boolean NOT NULL, revision bigint NOT NULL, definition text NOT NULL,
          PRIMARY KEY (store, id)
        )
        """,
        """
        CREATE UNIQUE INDEX IF NOT EXISTS tables_owner
          ON writebehind.tables (namespace, name) WHERE NOT shared
        """,
        """
        CREATE TABLE IF NOT EXISTS writebehind.applied (
          store bytea NOT NULL, table_id bigint NOT NULL, place bigint NOT NULL,
          sum numeric NOT NULL, PRIMARY KEY (store, table_id, place)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS writebehind.quarantine (
          store bytea NOT NULL, sequence bigint NOT NULL, record_count bigint NOT NULL,
          kind text NOT NULL, code integer NOT NULL, message text NOT NULL,
          refused_at bigint NOT NULL, attempts bigint NOT NULL, group_id bigint NOT NULL,
          is_definition boolean NOT NULL, PRIMARY KEY (store, sequence)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS writebehind.quarantine_key (
          number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          store bytea NOT NULL, table_id bigint NOT NULL, key bytea,
          since bigint NOT NULL, last bigint NOT NULL, group_id bigint NOT NULL
        )
        """,
        """
        CREATE INDEX IF NOT EXISTS quarantine_key_place
          ON writebehind.quarantine_key (store, table_id)
        """,
        """
        CREATE TABLE IF NOT EXISTS writebehind.quarantine_group (
          store bytea NOT NULL, id bigint NOT NULL, followers bigint NOT NULL,
          PRIMARY KEY (store, id)
        )
        """,
    ]

    /// Makes the tables that are not there. One store at a time: the server's IF NOT EXISTS is not for several.
    static func make(_ connection: PostgreSQLConnection) throws(SinkError) {
        let there = try connection.run(
            """
            SELECT count(*) FROM pg_catalog.pg_class AS c \
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
            WHERE n.nspname = 'writebehind' AND c.relkind = 'r' AND c.relname IN ('watermark', 'tables', \
            'quarantine', 'quarantine_key', 'quarantine_group', 'applied')
            """, PostgreSQLParameters())
        guard there.integer(0, 0) != 6 else { return }
        do throws(SinkError) {
            try connection.run("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE")
            try makeInTransaction(connection)
            try connection.run("COMMIT")
        } catch {
            if connection.isUsable { _ = try? connection.run("ROLLBACK") }
            throw error
        }
    }

    /// ``make(_:)`` in the caller's transaction.
    static func makeInTransaction(_ connection: PostgreSQLConnection) throws(SinkError) {
        do throws(SinkError) {
            try connection.run("SELECT pg_advisory_xact_lock(7311146906524573797)")
            for statement in statements { try connection.run(statement) }
        } catch {
            guard error.kind == .schema else { throw error }
            var error = error
            error.message =
                "the store's own tables cannot be made in the schema writebehind: \(error.message); let the role "
                + "create a schema in this database (GRANT CREATE ON DATABASE), or make the schema for it and let "
                + "the role create in it"
            throw error
        }
    }
}

/// Who may write for a store.
///
/// Each session that opens the store's row claims it: it gives it a new version, and nobody with an older one writes any
/// more. Without that, a transaction whose COMMIT was sent to a session that is lost could be committed after it was
/// applied again by the next session.
struct Claim: Sendable {
    /// Counts up. A lower one is there only after the server has gone back to an earlier state.
    var claims: Int64
    var version: Int64
}

/// The claims of one store that is open, from one session to the next.
final class Claims: Sendable {
    private struct State {
        /// The last one that is known to be committed.
        var last: Int64?
        /// Versions that are ours, even if nobody knows whether their commit was done.
        var versions: Set<Int64> = []
    }

    private let state = Lock(State())

    /// Whether the row is ours to claim. `nil` is a row that is not there.
    func mayClaim(_ found: Claim?) -> Bool {
        state.withLock { state in
            guard let last = state.last, let found else { return true }
            // Lower: the server was restored from a time before our claim, which thereby is lost, and so is any other.
            return found.claims < last || state.versions.contains(found.version)
        }
    }

    func next(after found: Claim?, _ random: () -> UInt64) -> Claim {
        let version = Int64(bitPattern: random())
        return state.withLock { state in
            state.versions.insert(version)
            return Claim(
                claims: max(found?.claims ?? 0, state.last ?? 0) + 1, version: version)
        }
    }

    /// It is committed.
    func confirm(_ claim: Claim) { state.withLock { $0.last = claim.claims } }
}
