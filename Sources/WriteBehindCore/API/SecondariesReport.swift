package import EventLog
import Foundation

// secondaries.json, which a writer with secondary databases keeps current:
//
//   {"databases":[{"materialized":4711,"name":"reports","quarantined":1,"refused":[{"attempts":1,"others":0,
//     "reason":"UNIQUE constraint failed: player.name","records":1,"refusedAt":1384955000000,
//     "rows":["player[2]"],"sequence":4700}]}],"process":42,"time":1384956000000}
//
// A database may also have "cause". Only the first twenty refused commits are in the report, each with its first twenty
// rows.

/// How far a writer's secondary databases are. They may be on any machine, so other processes cannot look for themselves.
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

    package static func path(in layout: StoreLayout) -> String { layout.secondaries }

    init(_ health: Health, _ quarantines: [SecondaryQuarantine], time: UInt64) {
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
    }
}
