#if Macros
    import EventLog
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// The columns of a struct are known by their names: its properties may move, and come in between.
    @Suite struct MovedColumnTests {
        /// The first version of a program.
        @Table("book") struct Book: Equatable {
            var id: Int
            var title = ""
            var pages = 0
            var price: Double?
        }

        /// The second: properties moved, one came in between, and the default of `pages` changed.
        @Table("book") struct NewBook: Equatable {
            var price: Double?
            var isbn: String?
            var pages = 100
            var id: Int
            var title = ""
        }

        private let book = Book(id: 1, title: "Emma", pages: 400, price: 2.5)

        @Test(arguments: [false, true])
        func rowsOfBothOrdersAreReadByBoth(fromTheDatabase: Bool) async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            let old = try store.table(Book.self)
            try old.put(book)
            let new = try store.table(NewBook.self)
            let longer = NewBook(price: nil, isbn: "x", pages: 7, id: 2, title: "Ulysses")
            try new.put(longer)
            try await store.waitForAll(.materialized, timeout: .hang)
            if fromTheDatabase {
                #expect(try old.evict(1))
                #expect(try new.evict(2))
            }
            #expect(
                try await new.get(1)
                    == NewBook(price: 2.5, isbn: nil, pages: 400, id: 1, title: "Emma"))
            #expect(try await new.get(2) == longer)
            #expect(try await old.get(2) == Book(id: 2, title: "Ulysses", pages: 7, price: nil))
            let stored = try await store.database.read { db in
                try Row.fetchOne(db, sql: "SELECT * FROM book WHERE id = 2").map {
                    zip($0.columnNames, $0.databaseValues).map { "\($0) \($1)" }
                }
            }
            // A column that came in between is the last in the database.
            #expect(
                stored == [
                    "id 2", #"title "Ulysses""#, "pages 7", "price NULL", #"isbn "x""#,
                ])
            try await store.close()
            store = try directory.open()
            #expect(try await store.table(NewBook.self).get(2) == longer)
            #expect(try await store.table(Book.self).get(1) == book)
            try await store.close()
        }

        @Test func everyCallMeetsTheRightColumn() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            let old = try store.table(Book.self)
            let new = try store.table(NewBook.self)
            let first = try old.put(book)
            try await new.update(1) { $0.isbn = "y" }
            try await new.increment(1, \.pages, by: 5)
            try await store.transaction { transaction in
                try await transaction.update(1, in: new) { $0.price = 9 }
                let read = try await transaction.get(1, in: new)
                #expect(read?.isbn == "y")
                try transaction.put(
                    NewBook(price: 1, isbn: nil, pages: 2, id: 3, title: "Dune"), in: new)
            }
            let expected = NewBook(price: 9, isbn: "y", pages: 405, id: 1, title: "Emma")
            #expect(try await new.get(1) == expected)
            #expect(
                try await old.get(3) == Book(id: 3, title: "Dune", pages: 2, price: 1))
            try await store.waitForAll(.durable, timeout: .hang)
            #expect(
                try await new.get(1, asOf: .sequence(first.sequence))
                    == NewBook(price: 2.5, isbn: nil, pages: 400, id: 1, title: "Emma"))
            var versions: [NewBook?] = []
            for version in try await new.history(of: 1) { versions.append(version.row) }
            #expect(versions.last == expected)
            try await store.close()
        }

        @Table("short") struct Short: Equatable {
            var id: Int
        }

        @Table("short") struct Long: Equatable {
            var id: Int
            var added = 1
        }

        @Table("short") struct Edited: Equatable {
            var added = 2
            var id: Int
        }

        @Test func olderRowsKeepTheFirstDefault() async throws {
            let directory = TemporaryStore()
            var store = try directory.open()
            try store.table(Short.self).put(Short(id: 1))
            #expect(try await store.table(Long.self).get(1)?.added == 1)
            #expect(try await store.table(Edited.self).get(1) == Edited(added: 1, id: 1))
            try store.table(Edited.self).put(Edited(id: 2))
            try await store.close()
            store = try directory.open()
            let edited = try store.table(Edited.self)
            #expect(try await edited.get(1)?.added == 1)
            #expect(try await edited.get(2)?.added == 2)
            try await store.close()
        }

        @Table("book") struct WithoutTitle {
            var id: Int
            var pages = 0
            var price: Double?
        }

        @Table("book") struct Renamed {
            var id: Int
            var name = ""
            var pages = 0
            var price: Double?
        }

        @Table("book") struct KeptName {
            var id: Int
            @Column("title") var name = ""
            var pages = 0
            var price: Double?
        }

        @Table("book") struct Retyped {
            var pages = ""
            var id: Int
            var title = ""
            var price: Double?
        }

        @Table("book") struct Grown {
            var isbn: String
            var id: Int
            var title = ""
            var pages = 0
            var price: Double?
        }

        private func refusal<R: TableRow>(_ type: R.Type, _ store: Store) async -> String {
            await storeError { _ = try store.table(type) }.map { "\($0)" } ?? "none"
        }

        @Test func whatRowsDoNotAllowIsRefusedWithWhatToDo() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Book.self).put(book)
            let missing =
                #"table "book", column "title": the text column is missing, and rows have it: declare it again; "#
                + "a property that was renamed keeps its column with @Column(formerly:), and one that is not needed any "
                + "more is dropped with @Table(dropping:)"
            #expect(await refusal(WithoutTitle.self, store) == missing)
            #expect(await refusal(Renamed.self, store) == missing)
            #expect(
                await refusal(Retyped.self, store)
                    == #"table "book", column "pages": the type changed from integer to text: "#
                    + "keep the old type; for another one add a new property, or make a new table and copy the rows"
            )
            #expect(await refusal(Grown.self, store).contains("make its property optional"))
            #expect(try await store.table(KeptName.self).get(1)?.name == "Emma")
            try await store.close()
        }

        @Table("leg") struct Leg {
            @Key var day: String
            @Key var number: Int
            var gate = ""
        }

        @Table("leg") struct Turned {
            @Key var number: Int
            @Key var day: String
            var gate = ""
        }

        @Table("leg") struct Spread: Equatable {
            var gate = ""
            @Key var day: String
            var delay: Int?
            @Key var number: Int
        }

        @Test func theColumnsOfAKeyKeepTheirOrderAndMayBeApart() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            try store.table(Leg.self).put(Leg(day: "d", number: 1, gate: "A"))
            #expect(
                await refusal(Turned.self, store)
                    == #"table "leg", column "number": the columns of the key were in another order: "#
                    + #"declare them as "day", "number""#)
            #expect(
                try await store.table(Spread.self).get(.init(day: "d", number: 1))
                    == Spread(gate: "A", day: "d", delay: nil, number: 1))
            try await store.close()
        }

        /// By hand, an order that changed in the schema alone would put values into the wrong columns.
        struct ByHand: TableRow {
            typealias Key = Int
            static let schema = TableSchema(
                "book",
                [
                    .key("id", .integer), .column("pages", .integer, default: .integer(0)),
                    .column("title", .text, default: .text("")),
                    .column("price", .real, nullable: true),
                ])
            func encode(to encoder: inout RowEncoder) {}
            init(from decoder: inout RowDecoder) throws {}
        }

        @Test func aTypeThatIsCodedByHandKeepsTheOrder() async throws {
            let directory = TemporaryStore()
            let store = try directory.open()
            _ = try store.table(Book.self)
            #expect(await refusal(ByHand.self, store).contains("columns keep name and place"))
            try await store.close()
        }
    }
#endif
