package import GRDB
import GRDBSQLite
package import WriteBehindCore

/// Quarantine as the database stores it. It is changed in the caller's transaction.
@safe package struct QuarantineTable {
    private let insertCommit, insertKey, insertGroup: PreparedStatement
    private let removeCommit, removeKey, removeGroup: PreparedStatement

    /// Three tables. The first has the refused commits: the place in the log, why each was last refused, and when it was
    /// first refused, in microseconds since 1970. The second has the keys that are held, and from which sequence on; a null
    /// key means all rows of the table. The third has the groups that commits form by their keys, and how many commits only
    /// follow.
    static let schema = """
        CREATE TABLE _writebehind_quarantine (
          sequence INTEGER PRIMARY KEY NOT NULL, record_count INTEGER NOT NULL,
          kind TEXT NOT NULL, code INTEGER NOT NULL, message TEXT NOT NULL,
          refused_at INTEGER NOT NULL, attempts INTEGER NOT NULL, group_id INTEGER NOT NULL,
          is_definition INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE _writebehind_quarantine_key (
          table_id INTEGER NOT NULL, key BLOB, since INTEGER NOT NULL, last INTEGER NOT NULL,
          group_id INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX _writebehind_quarantine_key_place
          ON _writebehind_quarantine_key (table_id, key);
        CREATE TABLE _writebehind_quarantine_group (
          id INTEGER PRIMARY KEY NOT NULL, followers INTEGER NOT NULL
        ) STRICT;
        """

    init(_ db: Database) throws(SinkError) {
        guard let connection = unsafe db.sqliteConnection else {
            throw SinkError(.gone, "the database is closed")
        }
        func statement(_ sql: String) throws(SinkError) -> PreparedStatement {
            unsafe try PreparedStatement(sql, on: connection)
        }
        insertCommit = try statement(
            """
            INSERT INTO _writebehind_quarantine (sequence, record_count, kind, code, message, \
            refused_at, attempts, group_id, is_definition) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            """)
        insertKey = try statement(
            """
            INSERT INTO _writebehind_quarantine_key (table_id, key, since, last, group_id) \
            VALUES (?1, ?2, ?3, ?4, ?5)
            """)
        insertGroup = try statement(
            "INSERT INTO _writebehind_quarantine_group (id, followers) VALUES (?1, ?2)")
        removeCommit = try statement("DELETE FROM _writebehind_quarantine WHERE sequence = ?1")
        removeKey = try statement(
            "DELETE FROM _writebehind_quarantine_key WHERE table_id = ?1 AND key IS ?2")
        removeGroup = try statement("DELETE FROM _writebehind_quarantine_group WHERE id = ?1")
    }

    /// Stores the changes.
    func save(_ changes: QuarantineIndex.Changes, of index: QuarantineIndex) throws(SinkError) {
        for sequence in changes.refused {
            try removeCommit.bind(Int64(bitPattern: sequence), at: 1)
            try removeCommit.run()
            guard let commit = index.refused[sequence] else { continue }
            try insert(commit, index.group(of: commit) ?? sequence)
        }
        for key in changes.keys { try save(key, index.held[key]) }
        for number in changes.groups {
            try removeGroup.bind(Int64(bitPattern: number), at: 1)
            try removeGroup.run()
            guard let group = index.groups[number] else { continue }
            try insertGroup.bind(Int64(bitPattern: number), at: 1)
            try insertGroup.bind(Int64(group.followers), at: 2)
            try insertGroup.run()
        }
    }

    private func insert(_ commit: QuarantinedCommit, _ group: UInt64) throws(SinkError) {
        try insertCommit.bind(Int64(bitPattern: commit.firstSequence), at: 1)
        try insertCommit.bind(Int64(commit.recordCount), at: 2)
        try insertCommit.bind(.text(commit.error.kind.rawValue), at: 3)
        try insertCommit.bind(Int64(commit.error.code), at: 4)
        try insertCommit.bind(.text(commit.error.message), at: 5)
        try insertCommit.bind(commit.refusedAt, at: 6)
        try insertCommit.bind(Int64(commit.attempts), at: 7)
        try insertCommit.bind(Int64(bitPattern: group), at: 8)
        try insertCommit.bind(Int64(commit.isDefinition ? 1 : 0), at: 9)
        try insertCommit.run()
    }

    private func save(
        _ key: QuarantinedKey, _ holder: QuarantineIndex.Held?
    ) throws(SinkError) {
        try bind(key, of: removeKey)
        try removeKey.run()
        guard let holder else { return }
        try bind(key, of: insertKey)
        try insertKey.bind(Int64(bitPattern: holder.since), at: 3)
        try insertKey.bind(Int64(bitPattern: holder.last), at: 4)
        try insertKey.bind(Int64(bitPattern: holder.group), at: 5)
        try insertKey.run()
    }

    private func bind(
        _ key: QuarantinedKey, of statement: PreparedStatement
    ) throws(SinkError) {
        try statement.bind(Int64(key.table), at: 1)
        switch key {
        case .row(_, let bytes): try statement.bind(.blob(bytes), at: 2)
        case .table: try statement.bindNull(at: 2)
        }
    }

    package static func load(_ db: Database) throws -> QuarantineIndex {
        var index = QuarantineIndex()
        var keys: [UInt64: [QuarantinedKey]] = [:]
        // Definitions are tried even if their table is already held.
        var tables: [UInt64: [QuarantinedKey]] = [:]
        let keyRows = try Row.fetchCursor(
            db,
            sql: """
                SELECT table_id, key, since, last, group_id FROM _writebehind_quarantine_key
                ORDER BY rowid
                """)
        while let row = try keyRows.next() {
            let table = UInt32(truncatingIfNeeded: row[0] as Int64)
            let bytes = try row.withUnsafeData(atIndex: 1) { $0.map { [UInt8]($0) } }
            let key = bytes.map { QuarantinedKey.row(table: table, key: $0) } ?? .table(table)
            let since = UInt64(bitPattern: row[2] as Int64)
            // A refused commit was tried, so nothing before it holds a key of it.
            keys[since, default: []].append(key)
            let group = UInt64(bitPattern: row[4] as Int64)
            if case .table = key { tables[group, default: []].append(key) }
            index.load(
                key,
                QuarantineIndex.Held(
                    since: since, last: UInt64(bitPattern: row[3] as Int64), group: group))
        }
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM _writebehind_quarantine")
        while let row = try rows.next() {
            let sequence = UInt64(bitPattern: row["sequence"] as Int64)
            let kind = SinkError.Kind(rawValue: row["kind"]) ?? .constraint
            let group = UInt64(bitPattern: row["group_id"] as Int64)
            // A database that is only read may have the layout of before.
            let isDefinition = row["is_definition"] as Bool? ?? false
            index.load(
                QuarantinedCommit(
                    firstSequence: sequence, recordCount: row["record_count"],
                    error: SinkError(kind, code: row["code"], row["message"]),
                    refusedAt: row["refused_at"], attempts: row["attempts"],
                    keys: keys[sequence] ?? (isDefinition ? tables[group] ?? [] : []),
                    isDefinition: isDefinition),
                group: group)
        }
        let groups = try Row.fetchCursor(
            db, sql: "SELECT id, followers FROM _writebehind_quarantine_group")
        while let row = try groups.next() {
            index.load(
                group: UInt64(bitPattern: row[0] as Int64), followers: row[1])
        }
        return index
    }
}
