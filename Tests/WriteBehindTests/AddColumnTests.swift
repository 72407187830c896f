#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// An add makes no row of it.
    @Table("post") struct CountedPost: Equatable {
        let id: Int
        var title: String
        var likes = 0
        var views: Int64 = 0
        var shares: Int32 = 5
        var stars: UInt8 = 0
        var votes: Int?
        var rare: Int16? = 7
        var isOpen = true
        var seen: Date?
        var text: String?
        var ratio = 0.5
        @Expires var until: Date?
    }

    /// An add makes a row of it.
    @Table("tally") struct Tally: Equatable {
        @Key let name: String
        var count = 0
        var low: Int?
        var note = "-"
    }

    extension TemporaryStore {
        /// A store of posts that only the database has.
        func openWithPosts(
            _ ids: some Sequence<Int>, _ configure: (inout StoreConfiguration) -> Void = { _ in }
        ) async throws -> (Store, StoredTable<CountedPost>) {
            let store = try open(configure)
            let posts = try store.table(CountedPost.self)
            for id in ids { try posts.put(CountedPost(id: id, title: "p\(id)")) }
            try await store.waitForAll(.materialized, timeout: .hang)
            for id in ids { #expect(try posts.evict(id)) }
            return (store, posts)
        }
    }

    /// The column that an add was refused for, and the reason.
    func refusedColumn(_ body: () throws -> Void) -> (column: String, reason: String)? {
        do {
            try body()
            return nil
        } catch {
            guard case StoreError.cannotAdd(_, let column, let reason) = error else { return nil }
            return (column, reason)
        }
    }

    /// What amounts may be added to.
    @Suite struct AddColumnTests {
        private let directory = TemporaryStore()

        @Test(arguments: ["in memory", "in the database"])
        func amountsAreAddedToIntegersOfEachType(place: String) async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            if place == "in memory" { _ = try await posts.get(1) }
            try posts.add(1, to: \.likes, of: 1)
            try posts.add(-2, to: \.views, of: 1)
            try posts.add(3, to: "shares", of: 1)
            try posts.add(255, to: "stars", of: 1)
            try posts.add(5, to: \.votes, of: 1)
            try posts.add(6, to: "rare", of: 1)
            try posts.add(10, to: "LIKES", of: 1)
            try posts.add(10, to: "votes", of: 1)
            var right = CountedPost(id: 1, title: "p1")
            (right.likes, right.views, right.shares, right.stars) = (11, -2, 8, 255)
            (right.votes, right.rare) = (15, 13)
            #expect(try await posts.get(1) == right)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try posts.evict(1))
            #expect(try await posts.get(1) == right)
            try await store.close()
        }

        /// As a null is what an add finds there, not what the row's type begins with.
        @Test func aNullCountsAsTheColumnsDefault() async throws {
            let (store, posts) = try await directory.openWithPosts([])
            var post = CountedPost(id: 1, title: "p")
            post.rare = nil
            try posts.put(post)
            try posts.add(1, to: "rare", of: 1)
            try posts.add(1, to: \.votes, of: 1)
            #expect(try await posts.get(1)?.rare == 8)
            #expect(try await posts.get(1)?.votes == 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try posts.evict(1))
            #expect(try await posts.get(1)?.rare == 8)
            try await store.close()
        }

        @Test func whatIsNoPlainIntegerTakesNoAmounts() async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            let before = store.engine.log.lastSequence
            let refused = ["isOpen", "seen", "text", "ratio", "until", "id", "nothing", ""]
            for column in refused {
                #expect(refusedColumn { try posts.add(1, to: column, of: 1) }?.column == column)
                _ = try store.transaction { transaction in
                    let refused = refusedColumn {
                        try transaction.add(1, to: column, of: 1, in: posts)
                    }
                    #expect(refused?.column == column)
                }
            }
            #expect(
                refusedColumn { try posts.add(1, to: "until", of: 1) }?.reason.contains("expires")
                    == true)
            #expect(store.engine.log.lastSequence == before)
            try await store.close()
        }

        @Table("part", changes: .wholeRows) struct Part {
            let id: Int
            var count = 0
        }

        @Test func aTableWhoseLogHasWholeRowsTakesNoAmounts() async throws {
            let store = try directory.open()
            let parts = try store.table(Part.self)
            try parts.put(Part(id: 1))
            let refused = refusedColumn { try parts.add(1, to: \.count, of: 1) }
            #expect(refused?.reason.contains("whole rows") == true)
            try await parts.increment(1, \.count)
            #expect(try await parts.get(1)?.count == 1)
            try await store.close()
        }

        // MARK: rows that are not there

        @Test(arguments: ["never", "deleted", "deleted in the database", "cleared"])
        func withoutARowTheAmountsMakeOneOrNothing(how: String) async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            let tallies = try store.table(Tally.self)
            try tallies.put(Tally(name: "a", count: 100))
            switch how {
            case "deleted", "deleted in the database":
                try posts.delete(1)
                try tallies.delete("a")
            case "cleared":
                try posts.clear()
                try tallies.clear()
            default: break
            }
            if how != "deleted" { try await store.waitForAll(.materialized, timeout: .hang) }
            let (id, name) = how == "never" ? (2, "b") : (1, "a")
            try posts.add(1, to: \.likes, of: id)
            try tallies.add(2, to: \.low, of: name)
            try tallies.add(1, to: \.count, of: name)
            #expect(try await posts.get(id) == nil)
            #expect(try await tallies.get(name) == Tally(name: name, count: 1, low: 2))
            try await store.waitForAll(.materialized, timeout: .hang)
            try posts.evict(id)
            #expect(try tallies.evict(name))
            #expect(try await posts.get(id) == nil)
            #expect(try await tallies.get(name) == Tally(name: name, count: 1, low: 2))
            #expect(store.quarantine.list().isEmpty)
            try await store.close()
        }

        // MARK: sums out of range

        @Test func aSumBeyond64BitsIsRefusedAndComesBack() async throws {
            let (store, posts) = try await directory.openWithPosts([1, 2])
            try posts.add(.max, to: \.likes, of: 1)
            try posts.add(.max, to: \.likes, of: 1)
            let error = await storeError { _ = try await posts.get(1) }
            guard case .row(let problem)? = error, problem.problem == .sumOutOfRange else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            try posts.add(-.max, to: \.likes, of: 1)
            #expect(try await posts.get(1)?.likes == .max)
            try posts.put(CountedPost(id: 1, title: "new"))
            try posts.add(1, to: \.likes, of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(store.quarantine.list().isEmpty)
            #expect(try posts.evict(1))
            #expect(try await posts.get(1)?.likes == 1)
            try await store.close()
        }

        @Test func aSumThatThePropertyCannotHoldIsAnErrorOfReads() async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            try posts.add(256, to: "stars", of: 1)
            let error = await storeError { _ = try await posts.get(1) }
            guard case .row? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try posts.add(-1, to: "stars", of: 1)
            #expect(try await posts.get(1)?.stars == 255)
            try await store.close()
        }

        // MARK: transactions

        @Test(arguments: [true, false])
        func aTransactionSeesItsOwnAdds(isInMemory: Bool) async throws {
            let (store, posts) = try await directory.openWithPosts([1, 2])
            let tallies = try store.table(Tally.self)
            if isInMemory { _ = try await posts.get(all: [1, 2]) }
            let (seen, _) = try await store.transaction { transaction in
                var seen: [Int?] = []
                try transaction.add(1, to: \.likes, of: 1, in: posts)
                try transaction.add(2, to: "likes", of: 1, in: posts)
                seen.append(try await transaction.get(1, in: posts)?.likes)
                try transaction.add(4, to: \.likes, of: 1, in: posts)
                seen.append(try await transaction.get(1, in: posts)?.likes)
                try transaction.add(1, to: \.likes, of: 2, in: posts)
                try transaction.add(1, to: \.likes, of: 3, in: posts)
                let all = try await transaction.get(all: [2, 1, 3, 2], in: posts)
                seen += all.map { $0?.likes }
                try transaction.delete(2, in: posts)
                try transaction.add(1, to: \.likes, of: 2, in: posts)
                seen.append(try await transaction.get(2, in: posts)?.likes)
                try transaction.add(1, to: \.count, of: "a", in: tallies)
                seen.append(try await transaction.get("a", in: tallies)?.count)
                try transaction.clear(tallies)
                try transaction.add(5, to: \.low, of: "a", in: tallies)
                seen.append(try await transaction.get("a", in: tallies)?.low)
                seen.append(try await transaction.get("a", in: tallies)?.count)
                return seen
            }
            #expect(seen == [3, 7, 1, 7, nil, 1, nil, 1, 5, 0])
            #expect(try await posts.get(1)?.likes == 7)
            #expect(try await posts.get(2) == nil)
            #expect(try await tallies.get("a") == Tally(name: "a", low: 5))
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try posts.evict(1) && tallies.evict("a"))
            #expect(try await posts.get(1)?.likes == 7)
            #expect(try await tallies.get("a") == Tally(name: "a", low: 5))
            try await store.close()
        }

        @Test(arguments: [true, false])
        func aTransactionThatReadARowIsTriedAgainAfterAnAddToIt(isInMemory: Bool) async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            if isInMemory { _ = try await posts.get(1) }
            var tries = 0
            try await store.transaction { transaction in
                tries += 1
                let likes = try await transaction.get(1, in: posts)?.likes ?? -1
                if tries == 1 { try posts.add(10, to: \.likes, of: 1) }
                try transaction.put(CountedPost(id: 1, title: "t", likes: likes + 1), in: posts)
            }
            #expect(tries == 2)
            #expect(try await posts.get(1)?.likes == 11)
            try await store.close()
        }

        /// It reads another row, which nobody changes.
        @Test func aTransactionThatOnlyAddsToARowIsNotTriedAgain() async throws {
            let (store, posts) = try await directory.openWithPosts([1, 2])
            var tries = 0
            try await store.transaction { transaction in
                tries += 1
                _ = try await transaction.get(2, in: posts)
                try transaction.add(1, to: \.likes, of: 1, in: posts)
                try posts.add(10, to: \.likes, of: 1)
            }
            #expect(tries == 1)
            #expect(try await posts.get(1)?.likes == 11)
            try await store.close()
        }

        @Test func aCommitOfAddsAndOtherChangesCountsAsAWhole() async throws {
            let (store, posts) = try await directory.openWithPosts([1, 2, 3])
            try store.transaction { transaction in
                try transaction.add(1, to: \.likes, of: 1, in: posts)
                try transaction.put(CountedPost(id: 2, title: "new", likes: 7), in: posts)
                try transaction.add(1, to: \.likes, of: 2, in: posts)
                try transaction.delete(3, in: posts)
                try transaction.add(1, to: \.likes, of: 3, in: posts)
                try transaction.add(1, to: \.views, of: 1, in: posts)
            }
            let error = #expect(throws: Discarded.self) {
                try store.transaction { transaction in
                    try transaction.add(100, to: \.likes, of: 1, in: posts)
                    throw Discarded()
                }
            }
            #expect(error != nil)
            for round in 0..<2 {
                let found = try await posts.get(all: 1...3)
                #expect(found.map { $0?.likes } == [1, 8, nil], "round \(round)")
                #expect(found[0]?.views == 1)
                try await store.waitForAll(.materialized, timeout: .hang)
                for id in 1...3 { #expect(try posts.evict(id)) }
            }
            try await store.close()
        }

        private struct Discarded: Error {}
    }
#endif
