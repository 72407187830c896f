import GRDB
import GRDBSQLite

/// Quarantine as the database holds it, changed in the caller's transaction.
@safe struct QuarantineTable {
    private let insertCommit, insertKey, removeCommit, removeKeys: PreparedStatement

    /// A commit of it: its place in the log, why it was refused last, and (times in microseconds
    /// since 1970) when first. A key that is null stands for all rows of the table.
    static let schema = """
        CREATE TABLE _writebehind_quarantine (
          sequence INTEGER PRIMARY KEY NOT NULL, record_count INTEGER NOT NULL,
          kind TEXT NOT NULL, code INTEGER NOT NULL, message TEXT NOT NULL,
          refused_at INTEGER NOT NULL, attempts INTEGER NOT NULL, depends_on INTEGER
        ) STRICT;
        CREATE TABLE _writebehind_quarantine_key (
          sequence INTEGER NOT NULL, table_id INTEGER NOT NULL, key BLOB
        ) STRICT;
        CREATE INDEX _writebehind_quarantine_key_sequence
          ON _writebehind_quarantine_key (sequence);
        """

    init(_ db: Database) throws(SinkError) {
        guard let connection = unsafe db.sqliteConnection else {
            throw SinkError(.gone, "the database is closed")
        }
        insertCommit = unsafe try PreparedStatement(
            """
            INSERT INTO _writebehind_quarantine (sequence, record_count, kind, code, message, \
            refused_at, attempts, depends_on) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            """, on: connection)
        insertKey = unsafe try PreparedStatement(
            "INSERT INTO _writebehind_quarantine_key (sequence, table_id, key) VALUES (?1, ?2, ?3)",
            on: connection)
        removeCommit = unsafe try PreparedStatement(
            "DELETE FROM _writebehind_quarantine WHERE sequence = ?1", on: connection)
        removeKeys = unsafe try PreparedStatement(
            "DELETE FROM _writebehind_quarantine_key WHERE sequence = ?1", on: connection)
    }

    func insert(_ commit: QuarantinedCommit) throws(SinkError) {
        try remove(commit.firstSequence)
        try insertCommit.bind(Int64(bitPattern: commit.firstSequence), at: 1)
        try insertCommit.bind(Int64(commit.recordCount), at: 2)
        try insertCommit.bind(.text(commit.error.kind.rawValue), at: 3)
        try insertCommit.bind(Int64(commit.error.code), at: 4)
        try insertCommit.bind(.text(commit.error.message), at: 5)
        try insertCommit.bind(commit.refusedAt, at: 6)
        try insertCommit.bind(Int64(commit.attempts), at: 7)
        let follows = commit.dependsOn.map { Value.integer(Int64(bitPattern: $0)) }
        try insertCommit.bind(follows ?? .null, at: 8)
        try insertCommit.run()
        for key in commit.keys {
            try insertKey.bind(Int64(bitPattern: commit.firstSequence), at: 1)
            try insertKey.bind(Int64(key.table), at: 2)
            switch key {
            case .row(_, let key): try insertKey.bind(.blob(key), at: 3)
            case .table: try insertKey.bindNull(at: 3)
            }
            try insertKey.run()
        }
    }

    func remove(_ sequence: UInt64) throws(SinkError) {
        for statement in [removeCommit, removeKeys] {
            try statement.bind(Int64(bitPattern: sequence), at: 1)
            try statement.run()
        }
    }

    static func load(_ db: Database) throws -> QuarantineIndex {
        var keys: [Int64: [QuarantinedKey]] = [:]
        let keyRows = try Row.fetchCursor(
            db,
            sql: "SELECT sequence, table_id, key FROM _writebehind_quarantine_key ORDER BY rowid")
        while let row = try keyRows.next() {
            let table = UInt32(truncatingIfNeeded: row[1] as Int64)
            let key = try row.withUnsafeData(atIndex: 2) { $0.map { [UInt8]($0) } }
            keys[row[0], default: []].append(
                key.map { .row(table: table, key: $0) } ?? .table(table))
        }
        var index = QuarantineIndex()
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM _writebehind_quarantine")
        while let row = try rows.next() {
            let sequence: Int64 = row["sequence"]
            let kind = SinkError.Kind(rawValue: row["kind"]) ?? .constraint
            index.insert(
                QuarantinedCommit(
                    firstSequence: UInt64(bitPattern: sequence), recordCount: row["record_count"],
                    error: SinkError(kind, code: row["code"], row["message"]),
                    refusedAt: row["refused_at"], attempts: row["attempts"],
                    dependsOn: (row["depends_on"] as Int64?).map(UInt64.init(bitPattern:)),
                    keys: keys[sequence] ?? []))
        }
        return index
    }
}
