#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// Adds before and after the columns of their table change.
    @Suite struct AddToChangedTableTests {
        private let directory = TemporaryStore()

        @Table("item") struct Item {
            let id: Int
            var title: String
            var likes = 0
            var views = 0
        }

        @Table("item", dropping: "views") struct WithoutViews {
            let id: Int
            var title: String
            var likes = 0
        }

        @Table("item") struct RealLikes {
            let id: Int
            var title: String
            var likes = 0.0
            var views = 0
        }

        @Table("item", changes: .wholeRows) struct WholeItem {
            let id: Int
            var title: String
            var likes = 0
            var views = 0
        }

        /// A store of an item that only the database has.
        private func openWithItem() async throws -> (Store, StoredTable<Item>) {
            let store = try directory.open()
            let items = try store.table(Item.self)
            try items.put(Item(id: 1, title: "i"))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try items.evict(1))
            return (store, items)
        }

        private func change(_ store: Store, _ how: String) throws {
            switch how {
            case "dropped": _ = try store.table(WithoutViews.self)
            case "real": _ = try store.table(RealLikes.self)
            default: _ = try store.table(WholeItem.self)
            }
        }

        /// Another part of the program changes the table.
        @Test(arguments: ["dropped", "real", "whole rows"])
        func anOlderHandleAddsToNoColumnThatHasChanged(how: String) async throws {
            let (store, items) = try await openWithItem()
            try items.add(1, to: \.likes, of: 1)
            try items.add(1, to: \.views, of: 1)
            try change(store, how)
            let likes = refusedColumn { try items.add(1, to: \.likes, of: 1) }
            let views = refusedColumn { try items.add(1, to: \.views, of: 1) }
            #expect((likes == nil) == (how == "dropped"), "\(String(describing: likes))")
            #expect((views == nil) == (how == "real"), "\(String(describing: views))")
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            let sums = try store.database.read {
                try Row.fetchOne($0, sql: "SELECT * FROM item")
            }
            #expect(sums?["likes"] == (how == "dropped" ? 2 : 1))
            #expect(sums?["views"] == (how == "dropped" ? nil : how == "real" ? 2 : 1))
            try await store.close()
        }

        /// Its adds were encoded before.
        @Test(arguments: ["dropped", "real", "whole rows"], [true, false])
        func aTransactionAddsToNoColumnThatHasChanged(how: String, reads: Bool) async throws {
            let (store, items) = try await openWithItem()
            let column = how == "dropped" ? "views" : "likes"
            let error = await storeError {
                if reads {
                    try await store.transaction { transaction async throws in
                        _ = try await transaction.get(2, in: items)
                        try transaction.add(1, to: column, of: 1, in: items)
                        try change(store, how)
                    }
                } else {
                    _ = try store.transaction { transaction in
                        try transaction.add(1, to: column, of: 1, in: items)
                        try change(store, how)
                    }
                }
            }
            guard case .cannotAdd? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }

        /// They were refused before the column became one of reals.
        @Test func anAmountFromBeforeItsColumnHeldRealsIsAddedToTheReal() async throws {
            let (store, items) = try await openWithItem()
            try directory.user(
                """
                CREATE TRIGGER few BEFORE UPDATE ON item WHEN new.likes > 9
                BEGIN SELECT RAISE(ABORT, 'few'); END
                """)
            try items.add(9, to: \.likes, of: 1)
            try items.add(9, to: \.likes, of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.health.quarantined == 1)
            let real = try store.table(RealLikes.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try await real.get(1)?.likes == 18)
            try directory.user("DROP TRIGGER few")
            _ = try await store.quarantine.retry()
            #expect(store.quarantine.list().isEmpty)
            #expect(try await real.get(1)?.likes == 18)
            #expect(try real.evict(1))
            #expect(try await real.get(1)?.likes == 18)
            try await store.close()
        }

        @Table("item") struct RankedItem: Equatable {
            let id: Int
            var title: String
            var likes = 0
            var views = 0
            var rank = 3
        }

        /// It lacks a column, so its put is logged as a patch that makes a row.
        @Test(arguments: ["in a batch", "in quarantine", "in a snapshot"])
        func anOlderHandlesPutMakesTheRowThatAnAddDidNotFind(place: String) async throws {
            var (store, items) = try await openWithItem()
            let ranked = try store.table(RankedItem.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            if place == "in quarantine" {
                try directory.user(
                    """
                    CREATE TRIGGER few BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'few'); END
                    """)
            }
            try items.add(5, to: \.likes, of: 2)
            try items.put(Item(id: 2, title: "two", views: 1))
            try ranked.add(1, to: \.rank, of: 2)
            try items.add(1, to: \.likes, of: 2)
            let right = RankedItem(id: 2, title: "two", likes: 1, views: 1, rank: 4)
            if place == "in quarantine" {
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(store.health.quarantined > 0)
                #expect(try await ranked.get(2) == right)
                try directory.user("DROP TRIGGER few")
                _ = try await store.quarantine.retry()
            }
            #expect(try await ranked.get(2) == right)
            if place == "in a snapshot" {
                try await store.snapshot()
                try await store.close()
                for suffix in ["", "-wal", "-shm"] { unlink(directory.database + suffix) }
                store = try directory.open()
            }
            let again = try store.table(RankedItem.self)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            #expect(try again.evict(2))
            #expect(try await again.get(2) == right)
            try await store.close()
        }

        @Table("post") struct RenamedLikes {
            let id: Int
            var title: String
            @Column(formerly: "likes") var hearts = 0
        }

        @Test func aRenamedColumnTakesTheAmountsOfBothNamesHandles() async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            let renamed = try store.table(RenamedLikes.self)
            try renamed.add(1, to: \.hearts, of: 1)
            try posts.add(2, to: \.likes, of: 1)
            #expect(try await renamed.get(1)?.hearts == 3)
            #expect(try await posts.get(1)?.likes == 3)
            try await store.close()
        }
    }
#endif
