import ArgumentParser
import Foundation

/// Why a file could not be read or written, in plain words. Foundation's own text is a dump of dictionaries.
struct FileProblem: CustomStringConvertible {
    let description: String

    init?(_ error: any Error) {
        guard let error = error as? CocoaError else { return nil }
        let cause = error.underlying as? POSIXError
        let reason = cause.map { unsafe String(cString: strerror($0.code.rawValue)) }
        description = [
            error.filePath.map(WriteBehindText.quoted), reason ?? error.localizedDescription,
        ]
        .compactMap(\.self).joined(separator: ": ")
    }
}

/// Files that the tool writes. It never replaces an existing file.
enum NewFile {
    static func refuseExisting(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ValidationError(
                "\(WriteBehindText.quoted(path)) exists; give a name that is free.")
        }
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard FileManager.default.fileExists(atPath: parent) else {
            throw ValidationError("There is no directory \(WriteBehindText.quoted(parent)).")
        }
    }

    /// Writes a whole file, or nothing under its name.
    static func write(_ text: String, to path: String) throws {
        try refuseExisting(path)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
