import EventLog
import GRDB
package import WriteBehindCore

// The indices and unique constraints that definitions declare. A unique constraint that rows already break cannot be made.
// It is left out, health names it, and it is tried again at the next opening and whenever quarantine is retried. So
// a declaration never keeps rows out of the database that were acknowledged before it.

extension SQLiteSink {
    /// Makes the declared indices of a table that are missing, except those that its rows break.
    static func makeIndices(_ sql: TableSQL, _ db: Database) throws {
        for (name, _, statement) in sql.indices() where try !holds(index: name, db) {
            do {
                try db.execute(sql: statement)
            } catch let error as DatabaseError where error.isOfUnique {
                continue
            }
        }
    }

    /// Makes the constraints that were left out and can be made by now.
    package func makeIndices() throws(SinkError) {
        let tables = state.withLock { state in state.leftOut.keys.compactMap { state.tables[$0] } }
        guard !tables.isEmpty else { return }
        try transaction(through: nil) { db, _ throws(SinkError) in
            try throwingSinkError { for sql in tables { try Self.makeIndices(sql, db) } }
        }
        try noteLeftOut(tables)
    }

    /// Drops the declared unique constraints, because rows that they refuse cannot go to quarantine if the log no longer
    /// holds them.
    func dropUniqueIndices() throws(SinkError) {
        let tables = state.withLock { Array($0.tables.values) }
        try transaction(through: nil) { db, _ throws(SinkError) in
            try throwingSinkError {
                for (name, index, _) in tables.flatMap({ $0.indices() }) where index.isUnique {
                    try db.execute(sql: "DROP INDEX IF EXISTS \(name)")
                }
            }
        }
        try noteLeftOut(tables)
    }

    /// Notes which constraints of some tables are left out, for health.
    func noteLeftOut(_ tables: [TableSQL]) throws(SinkError) {
        for sql in tables {
            let unique = sql.indices().filter(\.index.isUnique)
            var leftOut: [SQLIndexDefinition] = []
            if !unique.isEmpty {
                leftOut = try withWriter { db, _ in
                    try unique.filter { try !Self.holds(index: $0.name, db) }.map(\.index)
                }
            }
            state.withLock { [leftOut] in
                $0.leftOut[sql.definition.id] = leftOut.isEmpty ? nil : leftOut
            }
        }
    }

    private static func holds(index name: String, _ db: Database) throws -> Bool {
        try Bool.fetchOne(
            db,
            sql: "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?)",
            arguments: [name]) ?? false
    }

    /// The constraints that are left out, in words; nil if all are in force.
    var leftOutConstraints: String? {
        let (leftOut, tables) = state.withLock { ($0.leftOut, $0.tables) }
        return SQLIndexDefinition.concern(leftOut) { tables[$0]?.schema.name ?? "" }
    }
}

extension DatabaseError {
    fileprivate var isOfUnique: Bool {
        extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE
    }
}
