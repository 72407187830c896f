import ArgumentParser
import Foundation

/// Files that the tool writes: only under names that are free.
enum NewFile {
    static func refuseExisting(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ValidationError(
                "\(WriteBehindText.quoted(path)) exists; give a name that is free.")
        }
    }

    /// Writes a whole file, or nothing under its name.
    static func write(_ text: String, to path: String) throws {
        try refuseExisting(path)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
