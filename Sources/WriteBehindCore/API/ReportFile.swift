package import EventLog
import Foundation

/// A file in which a writer reports about itself, for tools that look from outside.
///
/// It is not synced: after power loss the writer is gone, and log and databases say themselves what is true.
package protocol ReportFile: Codable, Sendable {
    static func path(in layout: StoreLayout) -> String
}

/// More than any writer says; what is longer is not read.
private let byteLimit = 1 << 20

extension ReportFile {
    /// nil if there is none that can be read: it is no evidence of anything.
    package static func read(_ layout: StoreLayout, on disk: any Disk) -> Self? {
        guard let bytes = try? disk.open(path(in: layout), .read).bytes(byteLimit) else {
            return nil
        }
        return try? JSONDecoder().decode(Self.self, from: Data(bytes))
    }

    /// Replaces the one that is there.
    func write(_ layout: StoreLayout, on disk: any Disk) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(self) + Data("\n".utf8))
        try disk.replace(Self.path(in: layout), with: bytes, isSynced: false)
    }

    static func remove(_ layout: StoreLayout, on disk: any Disk) throws(SystemError) {
        let path = path(in: layout)
        for path in [path, StoreLayout.temporary(path)] where try disk.exists(path) {
            try disk.remove(path)
        }
    }
}
