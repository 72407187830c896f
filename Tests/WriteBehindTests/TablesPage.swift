#if Macros
    import Foundation
    import Testing
    import WriteBehind

    // The code of the page "A struct is a table": all of it must be here.

    enum TablesPage {
        @Table struct Post {
            let id: UUID
            var author: String
            var likes = 0
            var kind: Kind = .text
            var tags: [String] = []
            var location: Place?
            @Column("created_at") var created: Date
            @Ignored var draft = false
            @Expires var until: Date?
        }

        enum Kind: String { case text, picture }

        struct Place: Codable { var latitude, longitude: Double }

        @Table struct Departure {
            @Key var day: String
            @Key var number: Int
            var gate = ""
        }
    }

    @Suite struct TablesPageTests {
        typealias Post = TablesPage.Post
        typealias Departure = TablesPage.Departure

        @Test func whatThePageDoesWorks() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()

            let posts = try store.table(Post.self)
            let post = Post(id: UUID(), author: "Ada", tags: ["swift"], created: Date())
            try posts.put(post)
            try await posts.update(post.id) { $0.kind = .picture }
            let same = try await posts.get(post.id)

            #expect(same?.kind == .picture)

            let departures = try store.table(Departure.self)
            try departures.put(Departure(day: "2013-01-01", number: 7))
            let departure = try await departures.get(Departure.Key(day: "2013-01-01", number: 7))

            #expect(departure?.gate == "")
            try await store.close()
        }

        private static let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

        /// The lines of code of a text, without their indentation.
        private func lines(_ text: Substring) -> [String] {
            text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            let page = try String(
                contentsOf: Self.root.appending(
                    path: "Sources/WriteBehind/WriteBehind.docc/Tables.md"), encoding: .utf8)
            let own = Set(
                lines(try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8)[...])
            )
            let blocks = page.split(separator: "```swift\n").dropFirst().map {
                $0.prefix(upTo: $0.range(of: "```")?.lowerBound ?? $0.endIndex)
            }
            #expect(blocks.count == 5)
            // The last is of a package manifest.
            for line in blocks.dropLast().flatMap(lines) {
                #expect(own.contains(line), "the page has \(line)")
            }
        }
    }
#endif
