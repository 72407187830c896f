#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind
    import WriteBehindInspection

    /// Reads of rows that only the database has, after amounts were added to them.
    @Suite struct AddReadTests {
        private let directory = TemporaryStore()

        // MARK: one row after the other

        @Test func aRowIsReadRightWhileOthersAddToItAllTheTime() async throws {
            let (store, posts) = try await directory.openWithPosts(0..<40)
            let added = Locked([Int](repeating: 0, count: 40))
            let isDone = Locked(false)
            let writer = Task.detached {
                var number = 0
                while !isDone.withLock({ $0 }) {
                    let id = number % 40
                    // Before the call: no read may miss what was added before it began.
                    try posts.add(1, to: \.likes, of: id)
                    added.withLock { $0[id] += 1 }
                    number += 1
                    // Without pauses, the log would grow faster than a database of a debug build takes it.
                    if number % 100 == 0 { try await Task.sleep(for: .milliseconds(1)) }
                }
            }
            for id in 0..<40 {
                let before = added.withLock { $0[id] }
                let likes = try #require(try await posts.get(id)).likes
                let after = added.withLock { $0[id] } + 1
                #expect(before <= likes && likes <= after, "\(before), \(likes), \(after)")
            }
            isDone.withLock { $0 = true }
            try await writer.value
            try await store.waitForAll(.materialized, timeout: .hang)
            for round in 0..<2 {
                let found = try await posts.get(all: 0..<40).map { $0?.likes }
                #expect(found == added.withLock { $0 }, "round \(round)")
                for id in 0..<40 { #expect(try posts.evict(id)) }
            }
            try await store.close()
        }

        @Test func manyRowsAreReadWithOneWait() async throws {
            let (store, posts) = try await directory.openWithPosts(0..<3000)
            for id in 0..<3000 where id % 3 != 0 { try posts.add(id, to: \.likes, of: id) }
            for id in 0..<3000 where id % 5 == 0 { try await posts.update(id) { $0.title = "new" } }
            let keys = (0..<3100).map { $0 * 7 % 3100 } + [1, 1, 1]
            let found = try await posts.get(all: keys)
            let right = keys.map { id -> CountedPost? in
                guard id < 3000 else { return nil }
                return CountedPost(
                    id: id, title: id % 5 == 0 ? "new" : "p\(id)", likes: id % 3 != 0 ? id : 0)
            }
            #expect(found == right)
            try await store.close()
        }

        /// Each finds the row where another has left it.
        @Test func manyReadersOfARowSeeTheSame() async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            for round in 1...20 {
                try posts.add(1, to: \.likes, of: 1)
                try await withThrowingTaskGroup(of: Int?.self) { group in
                    for _ in 0..<20 { group.addTask { try await posts.get(1)?.likes } }
                    for try await likes in group { #expect(likes == round) }
                }
                try await store.waitForAll(.materialized, timeout: .hang)
                #expect(try posts.evict(1))
            }
            try await store.close()
        }

        @Test func aCountedRowIsNotCachedUntilItIsRead() async throws {
            let (store, posts) = try await directory.openWithPosts([1])
            try posts.add(1, to: \.likes, of: 1)
            #expect(try posts.cached(1) == nil)
            #expect(try await posts.get(1)?.likes == 1)
            try posts.add(1, to: \.likes, of: 1)
            #expect(try posts.cached(1)?.likes == 2)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try posts.evict(1))
            try posts.add(1, to: \.likes, of: 1)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(try posts.evict(1), "the database has it all")
            #expect(try await posts.get(1)?.likes == 3)
            try await store.close()
        }

        /// Other writes need the row, or replace it.
        @Test func otherCallsFindTheSum() async throws {
            let (store, posts) = try await directory.openWithPosts(1...8)
            for id in 1...8 { try posts.add(10, to: \.likes, of: id) }
            #expect(try await posts.increment(1, \.likes, by: 5).value == 15)
            try await posts.update(2) { $0.likes += 1 }
            let error = await storeError {
                _ = try await posts.insert(CountedPost(id: 3, title: "again"))
            }
            guard case .duplicateKey? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try posts.put(CountedPost(id: 4, title: "put"))
            try posts.add(1, to: \.likes, of: 4)
            try posts.delete(5)
            try posts.add(1, to: \.likes, of: 5)
            try posts.add(1, to: \.likes, of: 6)
            try posts.add(10, to: \.likes, of: 9)
            try await posts.insert(CountedPost(id: 9, title: "inserted"))
            #expect(try await posts[7]?.likes == 10)
            for round in 0..<2 {
                let found = try await posts.get(all: 1...9).map { $0?.likes }
                #expect(found == [15, 11, 10, 1, nil, 11, 10, 10, 0], "round \(round)")
                try await store.waitForAll(.materialized, timeout: .hang)
                for id in 1...9 { #expect(try posts.evict(id)) }
            }
            try await store.close()
        }

        /// Memory is so short that rows leave it all the time.
        @Test func rowsThatLeaveMemoryKeepTheirSums() async throws {
            let (store, posts) = try await directory.openWithPosts([]) { $0.cacheLimit = 1 << 20 }
            let count = 4000
            for id in 0..<count {
                try posts.put(
                    CountedPost(id: id, title: String(repeating: "t", count: 400)))
            }
            var sums = [Int](repeating: 0, count: count)
            for number in 0..<3 * count {
                let id = number * 17 % count
                sums[id] += number
                try posts.add(number, to: \.likes, of: id)
                if number % 500 == 0 {
                    #expect(try await posts.get(id)?.likes == sums[id])
                    let other = number * 31 % count
                    #expect(try await posts.get(other)?.likes == sums[other])
                }
            }
            for start in stride(from: 0, to: count, by: 500) {
                let found = try await posts.get(all: start..<start + 500).map { $0?.likes }
                #expect(found == Array(sums[start..<start + 500]))
            }
            try await store.close()
        }

        // MARK: expiry

        @Test func aCountedRowExpires() async throws {
            let (store, posts) = try await directory.openWithPosts([])
            for id in 0..<20 {
                // Some are due at once, the others not for long.
                let until = Date(timeIntervalSinceNow: id % 2 == 0 ? -1 : 1000)
                var post = CountedPost(id: id, title: "p")
                post.until = until
                try posts.put(post)
                try posts.add(1, to: \.likes, of: id)
            }
            try await store.waitForAll(.materialized, timeout: .hang)
            for id in 0..<20 {
                try posts.evict(id)
                try posts.add(1, to: \.likes, of: id)
            }
            let isDone = try await eventually {
                try await posts.get(all: 0..<20).compactMap { $0?.id }.count == 10
            }
            #expect(isDone)
            let found = try await posts.get(all: 0..<20)
            #expect(found.compactMap { $0?.likes } == Array(repeating: 2, count: 10))
            try posts.add(1, to: \.likes, of: 0)
            #expect(try await posts.get(0) == nil)
            try await store.close()
        }

        // MARK: a database in trouble

        @Test func aReadThatTheDatabaseKeepsWaitingFailsAfterSomeSeconds() async throws {
            let (store, posts) = try await directory.openWithPosts([1, 2])
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let other = try DatabaseQueue(path: directory.database, configuration: configuration)
            try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
            try posts.add(1, to: \.likes, of: 1)
            let start = ContinuousClock.now
            async let first = storeError { _ = try await posts.get(1) }
            async let all = storeError { _ = try await posts.get(all: [2, 1]) }
            let cancelled = Task { try await posts.get(1) }
            cancelled.cancel()
            #expect(try await posts.get(2)?.likes == 0, "nobody has added to it")
            for error in await [first, all] {
                guard case .database? = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            #expect(ContinuousClock.now - start > .seconds(1))
            let result = await cancelled.result
            #expect(throws: StoreError.self) { try result.get() }
            try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
            #expect(try await posts.get(1)?.likes == 1)
            try other.close()
            try await store.close()
        }

        private func removeDatabase() {
            for suffix in ["", "-wal", "-shm"] { unlink(directory.database + suffix) }
        }

        /// It is read at once, while the database is built again.
        @Test(arguments: ["deleted", "an old copy"], [true, false])
        func aDatabaseThatIsBuiltAgainCountsEachAddOnce(how: String, whileOpen: Bool) async throws {
            var (store, posts) = try await directory.openWithPosts(0..<50)
            for id in 0..<50 { try posts.add(1, to: \.likes, of: id) }
            try await store.waitForAll(.materialized, timeout: .hang)
            let copy = directory.path + "-copy"
            defer { unlink(copy) }
            let backup = try DatabaseQueue(path: copy)
            try store.database.backup(to: backup)
            try backup.close()
            for id in 0..<50 { try posts.add(10, to: \.likes, of: id) }
            try await store.waitForAll(.materialized, timeout: .hang)
            for id in 0..<50 { #expect(try posts.evict(id)) }
            if !whileOpen { try await store.close() }
            removeDatabase()
            if how == "an old copy" {
                try FileManager.default.moveItem(atPath: copy, toPath: directory.database)
            }
            if !whileOpen {
                store = try directory.open()
                posts = try store.table(CountedPost.self)
            }
            for id in 0..<50 { try posts.add(100, to: \.likes, of: id) }
            let read = posts
            // While it is built, reads of the database may fail; after that they do not.
            let isRead = await eventually { (try? await read.get(0)) != nil }
            #expect(isRead)
            try await store.waitForAll(.materialized, timeout: .hang)
            #expect(await eventually { store.health.verdict == .healthy }, "\(store.health.causes)")
            for round in 0..<2 {
                let found = try await posts.get(all: 0..<50).map { $0?.likes }
                #expect(found == Array(repeating: 111, count: 50), "round \(round)")
                for id in 0..<50 { try posts.evict(id) }
            }
            try await store.close()
            let inspection = try StoreInspection(path: directory.path)
            var differing: [String] = []
            _ = try DatabaseVerification(inspection) { row, _ in differing.append(row) }
            #expect(differing == [])
        }

        /// What was added is in the log alone when the process ends.
        @Test(arguments: 0..<4)
        func afterAKillEachAddCountsOnce(killedAfter: Int) async throws {
            let stepped = try SteppedStore(directory)
            let table = UInt16(try stepped.engine.declare(Tally.schema, byName: true).id)
            let names = (0..<20).map { "t\($0)" }
            let keys = try names.map { try KeyCodec.encode([.text($0)], Tally.schema) }
            for key in keys.dropLast() {
                let row = RowCodec.body([.integer(0), .integer(1), .text("put")])
                _ = try stepped.engine.write(.put, table: table, key: key.span, body: row.span)
            }
            #expect(stepped.materialize())
            for round in 0...killedAfter {
                for (amount, key) in keys.enumerated() {
                    let amounts = [0, 1].map { ColumnAmount(column: $0, amount: Int64(amount)) }
                    let add = RowCodec.encodeAdd(amounts, makesRow: true)
                    _ = try stepped.engine.write(
                        .add, table: table, key: key.span, body: add.span)
                }
                stepped.flush()
                if round % 2 == 1 { #expect(stepped.materialize()) }
            }
            let killed = try stepped.killed()
            try stepped.close()
            for round in 0..<3 {
                let store = try killed.open()
                let tallies = try store.table(Tally.self)
                let found = try await tallies.get(all: names)
                let right = names.enumerated().map { amount, name in
                    let sum = amount * (killedAfter + 1)
                    let wasThere = amount < 19
                    return Tally(
                        name: name, count: sum + round, low: sum + (wasThere ? 1 : 0),
                        note: wasThere ? "put" : "-")
                }
                #expect(found == right)
                for name in names { try tallies.add(1, to: \.count, of: name) }
                store.abandon()
            }
        }
    }
#endif
