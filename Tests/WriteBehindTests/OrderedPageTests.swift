import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind

/// A row that does something the first time that it is read.
private struct Mover: TableRow {
    typealias Key = Int
    static let schema = WriteBehind.TableSchema(
        "mover", [.key("id", .integer), .column("points", .integer)],
        indices: [IndexDefinition("points")])
    static let whenRead = Locked<(@Sendable () -> Void)?>(nil)
    var id: Int
    var points: Int

    init(_ id: Int, _ points: Int) { (self.id, self.points) = (id, points) }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(points)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        points = try decoder.decode()
        Self.whenRead.withLock { $0.take() }?()
    }
}

/// Does something once, when the next row was decoded.
private func whenRead(_ body: @escaping @Sendable () -> Void) {
    Mover.whenRead.withLock { $0 = body }
}

/// The pages of ordered reads. A call may read the index more than once.
@Suite(.serialized) struct OrderedPageTests {
    private let directory = TemporaryStore()

    private func open(_ rows: Int) throws -> (Store, StoredTable<Mover>) {
        let store = try directory.open()
        let movers = try store.table(Mover.self)
        try movers.put(contentsOf: (1...rows).map { Mover($0, $0) })
        return (store, movers)
    }

    /// The call reads 1,024 entries at a time.
    @Test(arguments: [ReadOrder.ascending, .descending])
    func aRowThatMovesWhileACallReadsIsReturnedOnce(_ order: ReadOrder) async throws {
        let count = 1_100
        let (store, movers) = try open(count)
        let first = order == .ascending ? 1 : count
        try await store.waitForIndices()
        whenRead { _ = try? movers.put(Mover(first, order == .ascending ? count + 1 : 0)) }
        let rows = try await movers.range(in: "points", order: order, limit: count + 10)
        #expect(rows.rows.map(\.id).count == count)
        #expect(Set(rows.rows.map(\.id)).count == count, "each once")
        #expect(rows.next == nil)
        try await store.close(deadline: .hang)
    }

    /// Two of the rows are deleted, so the call goes on for others.
    @Test func aRowThatMovesIsReturnedOnceOfAFewRowsToo() async throws {
        let (store, movers) = try open(7)
        try await store.waitForIndices()
        whenRead {
            for id in 4...5 { _ = try? movers.delete(id) }
            _ = try? movers.put(Mover(7, 0))
        }
        #expect(try await movers.top(6, by: "points").map(\.id) == [7, 6, 3, 2, 1])
        try await store.close(deadline: .hang)
    }

    /// A row that was not there the first time was not returned.
    @Test func aRowThatIsPutBackIsReturned() async throws {
        let (store, movers) = try open(7)
        try await store.waitForIndices()
        // The rows are read in the order 7, 6, 3, 2.
        whenRead {
            for id in 4...5 { _ = try? movers.delete(id) }
            whenRead { whenRead { _ = try? movers.put(Mover(5, 0)) } }
        }
        #expect(try await movers.top(6, by: "points").map(\.id) == [7, 6, 3, 2, 1, 5])
        try await store.close(deadline: .hang)
    }

    @Test(arguments: [1, 5, 1_024, 1_025, 2_048])
    func thereIsNoNextPageBehindTheLastRow(count: Int) async throws {
        let (store, movers) = try open(count)
        for order in [ReadOrder.ascending, .descending] {
            let all = try await movers.range(in: "points", order: order, limit: count)
            #expect(all.rows.count == count)
            #expect(all.next == nil)
            guard count > 1 else { continue }
            let some = try await movers.range(in: "points", order: order, limit: count - 1)
            #expect(some.rows.count == count - 1)
            let cursor = try #require(some.next)
            let rest = try await movers.range(
                in: "points", order: order, limit: 1, after: cursor)
            #expect(rest.rows.map(\.id) == [order == .ascending ? count : 1])
            #expect(rest.next == nil)
            // The end of a part is one as well.
            let part = try await movers.range(
                in: "points", from: [.integer(1)], through: [.integer(Int64(count - 1))],
                limit: count - 1)
            #expect(part.rows.count == count - 1)
            #expect(part.next == nil)
        }
        try await store.close(deadline: .hang)
    }
}
