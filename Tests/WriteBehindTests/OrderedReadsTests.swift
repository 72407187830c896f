import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// Rows in the order of an index, while the store writes.
@Suite struct OrderedReadsTests {
    @Test func aReadSeesEveryWriteThatReturned() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        var rows: [Int: Score] = [:]
        for id in 0..<60 {
            rows[id] = Score(id, id * 7 % 20, team: ["a", "b", nil][id % 3])
            try scores.put(rows[id]!)
        }
        try await store.expectIndices(of: scores, toHold: rows)
        #expect(try await scores.top(3, by: "points").map(\.points) == [19, 19, 19])
        try scores.delete(7)
        rows[7] = nil
        try await scores.update(8) { $0.points = -5 }
        rows[8]?.points = -5
        try await scores.increment(9, "points", by: 1_000)
        rows[9]?.points += 1_000
        try await scores.update(10) { $0.team = "z" }
        rows[10]?.team = "z"
        #expect(try await scores.top(1, by: "points") == [rows[9]!])
        #expect(try await scores.bottom(1, by: "points") == [rows[8]!])
        try await store.expectIndices(of: scores, toHold: rows)
        try scores.clear()
        #expect(try await scores.top(1, by: "points") == [])
        try scores.put(Score(1, 1))
        try await store.expectIndices(of: scores, toHold: [1: Score(1, 1)])
        try await store.close(deadline: .hang)
    }

    @Test func ranksCountFromTheHighestAndBackwardsAmongEquals() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        for (id, points) in [(1, 5), (2, 9), (3, 5), (4, 1)] { try scores.put(Score(id, points)) }
        #expect(try await scores.rank(of: 2, by: "points") == 0)
        #expect(try await scores.rank(of: 3, by: "points") == 1)
        #expect(try await scores.rank(of: 1, by: "points") == 2)
        #expect(try await scores.rank(of: 4, by: "points", order: .ascending) == 0)
        #expect(try await scores.rank(of: 99, by: "points") == nil)
        let around = try await scores.around(1, by: "points", count: 1)
        #expect(around.map(\.rank) == [1, 2, 3])
        #expect(around.map(\.row.id) == [3, 1, 4])
        #expect(try await scores.around(2, by: "points", count: 2).map(\.row.id) == [2, 3, 1])
        #expect(
            try await scores.around(4, by: "points", count: 1, order: .ascending).map(\.row.id)
                == [4, 1])
        #expect(try await scores.around(99, by: "points", count: 1).isEmpty)
        try await store.close(deadline: .hang)
    }

    @Test func aRangeHasBothItsEndsInBothDirections() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        for id in 0..<50 { try scores.put(Score(id, id / 5, team: id % 2 == 0 ? "even" : nil)) }
        func points(_ order: ReadOrder, _ from: Int?, _ through: Int?) async throws -> [Int] {
            let bound = { (value: Int?) in value.map { [StoredValue.integer(Int64($0))] } }
            return try await scores.range(
                in: "points", from: bound(from), through: bound(through), order: order, limit: 100
            ).rows.map(\.id)
        }
        #expect(try await points(.ascending, 3, 4) == Array(15..<25))
        #expect(try await points(.descending, 4, 3) == Array((15..<25).reversed()))
        #expect(try await points(.ascending, 4, 3) == [])
        #expect(try await points(.ascending, 9, nil) == Array(45..<50))
        #expect(try await points(.descending, 0, nil) == [4, 3, 2, 1, 0])
        let first = try await scores.range(
            in: "byTeam", from: [.text("even")], through: [.text("even"), .integer(2)], limit: 4)
        #expect(first.rows.map(\.id) == [0, 2, 4, 6])
        let cursor = first.next.flatMap { IndexCursor("\($0)") }
        #expect(cursor != nil)
        let rest = try await scores.range(
            in: "byTeam", from: [.text("even")], through: [.text("even"), .integer(2)], limit: 40,
            after: cursor)
        #expect(rest.rows.map(\.id) == [8, 10, 12, 14])
        #expect(rest.next == nil)
        #expect(try await scores.count(in: "byTeam", from: [.null], through: [.null]) == 25)
        #expect(try await scores.count(in: "points") == 50)
        try await store.close(deadline: .hang)
    }

    @Test func aCursorGoesOnWhereItsRowWas() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        for id in 0..<20 { try scores.put(Score(id, id)) }
        let page = try await scores.range(in: "points", order: .descending, limit: 5)
        #expect(page.rows.map(\.id) == [19, 18, 17, 16, 15])
        try scores.delete(15)
        try scores.put(Score(100, 15))
        try scores.put(Score(14, 90))
        let next = try await scores.range(
            in: "points", order: .descending, limit: 3, after: page.next)
        #expect(next.rows.map(\.id) == [13, 12, 11])
        try await store.close(deadline: .hang)
    }

    @Test func aScanReturnsAllRowsAPartAtATime() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        for id in 0..<1_000 { try scores.put(Score(id, id * 7919 % 1_000)) }
        var read: [Int] = []
        for try await score in scores.rows(order: "points", .descending) {
            read.append(score.points)
        }
        #expect(read == Array((0..<1_000).reversed()))
        try await store.close(deadline: .hang)
    }

    @Test func rowsThatLeftMemoryStayInTheOrder() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        var rows: [Int: Score] = [:]
        for id in 0..<40 {
            rows[id] = Score(id, id, team: "t")
            try scores.put(rows[id]!)
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        for id in 0..<40 { #expect(try scores.evict(id)) }
        // Blind writes of rows that are not in memory must find their entries.
        try scores.put(Score(3, 77))
        rows[3] = Score(3, 77)
        try scores.delete(4)
        rows[4] = nil
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    @Test func aCommitIsSeenWholeOrNotAtAll() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        try scores.put(contentsOf: (0..<50).map { Score($0, 0, team: "old") })
        try await store.waitForIndices()
        let index = try #require(store.engine.indices.all.first { $0.definition.name == "points" })
        let isDone = Locked(false)
        let writer = Task.detached {
            for round in 1...300 {
                try scores.put(contentsOf: (0..<50).map { Score($0, round, team: "\(round)") })
            }
            isDone.withLock { $0 = true }
        }
        while !isDone.withLock({ $0 }) {
            let read = try index.readIfReady { entries -> Set<[UInt8]> in
                let all = entries.entries(IndexPart(), limit: 50)
                return Set((0..<all.count).map { Array(all.position($0).prefix(8)) })
            }
            #expect(read?.count == 1)
        }
        try await writer.value
        try await store.close(deadline: .hang)
    }

    @Test func manyWritersLeaveWhatTheirRowsAre() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    var random = SeededRandom(seed: UInt64(writer))
                    for _ in 0..<3_000 {
                        let id = Int.random(in: 0..<200, using: &random)
                        let points = Int.random(in: 0..<30, using: &random)
                        if points == 0 {
                            _ = try? scores.delete(id)
                        } else {
                            _ = try? scores.put(Score(id, points, team: "t\(points % 3)"))
                        }
                    }
                }
            }
        }
        var rows: [Int: Score] = [:]
        for id in 0..<200 { rows[id] = try await scores.get(id) }
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    @Test func whatHasNoIndexSaysSo() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let scores = try store.table(Score.self)
        let error = await storeError { _ = try await scores.top(1, by: "team") }
        #expect(
            "\(try #require(error))".contains("has no index \"team\": mark the property @Index"))
        let unfit = await storeError {
            _ = try await scores.range(in: "points", from: [.text("a")], limit: 1)
        }
        guard case .row? = unfit else {
            Issue.record("\(String(describing: unfit))")
            return
        }
        try await store.close(deadline: .hang)
    }

    @Test func anIndexThatOutgrowsItsMemoryStopsAndWritesGoOn() async throws {
        let directory = TemporaryStore()
        var store = try directory.open { $0.indexLimit = 1 << 20 }
        var scores = try store.table(Score.self)
        for id in 0..<30_000 { try scores.put(Score(id, id)) }
        let error = await storeError { _ = try await scores.top(1, by: "points") }
        guard case .indexUnavailable("score", "points", let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("raise indexLimit"))
        #expect(try await scores.get(29_999) == Score(29_999, 29_999))
        #expect(store.health.causes.contains { $0.contains("raise indexLimit") })
        try await store.close(deadline: .hang)
        store = try directory.open()
        scores = try store.table(Score.self)
        #expect(try await scores.top(1, by: "points") == [Score(29_999, 29_999)])
        try await store.waitForIndices()
        #expect(store.health.indices.map(\.rows) == [30_000, 30_000])
        try await store.close(deadline: .hang)
    }

    @Test func anExpiredRowLeavesTheOrderWhenItIsDeleted() async throws {
        struct Lease: TableRow {
            typealias Key = Int
            static let schema = WriteBehind.TableSchema(
                "lease", [.key("id", .integer), .column("until", .integer)], expiry: "until",
                indices: [IndexDefinition("until")])
            var id: Int
            var until: Int
            init(_ id: Int, until: Int) { (self.id, self.until) = (id, until) }
            func encode(to encoder: inout RowEncoder) {
                encoder.encode(id)
                encoder.encode(until)
            }
            init(from decoder: inout RowDecoder) throws {
                id = try decoder.decode()
                until = try decoder.decode()
            }
        }
        let directory = TemporaryStore()
        let store = try directory.open { $0.expiryInterval = .milliseconds(20) }
        let leases = try store.table(Lease.self)
        let now = Int(Date().timeIntervalSince1970)
        for id in 0..<10 { try leases.put(Lease(id, until: id < 5 ? now - 10 : now + 3600)) }
        #expect(
            try await eventually {
                try await leases.bottom(10, by: "until").map(\.id) == Array(5..<10)
            })
        // A row that is gone is left out of what is read, whether or not the index still has it.
        #expect(await eventually { store.health.indices.map(\.rows) == [5] })
        try await store.close(deadline: .hang)
    }
}
