#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// Structs that `@Table` makes tables, through a store.
    @Suite struct MacroTableTests {
        @Test func aStructIsATable() {
            #expect(Post.schema.name == "post")
            #expect(Post.schema.expiry == "until")
            #expect(
                Post.schema.columns == [
                    .key("id", .blob, as: .uuid), .column("author", .text),
                    .column("likes", .integer, default: .integer(0)),
                    .column("kind", .text, default: .text("text")),
                    .column("tags", .text, as: .json, default: .text("[]")),
                    .column("location", .text, as: .json, nullable: true),
                    .column("created_at", .text, as: .timestamp),
                    .column("until", .integer, as: .timestamp, nullable: true),
                ])
        }

        @Test func aStructOfAPublicExtensionIsATable() async throws {
            #expect(
                Outside.Member.schema.columns == [
                    .key("id", .integer), .column("name", .text, default: .text("x")),
                    .column("note", .text, nullable: true),
                ])
            let directory = TemporaryStore()
            let store = try directory.open()
            let members = try store.table(Outside.Member.self)
            try members.put(Outside.Member(id: 1, name: "Ada", note: "b"))
            try members.put(Outside.Member(id: 2, name: "Ada", note: nil))
            #expect(try await members.get(1)?.note == "b")
            #expect(try await members.get(2)?.note == .some(nil))
            let page = try await members.range(in: \.default, of: "Ada", limit: 9)
            #expect(page.rows.map(\.id) == [2, 1])
            try await store.close()
        }

        @Test func everyKindOfPropertyIsAColumn() {
            #expect(Everything.schema.name == "everything")
            #expect(
                Everything.schema.columns == [
                    .key("day", .text), .key("number", .integer),
                    .column("small", .integer, default: .integer(-1)),
                    .column("wide", .integer, nullable: true),
                    .column("medium", .integer, default: .integer(300)),
                    .column("whole", .integer, default: .integer(4_000_000_000)),
                    .column("ratio", .real, default: .real(0.5)),
                    .column("price", .text, as: .decimal, default: .text("0")),
                    .column("page", .text, nullable: true),
                    .column("letter", .text, default: .text("a")),
                    .column("bytes", .blob, default: .blob([])),
                    .column("data", .blob, nullable: true),
                    .column("level", .integer, default: .integer(1)),
                    .column("maybe", .integer, nullable: true),
                    .column("money", .integer, nullable: true), .column("tag", .integer),
                    .column("places", .text, as: .json, default: .text("{}")),
                    .column("inferred", .text, default: .text("picture")),
                    .column("class", .text, default: .text("x")),
                    .column("observed", .integer, default: .integer(1)),
                    .column("isOn", .integer, as: .boolean, default: .integer(1)),
                    .column("percent", .integer, default: .integer(5)),
                    .column("secret", .integer, as: .boolean, default: .integer(0)),
                    .column("hidden", .real, default: .real(2.5)),
                ])
        }

        @Test func theMemberwiseInitialiserStays() {
            let post = Post(id: UUID(), author: "Ada", created: Date(timeIntervalSince1970: 0))
            #expect(post.likes == 0)
        }

        private let post = Post(
            id: UUID(), author: "Ada", likes: 3, kind: .picture, tags: ["a", "b"],
            location: Place(x: 1, y: 2), created: Date(timeIntervalSince1970: 12.5),
            until: Date(timeIntervalSince1970: 4_000_000_000))

        @Test func whatIsWrittenIsReadBackFromMemoryAndFromTheDatabase() async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            var row = Everything.example
            row.places = ["b": Place(x: 0, y: 1), "a": Place(x: 2, y: 3)]
            try store.table(Everything.self).put(row)
            try store.table(Post.self).put(post)
            #expect(
                try await store.table(Everything.self).get(.init(day: row.day, number: row.number))
                    == row)
            #expect(try await store.table(Post.self).get(post.id) == post)
            try await store.close()
            store = try directory.open()
            #expect(try store.table(Post.self).cached(post.id) == nil)
            #expect(
                try await store.table(Everything.self).get(.init(day: row.day, number: row.number))
                    == row)
            #expect(try await store.table(Post.self).get(post.id) == post)
            try await store.close()
        }

        @Test func theDatabaseHoldsWhatTheColumnsSay() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            var row = Everything.example
            row.places = ["b": Place(x: 0, y: 1), "a": Place(x: 2, y: 3)]
            try store.table(Everything.self).put(row)
            try store.table(Post.self).put(post)
            try await store.waitForAll(.materialized, timeout: .hang)
            let found = try await store.database.read { db in
                let row = try Row.fetchOne(
                    db,
                    sql: """
                        SELECT places, price, page, letter, inferred, maybe, tag, money,
                            tags, location, created_at, until
                        FROM everything, post
                        """)
                return row.map { Array($0.databaseValues) }
            }
            let expected: [any DatabaseValueConvertible] = [
                // Sorted keys: the same value has the same bytes.
                #"{"a":{"x":2,"y":3},"b":{"x":0,"y":1}}"#, "1.25", "https://a.b/c", "z", "picture",
                1, 9, 5, #"["a","b"]"#, #"{"x":1,"y":2}"#, "1970-01-01 00:00:12.500", 4_000_000_000,
            ]
            #expect(found == expected.map(\.databaseValue))
            try await store.close()
        }

        static let unfit: [(column: String, change: @Sendable (inout Everything) -> Void)] = [
            ("wide", { $0.wide = .max }), ("ratio", { $0.ratio = .nan }),
            ("price", { $0.price = .nan }),
            ("places", { $0.places = ["a": Place(x: .infinity, y: 0)] }),
        ]

        @Test(arguments: unfit)
        func aValueThatItsColumnCannotHoldIsRefusedByName(
            _ column: String, _ change: @Sendable (inout Everything) -> Void
        ) async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            var row = Everything.example
            change(&row)
            let error = await storeError { try store.table(Everything.self).put(row) }
            guard case .row(let error) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(error.table == "everything")
            #expect(error.column == column)
            try await store.close()
        }

        @Test func aTimeThatIsNoSecondIsRefused() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            var row = post
            row.until = Date(timeIntervalSince1970: 1e40)
            let error = await storeError { try store.table(Post.self).put(row) }
            #expect("\(try #require(error))".contains(#"column "until": the column cannot hold"#))
            try await store.close()
        }

        /// What another type wrote into the columns of `Narrow`.
        static let wide: [(column: String, row: Loose)] = [
            ("small", Loose(id: 1, small: 300)), ("kind", Loose(id: 1, kind: "film")),
            ("place", Loose(id: 1, place: "{")), ("letter", Loose(id: 1, letter: "ab")),
            ("price", Loose(id: 1, price: "dear")),
        ]

        @Test(arguments: wide)
        func aStoredValueThatIsNoSuchValueIsAnErrorByName(
            _ column: String, _ row: Loose
        ) async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Loose.self).put(row)
            let narrow = try store.table(Narrow.self)
            let error = await storeError { _ = try await narrow.get(1) }
            guard case .row(let error) = error, case .notConvertible = error.problem else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(error.column == column)
            try await store.close()
        }

        @Test func whatIsIgnoredHasItsInitialValue() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let posts = try store.table(Post.self)
            var draft = post
            draft.draft = true
            try posts.put(draft)
            #expect(try await posts.get(post.id)?.draft == false)
            try await store.close()
        }

        @Test func aRowIsDeletedWhenItExpires() async throws {
            let directory = TemporaryStore()
            let store = try directory.open { $0.expiryInterval = .milliseconds(10) }
            let posts = try store.table(Post.self)
            var old = post
            // Whole seconds, rounded up.
            old.until = Date(timeIntervalSince1970: 999.5)
            try posts.put(old)
            #expect(try await eventually { try await posts.get(old.id) == nil })
            try await store.close()
        }

        @Test func anEnumIsAKey() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let paints = try store.table(Paint.self)
            try paints.put(Paint(colour: .red))
            #expect(try await paints.get(.red) == Paint(colour: .red))
            #expect(try await paints.get(.green) == nil)
            try await store.close()
        }

        @Test func aChangeLogsItsColumnAlone() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let rows = try store.table(Everything.self)
            var row = Everything.example
            row.places = Dictionary(
                uniqueKeysWithValues: (0..<50).map { ("\($0)", Place(x: Double($0), y: 0)) })
            try rows.put(row)
            let key = Everything.Key(day: row.day, number: row.number)
            // The dictionary is another one, with the same pairs in another order.
            try await rows.update(key) { row in
                let pairs = row.places.shuffled()
                row.places = [:]
                for pair in pairs { row.places[pair.key] = pair.value }
            }
            try await rows.update(key) { $0.small = 2 }
            try await store.close()
            let records = try directory.records().filter { $0.operation != .define }
            #expect(records.map(\.operation) == [.put, .patch])
            #expect(records.last.map { $0.body.count } == 4)
        }

        @Test func aSumThatItsPropertyCannotHoldIsRefused() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let rows = try store.table(Everything.self)
            let row = Everything.example
            try rows.put(row)
            let key = Everything.Key(day: row.day, number: row.number)
            #expect(try await rows.increment(key, \.small, by: -1).value == 126)
            let error = await storeError { _ = try await rows.increment(key, \.small, by: 2) }
            #expect("\(try #require(error))".contains("128 is not in -128...127"))
            #expect(try await rows.increment(key, \.whole).value == 4_000_000_001)
            try await store.transaction { transaction in
                try await transaction.increment(key, \.small, in: rows)
                let sum = try await transaction.increment(key, \.observed, in: rows)
                #expect(sum == 2)
            }
            #expect(try await rows.get(key)?.small == 127)
            try await store.close()
        }

        @Test func aPublicStructWithInnerColumnsIsATable() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let rows = try store.table(Outside.Nested.self)
            try rows.put(Outside.Nested(id: 1, name: "Ada"))
            #expect(try await rows.get(1)?.name == "Ada")
            try await store.close()
        }
    }
#endif
