package import EventLog
import Foundation

/// A file in which a writer reports about itself, for tools in other processes.
///
/// Mostly it is not synced: after power loss the writer is gone, and the log and the databases show the state.
package protocol ReportFile: Codable, Sendable {
    static func path(in layout: StoreLayout) -> String
}

/// More than any writer reports. A longer file is not read.
private let byteLimit = 1 << 20

extension ReportFile {
    /// nil if there is no report that can be read; that proves nothing about the writer.
    package static func read(_ layout: StoreLayout, on disk: any Disk) -> Self? {
        guard let bytes = try? disk.open(path(in: layout), .read).bytes(byteLimit) else {
            return nil
        }
        return try? JSONDecoder().decode(Self.self, from: Data(bytes))
    }

    /// Replaces the report that is there, if any.
    func write(_ layout: StoreLayout, on disk: any Disk, isSynced: Bool = false) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(self) + Data("\n".utf8))
        try disk.replace(Self.path(in: layout), with: bytes, isSynced: isSynced)
    }

    static func remove(_ layout: StoreLayout, on disk: any Disk) throws(SystemError) {
        let path = path(in: layout)
        for path in [path, StoreLayout.temporary(path)] where try disk.exists(path) {
            try disk.remove(path)
        }
    }
}
