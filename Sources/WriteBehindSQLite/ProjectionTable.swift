import Foundation
package import GRDB
package import WriteBehindCore

/// The projections that the database keeps. They are changed in the caller's transaction. The table is made with the first
/// projection.
package enum ProjectionTable {
    /// An object that a projection has made in the database.
    struct Object: Codable, Hashable {
        var type: String
        var name: String
    }

    static let name = "_writebehind_projection"

    /// `sequence` and `chain` say how far the projection is; they are -1 and 0 if it has missed something. `objects` is JSON.
    private static let schema = """
        CREATE TABLE IF NOT EXISTS _writebehind_projection (
          name TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, table_id INTEGER NOT NULL,
          sequence INTEGER NOT NULL, chain INTEGER NOT NULL, objects TEXT NOT NULL,
          error TEXT, failed_sequence INTEGER, failed_at INTEGER
        ) STRICT, WITHOUT ROWID
        """

    private static func exists(_ db: Database) throws -> Bool {
        try Row.fetchOne(
            db, sql: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
            arguments: [name]) != nil
    }

    package static func load(_ db: Database) throws -> [String: StoredProjection] {
        guard try exists(db) else { return [:] }
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT name, version, table_id, sequence, chain, error, failed_sequence, failed_at
                FROM _writebehind_projection
                """)
        return rows.reduce(into: [:]) { all, row in
            let watermark = Watermark(
                sequence: UInt64(bitPattern: row[3] as Int64),
                chain: UInt64(bitPattern: row[4] as Int64))
            var projection = StoredProjection(
                name: row[0], version: row[1], table: UInt32(truncatingIfNeeded: row[2] as Int64),
                watermark: watermark)
            if let error = row[5] as String? {
                projection.failure = StoredProjection.Failure(
                    message: error, sequence: UInt64(bitPattern: row[6] as Int64? ?? 0),
                    since: row[7] as Int64? ?? 0)
            }
            all[projection.name] = projection
        }
    }

    /// The objects of one projection, in the order in which they were made.
    static func objects(of projection: String, _ db: Database) throws -> [Object] {
        guard try exists(db) else { return [] }
        let json = try String.fetchOne(
            db, sql: "SELECT objects FROM _writebehind_projection WHERE name = ?",
            arguments: [projection])
        return try json.map { try JSONDecoder().decode([Object].self, from: Data($0.utf8)) } ?? []
    }

    /// The objects of all projections.
    static func allObjects(_ db: Database) throws -> Set<Object> {
        guard try exists(db) else { return [] }
        return try String.fetchAll(db, sql: "SELECT objects FROM _writebehind_projection").reduce(
            into: []
        ) {
            $0.formUnion(try JSONDecoder().decode([Object].self, from: Data($1.utf8)))
        }
    }

    static func insert(
        _ projection: StoredProjection, _ objects: [Object], _ db: Database
    ) throws {
        try db.execute(sql: schema)
        let json = String(decoding: try JSONEncoder().encode(objects), as: UTF8.self)
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO _writebehind_projection
                (name, version, table_id, sequence, chain, objects) VALUES (?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                projection.name, projection.version, Int64(projection.table),
                Int64(bitPattern: projection.watermark.sequence),
                Int64(bitPattern: projection.watermark.chain), json,
            ])
    }

    static func move(_ projection: StoredProjection, _ db: Database) throws {
        let update = try db.cachedStatement(
            sql: "UPDATE _writebehind_projection SET sequence = ?, chain = ? WHERE name = ?")
        try update.execute(arguments: [
            Int64(bitPattern: projection.watermark.sequence),
            Int64(bitPattern: projection.watermark.chain), projection.name,
        ])
    }

    /// Notes that the projection must be built again.
    static func forgetPlace(of name: String, _ db: Database) throws {
        try db.execute(
            sql: """
                UPDATE _writebehind_projection
                SET sequence = -1, chain = 0, error = NULL, failed_sequence = NULL, failed_at = NULL
                WHERE name = ?
                """, arguments: [name])
    }

    static func stop(_ name: String, _ failure: StoredProjection.Failure, _ db: Database) throws {
        try db.execute(
            sql: """
                UPDATE _writebehind_projection SET error = ?, failed_sequence = ?, failed_at = ?
                WHERE name = ?
                """,
            arguments: [
                failure.message, Int64(bitPattern: failure.sequence), failure.since, name,
            ])
    }

    /// Drops the objects of a projection, and forgets it.
    static func remove(_ name: String, _ db: Database) throws {
        guard try exists(db) else { return }
        for object in try objects(of: name, db).reversed() where object.type != "index" {
            try db.execute(sql: "DROP \(object.type) IF EXISTS \(quoted(object.name))")
        }
        try db.execute(
            sql: "DELETE FROM _writebehind_projection WHERE name = ?", arguments: [name])
    }
}
