#if Macros
    import Foundation
    import TestSupport
    import Testing
    import WriteBehind

    // The code of the page "Following changes": all of it must be here.

    enum FollowingChangesPage {
        @Table struct Article {
            let id: Int
            var title: String
            var likes = 0
            var state: State = .draft
            var topic: String?
        }

        enum State: String { case draft, published }

        @Table(changes: .wholeRows) struct Product {
            let id: Int
            var name: String
            var price: Int
        }

        /// Columns of the kinds that the page does not show.
        @Table struct Sighting {
            @Key var place: String
            @Key var number: Int
            var at: Date
            var tags: [String] = []
            var extra: [String: Int]?
            var mood: Mood?
            var ratio: Float = 1
            @Expires var until: Date?
        }

        enum Mood: Int { case bad, good }
    }

    @Suite struct FollowingChangesPageTests {
        typealias Article = FollowingChangesPage.Article
        typealias Sighting = FollowingChangesPage.Sighting

        private struct Enough: Error {}

        @Test func whatThePageDoesWorks() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let delivered = Locked<[Int?]>([])
            @Sendable func deliver(_ key: Int?, _ columns: [String: StoredValue]) async throws {
                delivered.withLock { $0.append(key) }
                if key == 3 { throw Enough() }
            }
            let table = try store.table(Article.self)
            let writer = Task {
                _ = await eventually { store.changeStreams.first?.isConsumed == true }
                for id in 1...3 { try table.put(Article(id: id, title: "t")) }
            }
            await #expect(throws: Enough.self) {
                let articles = try store.table(Article.self)
                for try await change in store.changes(of: articles, named: "webhook") {
                    try await deliver(change.key, change.columns)
                    if change.isLastOfCommit { try await change.acknowledge() }
                }
            }
            try await writer.value
            #expect(delivered.withLock { $0 } == [1, 2, 3])
            let articles = table

            let all = store.changes(of: articles, named: "search", from: .oldest)

            try articles.put(
                Article(id: 4, title: "t", likes: 2, state: .published, topic: "swift"))
            try await articles.update(4) { $0.topic = nil }
            try articles.delete(4)
            try articles.clear()
            var found: [String] = []
            for try await change in all {
                guard change.key ?? 4 == 4 else { continue }
                switch change.operation {
                case .put, .update:
                    if let likes = try change[\.likes] { found.append("\(likes) likes") }
                    if let state = try change[\.state] { found.append(state.rawValue) }
                    if let topic = try change[\.topic] { found.append(topic ?? "no topic") }
                case .add: found.append("\(try change.amounts)")
                case .delete: found.append("deleted")
                case .clear: found.append("all deleted")
                }
                if change.operation == .clear { break }
            }
            #expect(
                found == ["2 likes", "published", "swift", "no topic", "deleted", "all deleted"])

            try await store.removeChangeStream(named: "webhook")

            #expect(store.changeStreams.map(\.name) == ["search"])
            try await store.close(deadline: .hang)
        }

        @Test func wholeRowsAndAllTablesAreAsThePageSays() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let articles = try store.table(Article.self)
            let products = try store.table(FollowingChangesPage.Product.self)
            let known = Locked<[String]>([])
            @Sendable func index(_ product: FollowingChangesPage.Product) async throws {
                known.withLock { $0.append("\(product.name) at \(product.price)") }
            }
            @Sendable func remove(_ key: Int?) async throws {
                known.withLock { $0.append("no \(key ?? 0)") }
                throw Enough()
            }
            let writer = Task {
                _ = await eventually { store.changeStreams.first?.isConsumed == true }
                try products.put(FollowingChangesPage.Product(id: 1, name: "pen", price: 2))
                try await products.update(1) { $0.price = 3 }
                try products.delete(1)
            }
            await #expect(throws: Enough.self) {
                for try await change in store.changes(of: products, named: "search index") {
                    if let product = try change.new {
                        try await index(product)
                    } else {
                        try await remove(change.key)
                    }
                    if change.isLastOfCommit { try await change.acknowledge() }
                }
            }
            try await writer.value
            #expect(known.withLock { $0 } == ["pen at 2", "pen at 3", "no 1"])

            let found = try await self.audit(store, articles, products)
            #expect(found == ["article 7", "product: 2 columns"])
            try await store.close(deadline: .hang)
        }

        private func audit(
            _ store: Store, _ articles: StoredTable<Article>,
            _ products: StoredTable<FollowingChangesPage.Product>
        ) async throws -> [String] {
            let writer = Task {
                _ = await eventually { store.changeStreams.first?.isConsumed == true }
                try store.transaction { transaction in
                    try transaction.put(Article(id: 7, title: "t"), in: articles)
                    try transaction.put(
                        FollowingChangesPage.Product(id: 1, name: "pen", price: 2), in: products)
                }
            }
            var found: [String] = []
            for try await change in store.changes(named: "audit") {
                if let article = try change.of(articles) {
                    found.append("article \(article.key ?? 0)")
                } else {
                    found.append("\(change.table): \(try change.columns.count) columns")
                }
                if change.isLastOfCommit { try await change.acknowledge() }
                if found.count == 2 { break }
            }
            try await writer.value
            return found
        }

        @Test func columnsOfEveryKindHaveTheirTypes() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let sightings = try store.table(Sighting.self)
            let until = Date(timeIntervalSince1970: 4_000_000_000)
            let key = Sighting.Key(place: "a\0b", number: -7)
            try sightings.put(
                Sighting(
                    place: key.place, number: key.number, at: Date(timeIntervalSince1970: 5),
                    tags: ["x"], extra: ["y": 1], mood: .good, until: until))
            try await sightings.update(key) {
                ($0.extra, $0.mood, $0.until, $0.ratio) = (nil, nil, nil, 2)
            }
            var iterator = store.changes(of: sightings, named: "all", from: .oldest)
                .makeAsyncIterator()

            let put = try #require(try await iterator.next())
            #expect(put.key == key)
            #expect(try put[\.at] == Date(timeIntervalSince1970: 5) && put[\.tags] == ["x"])
            #expect(try put[\.extra] == ["y": 1] && put[\.mood] == FollowingChangesPage.Mood.good)
            #expect(try put[\.ratio] == 1 && put[\.until] == until)

            let update = try #require(try await iterator.next())
            #expect(try update[\.at] == nil && update[\.tags] == nil)
            #expect(try update[\.extra] == .some(nil) && update[\.mood] == .some(nil))
            #expect(try update[\.ratio] == 2 && update[\.until] == .some(nil))
            try await store.close(deadline: .hang)
        }

        @Test func allCodeOfThePageIsInThisFile() throws {
            #expect(try PageCode.missing(from: #filePath, of: "FollowingChanges.md") == [])
        }
    }
#endif
