import Foundation
import Testing

/// The project's own text, as it is in the working tree.
struct SourceTree {
    struct File: Sendable, CustomTestStringConvertible {
        /// From the project's root.
        var path: String
        var lines: [String]

        var testDescription: String { path }

        /// Whether a line is `import Module`, however it is decorated.
        func imports(_ module: String) -> Bool {
            lines.contains { line in
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), index <= 2 else { return false }
                return words.dropFirst(index + 1).contains { $0.split(separator: ".")[0] == module }
            }
        }
    }

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every Swift file, except what the build made.
    static let swift: [File] = ["Sources", "Tests", "tools"].flatMap { folder in
        files(under: folder).filter { $0.path.hasSuffix(".swift") }
    }

    /// Every text that people read: code, scripts, documents.
    static let text: [File] =
        swift
        + ["Sources", "Tests", "tools"].flatMap { folder in
            files(under: folder).filter { $0.path.hasSuffix(".md") || !$0.path.contains(".") }
        }
        + ["README.md", "CHANGELOG.md", "Package.swift", ".ci/run"].compactMap(file)

    static func under(_ folder: String) -> [File] { swift.filter { $0.path.hasPrefix(folder) } }

    private static func files(under folder: String) -> [File] {
        let path = root.appendingPathComponent(folder).path
        let names = FileManager.default.enumerator(atPath: path)
        var found: [String] = []
        while let name = names?.nextObject() as? String {
            if (name as NSString).lastPathComponent.hasPrefix(".") {
                // What a package of its own, such as an example, was built into.
                names?.skipDescendants()
            } else {
                found.append(name)
            }
        }
        return found.sorted().compactMap { file("\(folder)/\($0)") }
    }

    static func file(_ path: String) -> File? {
        let bytes = FileManager.default.contents(atPath: root.appendingPathComponent(path).path)
        guard let bytes, let text = String(bytes: bytes, encoding: .utf8) else { return nil }
        return File(path: path, lines: text.components(separatedBy: "\n"))
    }
}
