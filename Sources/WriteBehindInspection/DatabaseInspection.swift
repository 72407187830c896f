package import EventLog
import Foundation
import GRDB
package import WriteBehindCore
import WriteBehindSQLite

/// A store's database by what its own tables say. It is read and never written.
package struct DatabaseInspection: Sendable {
    package enum State: Sendable, Equatable {
        case missing
        case readable(Contents)
        /// It is damaged (`.corrupt`), or cannot be read now.
        case unreadable(SinkError)
        /// It is a database, but it belongs to another store or another program.
        case foreign
    }

    package struct Contents: Sendable, Equatable {
        package var watermark: Watermark
        /// Microseconds since 1970.
        package var appliedAt: Int64
        package var tables: [WriteBehindCore.TableDefinition]
        package var quarantine: QuarantineIndex
        /// By their names.
        package var projections: [StoredProjection]

        /// The commits that were refused; others follow them.
        package var quarantined: [QuarantinedCommit] { quarantine.all }
    }

    package let path: String
    package let state: State

    /// - Parameter isLive: whether a writer has the store open.
    package init(path: String, storeID: [UInt8], isLive: Bool) {
        self.path = path
        guard FileManager.default.fileExists(atPath: path) else {
            state = .missing
            return
        }
        do throws(SinkError) {
            let access = try DatabaseAccess(path, isLive: isLive)
            state = try throwingSinkError {
                try access.queue.read { db in
                    let state = try Self.read(db, storeID: storeID)
                    // Otherwise a WAL from another time would count as evidence of what the log had held.
                    if case .readable = state, !isLive { try DatabaseAccess.checkFiles(db, path) }
                    return state
                }
            }
        } catch {
            state = .unreadable(error)
        }
    }

    package var contents: Contents? {
        if case .readable(let contents) = state { contents } else { nil }
    }

    /// A database or snapshot that holds a state of the log proves that it had been durable.
    package var witnesses: [Witness] {
        contents.map { [Witness(name: "the database", sequence: $0.watermark.sequence)] } ?? []
    }

    private static func read(_ db: Database, storeID: [UInt8]) throws -> State {
        guard try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0 > 0 else {
            return .missing  // the process that created it was killed before it made the tables
        }
        guard try db.tableExists("_writebehind_watermark"),
            let row = try Row.fetchOne(
                db, sql: "SELECT log, sequence, chain, applied_at FROM _writebehind_watermark"),
            [UInt8](row[0] as Data) == storeID
        else { return .foreign }
        try DatabaseLayout.check(db)
        let json = try String.fetchAll(db, sql: "SELECT schema FROM _writebehind_table ORDER BY id")
        let tables = try json.map { try WriteBehindCore.TableDefinition(json: Array($0.utf8).span) }
        return .readable(
            Contents(
                watermark: try Watermark(stored: row[1], chain: row[2]),
                appliedAt: row[3], tables: tables,
                quarantine: try QuarantineTable.load(db),
                projections: try ProjectionTable.load(db).values.sorted { $0.name < $1.name }))
    }
}
