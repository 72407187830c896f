#if Macros
    import EventLog
    import Foundation
    import GRDB
    import TestSupport
    import Testing
    import WriteBehind

    /// Ordered reads and change streams of a table whose columns change meanwhile.
    @Suite struct ChangedOrderTests {
        @Table("run") struct First: Equatable {
            var id: Int
            @Index var points = 0
            @Index var lap = 1
            var note = "-"
        }

        @Table("run", dropping: "note") struct Second: Equatable {
            var id: Int
            @Column(formerly: "points") @Index var score = 0.0
            @Index var lap: Int?
        }

        @Table("run", dropping: "note", "lap") struct Third: Equatable {
            var id: Int
            @Column(formerly: "points") @Index var score = 0.0
        }

        /// The next integer is none that a double can be.
        static let large = 9_007_199_254_740_992

        private let directory = TemporaryStore()

        @Test func anIndexHasRowsFromBeforeAndAfterAChangeInOneOrder() async throws {
            var store = try directory.open()
            let first = try store.table(First.self)
            for (id, points) in [(1, 3), (2, Self.large + 1), (3, -2)] {
                try first.put(First(id: id, points: points))
            }
            #expect(try await first.bottom(9, by: \.points).map(\.id) == [3, 1, 2])
            let second = try store.table(Second.self)
            try second.put(Second(id: 4, score: 3, lap: 2))
            try second.put(Second(id: 5, score: 2.5, lap: nil))
            try second.put(Second(id: 6, score: Double(Self.large), lap: 2))
            // A handle from before writes an integer where reals are by now.
            try first.put(First(id: 7, points: 3))
            let order = [3, 5, 1, 4, 7, 2, 6]
            #expect(try await second.bottom(9, by: \.score).map(\.id) == order)
            #expect(try await second.bottom(2, by: \.lap).map(\.id) == [5, 1])
            let range = try await second.range(in: \.score, from: 2.5, through: 3, limit: 9)
            #expect(range.rows.map(\.id) == [5, 1, 4, 7])
            // It still calls the column as it was called.
            #expect(try await first.rank(of: 1, by: \.points, order: .ascending) == 2)
            try await second.update(1) { $0.score = 4 }
            #expect(try await first.rank(of: 1, by: \.points, order: .ascending) == 4)
            try await store.waitForAll(.materialized, timeout: .hang)
            let stored = try await store.database.read { db in
                try Int.fetchAll(db, sql: "SELECT id FROM run ORDER BY score, id")
            }
            #expect(stored == [3, 5, 4, 7, 1, 2, 6])
            #expect(try await second.bottom(9, by: \.score).map(\.id) == stored)
            try await store.close(deadline: .hang)
            store = try directory.open()
            let again = try store.table(Second.self)
            #expect(try await again.bottom(9, by: \.score).map(\.id) == stored)
            #expect(try await again.bottom(2, by: \.lap).map(\.id) == [5, 1])
            try await store.close(deadline: .hang)
        }

        @Test func anOlderProgramGivesBoundsAsIntegers() async throws {
            let store = try directory.open()
            let first = try store.table(First.self)
            for id in 1...4 { try first.put(First(id: id, points: id)) }
            let second = try store.table(Second.self)
            try second.put(Second(id: 5, score: 2.5, lap: nil))
            // It could not read the row with 2.5.
            let range = try await first.range(in: \.points, from: 3, through: 4, limit: 9)
            #expect(range.rows.map(\.id) == [3, 4])
            #expect(try await first.count(in: \.points, of: 4) == 1)
            #expect(
                try await first.count(
                    in: "points", from: [.integer(2)], through: [.integer(3)]) == 3)
            let error = await storeError {
                _ = try await second.count(in: "score", from: [.text("a")])
            }
            #expect("\(try #require(error))".contains("score"))
            try await store.close(deadline: .hang)
        }

        @Table("pair") struct Pair {
            var id: Int
            @Index var first = 0
            @Index var second = 0
        }

        @Table("pair") struct LoosePair {
            var id: Int
            @Index var first: Int?
            @Index var second = 0
        }

        /// A write locks all indices of its table. The index over the first column is built again, and gets a higher number.
        @Test func writesLockIndicesInOneOrderAfterOneIsBuiltAgain() async throws {
            let store = try directory.open()
            try store.table(Pair.self).put(Pair(id: 0))
            let pairs = try store.table(LoosePair.self)
            let table = try #require(store.engine.tables["pair"]?.id)
            let numbers = store.engine.indices.indices(of: UInt16(table)).map(\.number)
            #expect(numbers == numbers.sorted() && numbers.count == 2)
            let done = Locked(0)
            for writer in 0..<4 {
                Thread {
                    for id in 0..<5_000 {
                        let pair = LoosePair(id: id, first: writer, second: id)
                        if writer % 2 == 0 {
                            _ = try? pairs.put(pair)
                        } else {
                            _ = try? store.transaction { try $0.put(pair, in: pairs) }
                        }
                    }
                    done.withLock { $0 += 1 }
                }
                .start()
            }
            // Writers that wait for each other never end, and nor would a close.
            try #require(await eventually(within: 60) { done.withLock { $0 } == 4 })
            try await store.close(deadline: .hang)
        }

        @Test func aProgramFromBeforeARenameHasItsIndex() async throws {
            var store = try directory.open()
            try store.table(Named.self).put(Named(id: 1, name: "b"))
            try store.table(Titled.self).put(Titled(id: 2, title: "a"))
            try await store.close(deadline: .hang)
            store = try directory.open()
            let named = try store.table(Named.self)
            #expect(try await named.bottom(9, by: \.name).map(\.name) == ["a", "b"])
            try await store.close(deadline: .hang)
        }

        @Table("named") struct Named: Equatable {
            var id: Int
            @Index var name = ""
        }

        @Table("named") struct Titled: Equatable {
            var id: Int
            @Column(formerly: "name") @Index var title = ""
        }

        @Test func theIndexOfADroppedColumnEnds() async throws {
            let store = try directory.open()
            let second = try store.table(Second.self)
            try second.put(Second(id: 1, score: 1, lap: 1))
            #expect(try await second.top(1, by: \.lap).count == 1)
            let third = try store.table(Third.self)
            try third.put(Third(id: 2, score: 2))
            let error = await storeError { _ = try await second.top(1, by: \.lap) }
            guard case .noIndex(table: "run", index: "lap")? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await third.top(9, by: \.score).map(\.id) == [2, 1])
            #expect(store.health.verdict == .healthy, "\(store.health.causes)")
            try await store.close(deadline: .hang)
        }

        @Test func aStreamDeliversWhatWasWrittenBeforeAsTheTableIsNow() async throws {
            let store = try directory.open()
            let first = try store.table(First.self)
            let stream = store.changes(of: first, named: "first")
            try first.put(First(id: 1, points: 3, note: "n"))
            try await first.update(1) { $0.note = "other" }
            let second = try store.table(Second.self)
            try second.put(Second(id: 2, score: 0.5, lap: nil))
            try first.put(First(id: 3, points: 7))

            // Each consumer has a name of its own, and calls the columns as its type does.
            let third = try store.table(Third.self)
            let later = store.changes(of: third, named: "third", from: .oldest)
            let old = try await take(4, of: stream)
            let new = try await take(4, of: later)

            #expect(try old[0].columns == ["points": .real(3)])
            #expect(try old.map { try $0["points"] } == [.real(3), nil, .real(0.5), .real(7)])
            #expect(try old[0][\.points] == 3)
            #expect(
                try new.map { try $0.columns } == [
                    ["score": .real(3)], [:], ["score": .real(0.5)], ["score": .real(7)],
                ])
            #expect(try new.map { try $0[\.score] } == [3, nil, 0.5, 7])
            #expect(try new[0].new == Third(id: 1, score: 3))
            #expect(try new[3].new == Third(id: 3, score: 7))
            try await store.close(deadline: .hang)
        }

        private func take<Row>(
            _ count: Int, of stream: RowChanges<Row>
        ) async throws -> [RowChange<Row>] {
            var changes: [RowChange<Row>] = []
            var iterator = stream.makeAsyncIterator()
            while changes.count < count, let change = try await iterator.next() {
                changes.append(change)
            }
            return changes
        }
    }
#endif
