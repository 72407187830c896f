import Testing

/// `tools/mutations.txt` proves something only while each of its entries changes the code as it is now.
@Suite struct MutationTests {
    struct Entry: Sendable, CustomTestStringConvertible {
        var name = ""
        var file = ""
        var test = ""
        var old: [String] = []

        var testDescription: String { name }
    }

    static let entries: [Entry] = {
        let lines = SourceTree.file("tools/mutations.txt")?.lines ?? []
        return lines.filter { !$0.hasPrefix("#") }.split(separator: "").map { block in
            var entry = Entry()
            for line in block {
                if line == "-" || line.hasPrefix("- ") {
                    entry.old.append(String(line.dropFirst(2)))
                } else if let (key, value) = field(line) {
                    switch key {
                    case "name": entry.name = value
                    case "file": entry.file = value
                    case "test": entry.test = value
                    default: break
                    }
                }
            }
            return entry
        }
    }()

    private static func field(_ line: String) -> (key: String, value: String)? {
        guard let colon = line.firstIndex(of: ":"), !line.hasPrefix("+") else { return nil }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        return (String(line[..<colon]), String(value))
    }

    @Test func thereAreEntriesAndEachHasANameOfItsOwn() {
        #expect(Self.entries.count > 100)
        #expect(Set(Self.entries.map(\.name)).count == Self.entries.count)
    }

    /// `tools/mutate --sort` puts them so.
    @Test func theEntriesOfEachRoomAreTogether() {
        let rooms = Self.entries.map {
            $0.file.split(separator: "/").dropFirst().dropLast().prefix(2)
        }
        var runs = rooms.map { $0.joined(separator: "/") }
        runs = zip(runs, [""] + runs).filter { $0 != $1 }.map(\.0)
        #expect(runs == Set(runs).sorted(), "tools/mutate --sort puts them in order")
    }

    @Test(arguments: entries)
    func anEntryTakesOutOneSafeguard(_ entry: Entry) throws {
        let file = try #require(
            SourceTree.file(entry.file), "there is no \(entry.file)")
        let count = file.lines.joined(separator: "\n")
            .ranges(of: entry.old.joined(separator: "\n")).count
        #expect(!entry.old.isEmpty)
        #expect(count == 1, "\(entry.file) holds its text \(count) times")
    }

    /// Names of modules, suites and tests.
    private static let testNames: Set<Substring> = {
        var names: Set<Substring> = []
        for file in SourceTree.under("Tests") {
            names.insert(file.path.dropFirst("Tests/".count).prefix { $0 != "/" })
            for line in file.lines {
                let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
                for (keyword, name) in zip(words, words.dropFirst())
                where keyword == "func" || keyword == "struct" || keyword == "class" {
                    names.insert(name)
                }
            }
        }
        return names
    }()

    /// A filter that names no test would let the change survive unseen.
    @Test(arguments: entries)
    func anEntryNamesTestsThatExist(_ entry: Entry) {
        let names = entry.test.split { ".()|/".contains($0) }
        #expect(!names.isEmpty)
        for name in names { #expect(Self.testNames.contains(name), "no test is named \(name)") }
    }
}
