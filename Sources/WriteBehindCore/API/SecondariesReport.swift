package import EventLog
import Foundation

// secondaries.json, which a writer keeps current whose databases are not all in the store's directory:
//
//   {"databases":[{"materialized":4711,"name":"reports","quarantined":1,"refused":[{"attempts":1,"others":0,
//     "reason":"UNIQUE constraint failed: player.name","records":1,"refusedAt":1384955000000,
//     "rows":["player[2]"],"sequence":4700}]}],"process":42,"time":1384956000000}
//
// A database may also have "cause". A store's own database that is elsewhere is "primary", under its address. Only the
// first twenty refused commits are in the report, each with its first twenty rows.

/// How far a writer's secondary databases are, and its own one if it is elsewhere. They may be on any machine, so other
/// processes cannot look for themselves.
package struct SecondariesReport: ReportFile, Equatable {
    package struct Commit: Codable, Equatable, Sendable {
        package var sequence: UInt64
        package var records: Int
        package var reason: String
        /// Milliseconds since 1970.
        package var refusedAt: UInt64
        package var attempts: Int
        package var others: Int
        package var rows: [String]

        init(_ entry: Quarantine.Entry) {
            (sequence, records) = (entry.sequence, entry.records)
            reason = String(entry.reason.prefix(SecondariesReport.textLimit))
            refusedAt = UInt64(max(0, entry.refusedAt.timeIntervalSince1970) * 1000)
            (attempts, others) = (entry.attempts, entry.others)
            rows = entry.rows.prefix(SecondariesReport.limit).map {
                String($0.prefix(SecondariesReport.textLimit))
            }
        }
    }

    /// How many commits, and rows of each, are reported.
    static let limit = 20
    /// How many characters of a reason or a row's name are reported. This keeps the file short enough to be read
    /// (``ReportFile``).
    static let textLimit = 200

    package struct Database: Codable, Equatable, Sendable {
        package var name: String
        /// nil if it could not be opened yet.
        package var materialized: UInt64?
        package var quarantined: Int
        package var cause: String?
        package var refused: [Commit]
    }

    package var process: Int32
    /// When it was written, milliseconds since 1970.
    package var time: UInt64
    package var databases: [Database]
    /// The store's own database, if it is not in the store's directory. Its name is its address.
    package var primary: Database?

    package static func path(in layout: StoreLayout) -> String { layout.secondaries }

    /// - Parameter place: of the store's own database; nil if that is in the store's directory.
    init(
        _ health: Health, _ quarantines: [SecondaryQuarantine], place: String?, _ engine: Engine,
        time: UInt64
    ) {
        process = ProcessInfo.processInfo.processIdentifier
        self.time = time
        databases = health.secondaries.map { database in
            let quarantine = quarantines.first { $0.database.name == database.name }
            let refused = database.quarantined > 0 ? quarantine?.list(limit: Self.limit) ?? [] : []
            return Database(
                name: database.name, materialized: database.materialized,
                quarantined: database.quarantined, cause: database.cause,
                refused: refused.map(Commit.init))
        }
        primary = place.map { place in
            let refused =
                health.quarantined == 0
                ? []
                : Quarantine.Entry.all(
                    of: engine.sink.quarantine, engine.tables, limit: Self.limit)
            return Database(
                name: place, materialized: health.lag.materialized,
                quarantined: health.quarantined, cause: nil, refused: refused.map(Commit.init))
        }
    }
}
