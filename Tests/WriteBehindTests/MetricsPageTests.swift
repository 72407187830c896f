import Foundation
import Testing

@Suite struct MetricsPageTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources")

    /// Name and type of each metric that a source makes.
    private func metricsInCode() throws -> [String: String] {
        let pattern = /(?<type>Counter|Timer|Recorder|Gauge|Meter)\(\s*label: "(?<name>\w+)"/
        var found: [String: String] = [:]
        let files = try #require(
            FileManager.default.enumerator(at: Self.root, includingPropertiesForKeys: nil))
        for case let file as URL in files where file.pathExtension == "swift" {
            let source = try String(contentsOf: file, encoding: .utf8)
            for match in source.matches(of: pattern) {
                found[String(match.name)] = match.type.lowercased()
            }
        }
        return found
    }

    private func rowsOfPage() throws -> [[String]] {
        let page = Self.root.appendingPathComponent("WriteBehind/WriteBehind.docc/Metrics.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        return text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    @Test func thePageListsEachMetricOfTheCodeWithItsType() throws {
        let rows = try rowsOfPage()
        let page = rows.map { ($0[0].trimmingCharacters(in: ["`"]), $0[1]) }
        #expect(page.count >= 25)
        #expect(try metricsInCode() == Dictionary(page) { one, other in "\(one) and \(other)" })
    }

    @Test func eachRowOfThePageHasAUnitAndAMeaning() throws {
        for row in try rowsOfPage() {
            #expect(row.count == 4 && row.allSatisfy { !$0.isEmpty }, "\(row)")
        }
    }
}
