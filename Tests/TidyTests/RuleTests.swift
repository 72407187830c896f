import Testing

/// The page "Rules and their tests" names tests that exist, and no promise of the page "Guarantees" is without any.
@Suite struct RuleTests {
    private static let folder = "Sources/WriteBehind/WriteBehind.docc/"

    /// The rows of a page's tables: their cells, without the heads.
    private static func rows(_ page: String, under heading: String) throws -> [[String]] {
        let lines = try #require(SourceTree.file(folder + page), "there is no \(page)").lines
        let start = try #require(
            lines.firstIndex(of: "## " + heading), "\(page) has no part \"\(heading)\"")
        let part = lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }
        return part.filter { $0.hasPrefix("|") }.dropFirst(2).map { line in
            line.split(separator: "|").map { cell in
                String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        }
    }

    private static let headings = [
        "The invariants", "What survives", "When something fails", "What is done to break them",
    ]

    @Test(arguments: headings.dropLast())
    func everyPromiseHasARow(_ heading: String) throws {
        let promises = try Self.rows("Guarantees.md", under: heading).map(\.[0])
        let rules = try Self.rows("Rules.md", under: heading).map(\.[0])
        #expect(promises == rules)
        #expect(!promises.isEmpty)
    }

    /// The tests of each suite, by its name.
    private static let suites: [String: Set<String>] = {
        var suites: [String: Set<String>] = [:]
        for file in SourceTree.under("Tests") {
            var suite: String?
            for line in file.lines {
                let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
                for (keyword, name) in zip(words, words.dropFirst()) {
                    if keyword == "struct", line.contains("@Suite") || name.hasSuffix("Tests") {
                        suite = String(name)
                    }
                    if keyword == "extension", !line.hasPrefix(" ") { suite = String(name) }
                    if keyword == "func", let suite {
                        suites[suite, default: []].insert(String(name))
                    }
                }
            }
        }
        return suites
    }()

    @Test(arguments: headings)
    func everyRowNamesTestsThatExist(_ heading: String) throws {
        for row in try Self.rows("Rules.md", under: heading) {
            let texts =
                row.count > 1 ? row[1].split(separator: "`", omittingEmptySubsequences: false) : []
            // Every second part is between backticks.
            let names = texts.indices.filter { $0 % 2 == 1 }.map { texts[$0] }
            let tests = names.filter { !$0.hasPrefix("tools/") }
            #expect(!tests.isEmpty, "\(row[0]) has no test")
            for test in tests {
                let parts = test.split(separator: "/").map(String.init)
                let known = Self.suites[parts[0]]
                #expect(known != nil, "no suite is named \(parts[0])")
                guard parts.count > 1 else { continue }
                #expect(known?.contains(parts[1]) == true, "no test is named \(test)")
            }
        }
    }
}
