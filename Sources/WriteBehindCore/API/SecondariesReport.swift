package import EventLog
import Foundation

// secondaries.json, which a writer with secondary databases keeps current:
//
//   {"databases":[{"materialized":4711,"name":"reports","quarantined":0}],"process":42,"time":1384956000000}
//
// Beside these, a database may have "cause".

/// How far a writer's secondary databases are: they may be anywhere, so they cannot be seen from outside.
package struct SecondariesReport: ReportFile, Equatable {
    package struct Database: Codable, Equatable, Sendable {
        package var name: String
        /// nil if it could not be opened yet.
        package var materialized: UInt64?
        package var quarantined: Int
        package var cause: String?
    }

    package var process: Int32
    /// When it was written, milliseconds since 1970.
    package var time: UInt64
    package var databases: [Database]

    package static func path(in layout: StoreLayout) -> String { layout.secondaries }

    init(_ health: Health, time: UInt64) {
        process = ProcessInfo.processInfo.processIdentifier
        self.time = time
        databases = health.secondaries.map {
            Database(
                name: $0.name, materialized: $0.materialized, quarantined: $0.quarantined,
                cause: $0.cause)
        }
    }
}
