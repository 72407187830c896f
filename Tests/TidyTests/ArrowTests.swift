import Testing

/// The order of the house's rooms: a file names only what is declared in its own folder or in one that
/// comes before it. So there are no circles, and each room can be read knowing only those before it.
@Suite struct ArrowTests {
    /// Every folder of the sources, in this order.
    static let rooms = [
        "EventLog/System", "EventLog/Format", "EventLog/Words", "EventLog/Staging",
        "EventLog/Segment", "EventLog/Recovery", "EventLog/Snapshot", "EventLog",
        "WriteBehindCore/Schema", "WriteBehindCore/Rows", "WriteBehindCore/View",
        "WriteBehindCore/Index", "WriteBehindCore/Sink", "WriteBehindCore/Words",
        "WriteBehindCore/Running", "WriteBehindCore/Materializer", "WriteBehindCore/History",
        "WriteBehindCore/Changes", "WriteBehindCore/Engine", "WriteBehindCore/Opening",
        "WriteBehindCore/API",
        "WriteBehindSQLite", "WriteBehindPostgreSQL", "WriteBehind", "WriteBehindInspection",
        // For tests, users' and ours.
        "DiskSimulation", "WriteBehindTesting",
        // Knows only names, in the code that it writes for others.
        "WriteBehindMacros",
    ]

    private struct Code: Sendable {
        var path: String
        var room: String
        /// Without comments and texts.
        var lines: [String]
        var words: Set<Substring>

        init(_ file: SourceTree.File) {
            path = file.path
            room = file.path.split(separator: "/").dropFirst().dropLast().joined(separator: "/")
            lines = file.lines.map(Self.code)
            words = Set(lines.lazy.flatMap(Self.words))
        }

        /// A line up to its comment, its texts emptied.
        private static func code(_ line: String) -> String {
            guard line.contains("//") || line.contains("\"") else { return line }
            var code = ""
            var isText = false
            var last: Character = " "
            for character in line {
                if character == "\"", last != "\\" { isText.toggle() }
                if character == "/", last == "/", !isText { return code }
                if !isText { code.append(character) }
                last = character
            }
            return code
        }

        private static func words(_ line: String) -> [Substring] {
            line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
        }

        private static let keywords: Set<Substring> = [
            "struct", "class", "enum", "protocol", "actor", "typealias", "associatedtype",
        ]

        private static let generic = keywords.union(["func", "init"])

        /// The types that the file declares, in others or by themselves, and the names of its generic parameters.
        var declared: (outermost: Set<Substring>, inner: Set<Substring>) {
            var (outermost, inner): (Set<Substring>, Set<Substring>) = ([], [])
            for line in lines {
                let words = Self.words(line)
                for (keyword, name) in zip(words, words.dropFirst())
                where Self.keywords.contains(keyword) {
                    if line.hasPrefix(" ") { inner.insert(name) } else { outermost.insert(name) }
                }
                if let open = line.firstIndex(where: { "<(:".contains($0) }), line[open] == "<",
                    words.contains(where: Self.generic.contains)
                {
                    inner.formUnion(Self.words(String(line[open...].prefix { $0 != ">" })))
                }
            }
            return (outermost, inner)
        }
    }

    private static let code = SourceTree.under("Sources").map(Code.init)

    /// Of each type that one room alone declares: the room.
    private static let homes: [Substring: String] = {
        var homes: [Substring: Set<String>] = [:]
        for file in code {
            for name in file.declared.outermost { homes[name, default: []].insert(file.room) }
        }
        return homes.compactMapValues { $0.count == 1 ? $0.first : nil }
    }()

    @Test func everyFolderIsInTheOrderAndHasFiles() {
        #expect(Set(Self.code.map(\.room)) == Set(Self.rooms))
    }

    @Test func typesAreFoundWhereTheyAreDeclared() {
        #expect(Self.homes["Record"] == "EventLog/Format")
        #expect(Self.homes["RowEncoder"] == "WriteBehindCore/Rows")
        #expect(Self.homes["SQLiteSink"] == "WriteBehindSQLite")
    }

    @Test(arguments: rooms)
    func aRoomNamesOnlyThoseBeforeIt(_ room: String) throws {
        let place = try #require(Self.rooms.firstIndex(of: room))
        let later = Set(Self.rooms[(place + 1)...])
        for file in Self.code where file.room == room {
            let own = file.declared.inner
            for word in file.words.subtracting(own) {
                guard let home = Self.homes[word], later.contains(home) else { continue }
                Issue.record("\(file.path) names \(word), which is in \(home)")
            }
        }
    }
}
