import Foundation

/// The code of an article of the documentation. A test file must hold all of it, so that it compiles and runs.
package enum PageCode {
    private static let pages = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/WriteBehind/WriteBehind.docc")

    /// The lines of a page's Swift code that a file lacks. Indentation and the width of gaps do not count, and parts of a
    /// package manifest are left out.
    package static func missing(from file: String, of page: String) throws -> [String] {
        let text = try String(contentsOf: pages.appendingPathComponent(page), encoding: .utf8)
        let own = try Set(
            lines(String(contentsOf: URL(fileURLWithPath: file), encoding: .utf8)[...]))
        let blocks = text.components(separatedBy: "```swift\n").dropFirst().map { block in
            block.prefix(upTo: block.range(of: "```")?.lowerBound ?? block.endIndex)
        }
        guard !blocks.isEmpty else { return ["\(page) has no code"] }
        return blocks.filter { !$0.hasPrefix(".") }.flatMap(lines).filter { !own.contains($0) }
    }

    private static func lines(_ text: Substring) -> [String] {
        text.split(separator: "\n").map { line in
            line.split(separator: " ").joined(separator: " ")
        }
    }
}
