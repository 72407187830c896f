package import EventLog
import Foundation

// projections.json, which a writer with projections keeps current:
//
//   {"process":42,"projections":[{"name":"likes per hour","rows":512,"state":"building","table":"post","version":2}],
//    "time":1384956000000}
//
// Beside these, a projection may have "cause" and "since". It lacks "rows" unless it is being built, and "table" if the
// store does not have the table any more.

/// How far a writer's projections are. Which ones its program has declared, and what is being built, is nowhere else.
package struct ProjectionsReport: ReportFile, Equatable {
    package struct Projection: Codable, Equatable, Sendable {
        package var name: String
        package var version: Int
        package var table: String?
        /// As ``Health/Projection/State-swift.enum`` has it.
        package var state: String
        package var rows: Int?
        package var cause: String?
        /// Since when there is the cause, milliseconds since 1970.
        package var since: UInt64?

        init(_ projection: Health.Projection, now: UInt64) {
            (name, version) = (projection.name, projection.version)
            (table, rows, cause) = (projection.table, projection.rows, projection.cause)
            state = projection.state.rawValue
            since = cause.map { _ in now - min(now, UInt64(max(0, projection.seconds * 1000))) }
        }
    }

    package var process: Int32
    /// When it was written, milliseconds since 1970.
    package var time: UInt64
    package var projections: [Projection]

    package static func path(in layout: StoreLayout) -> String { layout.projections }

    init(_ projections: [Health.Projection], time: UInt64) {
        process = ProcessInfo.processInfo.processIdentifier
        self.time = time
        self.projections = projections.map { Projection($0, now: time) }
    }
}
