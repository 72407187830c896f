package import EventLog
import Foundation

// secondaries.json, which a writer with secondary databases keeps current:
//
//   {"databases":[{"materialized":4711,"name":"reports","quarantined":0}],"process":42,"time":1384956000000}
//
// Beside these, a database may have "cause".

/// How far a writer's secondary databases are: they may be anywhere, so they cannot be seen from outside.
package struct SecondariesReport: Codable, Equatable, Sendable {
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

    /// More than any writer says; what is longer is not read.
    private static let byteLimit = 1 << 20

    /// nil if there is none that can be read: it is no evidence of anything.
    package static func read(_ layout: StoreLayout, on disk: any Disk) -> SecondariesReport? {
        guard let bytes = try? disk.open(layout.secondaries, .read).bytes(byteLimit)
        else { return nil }
        return try? JSONDecoder().decode(Self.self, from: Data(bytes))
    }

    init(_ health: Health, time: UInt64) {
        process = ProcessInfo.processInfo.processIdentifier
        self.time = time
        databases = health.secondaries.map {
            Database(
                name: $0.name, materialized: $0.materialized, quarantined: $0.quarantined,
                cause: $0.cause)
        }
    }

    /// Replaces the one that is there. It is not synced: the databases themselves say what is true.
    func write(_ layout: StoreLayout, on disk: any Disk) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(self) + Data("\n".utf8))
        try disk.replace(layout.secondaries, with: bytes, isSynced: false)
    }

    static func remove(_ layout: StoreLayout, on disk: any Disk) throws(SystemError) {
        for path in [layout.secondaries, StoreLayout.temporary(layout.secondaries)]
        where try disk.exists(path) { try disk.remove(path) }
    }
}
