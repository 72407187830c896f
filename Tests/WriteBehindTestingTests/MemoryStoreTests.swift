import Foundation
import GRDB
import Logging
import TestSupport
import Testing
import WriteBehind
import WriteBehindTesting

#if Macros
    @Table private struct Post: Equatable {
        var id: Int
        var title: String
        var likes = 0
    }

    @Table private struct Session {
        var id: String
        @Expires var until: Date
    }

    @Table private struct Score: Equatable {
        var id: Int
        @Index var points: Int
    }

    private var quiet: StoreConfiguration {
        var configuration = StoreConfiguration()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return configuration
    }

    /// The error of a call, as the store's.
    private func error(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Suite struct MemoryStoreTests {
        private func count(_ table: String, of store: Store) async throws -> Int? {
            try await store.database.read { db in
                guard try db.tableExists(table) else { return nil }
                return try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)")
            }
        }

        @Test func theDatabaseFollowsWhenTheClockIsAdvanced() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            try posts.put(Post(id: 1, title: "a"))
            #expect(try await count("post", of: store) == nil)
            store.advance(by: .seconds(1))
            #expect(try await count("post", of: store) == 1)
            #expect(store.health.verdict == .healthy)
            #expect(store.health.lag.records == 0)
        }

        @Test(arguments: [Stage.staged, .durable, .materialized])
        func aCallThatWaitsHasTheWorkDone(_ stage: Stage) async throws {
            let store = try Store.inMemory(configuration: quiet)
            let before = store.clock.now
            let posts = try store.table(Post.self)
            let receipt = try posts.put(Post(id: 1, title: "a"))
            try await store.wait(for: stage, receipt)
            #expect(store.clock.now == before)
            if stage == .materialized { #expect(try await count("post", of: store) == 1) }
        }

        @Test func readingsAndTransactionsAreTheSameAsOnADisk() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            for id in 0..<500 { try posts.put(Post(id: id, title: "p\(id)")) }
            try await store.waitForAll(.materialized)
            #expect(try posts.evict(7))
            #expect(try posts.cached(7) == nil)
            #expect(try await posts.get(7) == Post(id: 7, title: "p7"))
            try await posts.increment(7, \.likes, by: 3)
            try await posts.update(8) { $0.title = "new" }
            let (sum, _) = try await store.transaction { transaction in
                guard var post = try await transaction.get(7, in: posts) else { return 0 }
                post.likes += 1
                try transaction.put(post, in: posts)
                return post.likes
            }
            #expect(sum == 4)
            try await store.snapshot()
            #expect(try await posts.history(of: 7).count == 3)
            let report = try await store.close()
            #expect(report.pending == 0)
            #expect(store.health.verdict == .closed)
        }

        /// A read does the work that it waits for.
        @Test func aRowIsReadAfterAmountsWereAddedToIt() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            for id in 0..<50 { try posts.put(Post(id: id, title: "p\(id)")) }
            try await store.waitForAll(.materialized)
            let before = store.clock.now
            for id in 0..<50 {
                #expect(try posts.evict(id))
                try posts.add(id, to: \.likes, of: id)
            }
            #expect(try posts.cached(7) == nil)
            #expect(try await posts.get(7) == Post(id: 7, title: "p7", likes: 7))
            #expect(try await posts.get(all: 0..<50).map { $0?.likes } == Array(0..<50))
            #expect(store.clock.now == before)
            try await store.waitForAll(.materialized)
            #expect(try posts.evict(8))
            try posts.add(1, to: \.likes, of: 8)
            let again = try store.crash()
            let table = try again.table(Post.self)
            #expect(try await table.get(8)?.likes == 9)
            try await again.close()
        }

        @Test func indicesAreThereAtOnceAndAfterACrash() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let scores = try store.table(Score.self)
            for id in 0..<50 { try scores.put(Score(id: id, points: id * 7 % 50)) }
            #expect(try await scores.top(3, by: \.points).map(\.points) == [49, 48, 47])
            try await store.waitForAll(.materialized)
            let again = try store.crash()
            let table = try again.table(Score.self)
            #expect(try await table.top(3, by: \.points).map(\.points) == [49, 48, 47])
            try table.put(Score(id: 100, points: 90))
            #expect(try await table.rank(of: 100, by: \.points) == 0)
            try await again.close()
        }

        @Test func rowsExpireByTheClock() async throws {
            let clock = TestClock(date: Date(timeIntervalSince1970: 1_800_000_000))
            let store = try Store.inMemory(clock: clock, configuration: quiet)
            let sessions = try store.table(Session.self)
            try sessions.put(Session(id: "a", until: clock.date.addingTimeInterval(3600)))
            try sessions.put(Session(id: "b", until: clock.date.addingTimeInterval(90_000)))
            clock.advance(by: .seconds(3590))
            #expect(try await sessions.get("a") != nil)
            clock.advance(by: .seconds(15))
            #expect(try await sessions.get("a") == nil)
            #expect(try await sessions.get("b") != nil)
            clock.advance(by: .seconds(40 * 24 * 3600))
            #expect(try await sessions.get("b") == nil)
            store.advance(by: .seconds(1))
            #expect(try await count("session", of: store) == 0)
        }

        @Test func aBusyDatabaseDelaysNoWriteAndHealthSaysWhy() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            try posts.put(Post(id: 1, title: "a"))
            try await store.waitForAll(.materialized)
            store.fail(.database(.busy))
            let receipt = try posts.put(Post(id: 2, title: "b"))
            try await store.wait(for: .durable, receipt)
            let before = store.clock.now
            let late = await error {
                try await store.wait(for: .materialized, receipt, timeout: .seconds(20))
            }
            #expect(late?.contains("timed out") == true)
            #expect(store.clock.now == before.advanced(by: .seconds(20)))
            #expect(store.health.verdict == .degraded)
            #expect(store.health.causes.contains { $0.contains("locked") })
            #expect(try await count("post", of: store) == 1)
            store.stopFailing()
            store.advance(by: .seconds(60))
            #expect(try await count("post", of: store) == 2)
            #expect(store.health.verdict == .healthy)
        }

        @Test func aFullDiskRefusesWritesAndTakesThemAgain() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            try posts.put(Post(id: 1, title: "a"))
            store.advance(by: .seconds(1))
            store.fail(.diskFull)
            var refused: String?
            for id in 2..<200 where refused == nil {
                refused = await error { try posts.put(Post(id: id, title: "b")) }
                store.advance(by: .seconds(1))
            }
            #expect(refused?.contains("no space") == true)
            #expect(try await posts.get(1) != nil)
            store.stopFailing()
            store.advance(by: .seconds(10))
            try posts.put(Post(id: 2, title: "c"))
            try await store.waitForAll(.materialized)
            #expect(store.health.verdict == .healthy)
        }

        @Test func aFailedSyncRefusesWritesUntilTheStoreIsOpenedAgain() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            store.fail(.sync)
            let receipt = try posts.put(Post(id: 1, title: "a"))
            #expect(await error { try await store.wait(for: .durable, receipt) } != nil)
            store.stopFailing()
            #expect(await error { try posts.put(Post(id: 2, title: "b")) } != nil)
            #expect(store.health.verdict == .failed)
            let again = try store.crash()
            try again.table(Post.self).put(Post(id: 2, title: "b"))
            #expect(again.health.verdict == .healthy)
        }

        @Test func afterAKillEveryWriteThatReturnedIsThere() async throws {
            let store = try Store.inMemory(configuration: quiet)
            let posts = try store.table(Post.self)
            for id in 0..<50 { try posts.put(Post(id: id, title: "a")) }
            store.advance(by: .seconds(1))
            for id in 50..<100 { try posts.put(Post(id: id, title: "b")) }
            let again = try store.crash()
            let same = try again.table(Post.self)
            for id in 0..<100 { #expect(try await same.get(id) != nil) }
            #expect(await error { try posts.put(Post(id: 1, title: "c")) } != nil)
            #expect(await error { try await store.waitForAll(.durable) } != nil)
            #expect(store.health.verdict == .closed)
            try await again.waitForAll(.materialized)
            #expect(try await count("post", of: again) == 100)
            try await again.close()
        }

        @Test(arguments: 0..<20)
        func afterAPowerLossWhatWasWaitedForIsThereAndTheRestHasNoHole(_ seed: UInt64) async throws
        {
            var store = try Store.inMemory(configuration: quiet)
            for life in 0..<3 {
                let posts = try store.table(Post.self)
                let first = life * 100
                for id in first..<(first + 10) { try posts.put(Post(id: id, title: "a")) }
                try await store.waitForAll(.durable)
                for id in (first + 10)..<(first + 20) { try posts.put(Post(id: id, title: "b")) }
                store = try store.crash(.powerLoss(seed: seed + UInt64(life) * 1000))
                let same = try store.table(Post.self)
                for id in first..<(first + 10) { #expect(try await same.get(id) != nil) }
                var isThere: [Bool] = []
                for id in (first + 10)..<(first + 20) {
                    isThere.append(try await same.get(id) != nil)
                }
                #expect(isThere.drop { $0 }.allSatisfy { !$0 })
            }
        }

        @Test func aClosedStoreIsOpenedAgainByACrash() async throws {
            let store = try Store.inMemory(configuration: quiet)
            try store.table(Post.self).put(Post(id: 1, title: "a"))
            try await store.close()
            let again = try store.crash()
            #expect(try await again.table(Post.self).get(1) == Post(id: 1, title: "a"))
        }

        @Test func storesOfOneClockDoNotSeeEachOther() async throws {
            let clock = TestClock()
            let stores = try (0..<100).map { _ in
                try Store.inMemory(clock: clock, configuration: quiet)
            }
            for (index, store) in stores.enumerated() {
                try store.table(Post.self).put(Post(id: index, title: "a"))
            }
            clock.advance(by: .seconds(1))
            for (index, store) in stores.enumerated() {
                #expect(try await count("post", of: store) == 1)
                #expect(try await store.table(Post.self).get(index) != nil)
            }
        }

        @Test func theSameCallsLeaveTheSameStore() async throws {
            func run() async throws -> [String] {
                let store = try Store.inMemory(configuration: quiet)
                let posts = try store.table(Post.self)
                var seen: [String] = []
                for id in 0..<200 {
                    try posts.put(Post(id: id % 37, title: "t\(id)"))
                    if id % 10 == 0 { store.advance(by: .milliseconds(30)) }
                    seen.append("\(store.health.lag)")
                }
                return seen
            }
            #expect(try await run() == run())
        }

        @Test func writersInManyTasksFindRoom() async throws {
            var configuration = quiet
            configuration.stagingSlotSize = 8 << 10
            let store = try Store.inMemory(configuration: configuration)
            let posts = try store.table(Post.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for id in 0..<500 {
                            try posts.put(
                                Post(id: task * 500 + id, title: String(repeating: "x", count: 50)))
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await store.waitForAll(.materialized)
            #expect(try await count("post", of: store) == 4000)
        }

        @Test func aStoreThatIsLetGoIsGone() async throws {
            let clock = TestClock()
            weak var gone: Store?
            do {
                let store = try Store.inMemory(clock: clock, configuration: quiet)
                try store.table(Post.self).put(Post(id: 1, title: "a"))
                gone = store
            }
            clock.advance(by: .seconds(1))
            #expect(gone == nil)
        }

        /// Others may have the processors, so the time of this thread's own is taken, and the best of several counts.
        @Test func openingTakesLittleTime() throws {
            let times = try (0..<10).map { _ in
                let start = processorTime()
                let store = try Store.inMemory(configuration: quiet)
                defer { withExtendedLifetime(store) {} }
                return processorTime() - start
            }
            #expect(try #require(times.min()) < .milliseconds(20), "\(times)")
        }
    }
#endif

@Suite struct TestClockTests {
    @Test func aSleepEndsWhenTheClockIsThere() async throws {
        let clock = TestClock()
        let end = clock.now.advanced(by: .seconds(10))
        let sleeper = Task { try await clock.sleep(until: end, tolerance: nil) }
        clock.advance(by: .seconds(9))
        clock.advance(by: .seconds(2))
        try await sleeper.value
        #expect(clock.now.duration(to: end) == .seconds(-1))
        try await clock.sleep(until: end)
    }

    @Test func aCancelledSleepThrows() async throws {
        let clock = TestClock()
        let sleeper = Task { try await clock.sleep(for: .seconds(10)) }
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
    }

    @Test func itsDateMovesWithIt() {
        let clock = TestClock(date: Date(timeIntervalSince1970: 1000))
        clock.advance(by: .milliseconds(1500))
        #expect(clock.date == Date(timeIntervalSince1970: 1001.5))
        clock.advance(by: .zero - .seconds(5))
        #expect(clock.date == Date(timeIntervalSince1970: 1001.5))
    }

    @Test func timesBeyondAllMeasureAreTheLast() {
        let clock = TestClock()
        clock.advance(by: .seconds(Int64.max))
        #expect(clock.now.advanced(by: .seconds(Int64.max)) >= clock.now)
    }
}
