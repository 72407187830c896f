package import EventLog
import Foundation

// health.json, which a writer that is not well keeps current:
//
//   {"process":4711,"time":1384956000000,"since":1384955990000,"verdict":"stalled","causes":["…"]}

/// A writer's report about itself, for everything that cannot be seen from outside.
package struct WriterReport: Codable, Equatable, Sendable {
    package var process: Int32
    /// When it was written, milliseconds since 1970.
    package var time: UInt64
    /// Since when the writer has not been well, milliseconds since 1970.
    package var since: UInt64
    package var verdict: String
    package var causes: [String]

    /// More than any writer says; what is longer is not read.
    private static let byteLimit = 1 << 20

    /// nil if there is none that can be read: it is no evidence of anything.
    package static func read(_ layout: StoreLayout, on disk: any Disk) -> WriterReport? {
        guard let bytes = try? disk.open(layout.health, .read).bytes(byteLimit) else { return nil }
        return try? JSONDecoder().decode(Self.self, from: Data(bytes))
    }

    /// Replaces the one that is there. It is not synced, because after power loss the writer is gone.
    func write(_ layout: StoreLayout, on disk: any Disk) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(self) + Data("\n".utf8))
        try disk.replace(layout.health, with: bytes, isSynced: false)
    }

    static func remove(_ layout: StoreLayout, on disk: any Disk) throws(SystemError) {
        for path in [layout.health, StoreLayout.temporary(layout.health)]
        where try disk.exists(path) { try disk.remove(path) }
    }
}
