import Foundation
import TestSupport
import Testing
import WriteBehind

/// After `close` the directory may be removed, its file system unmounted, or another process may take it, while
/// the store's own value still exists.
@Suite struct StoreFilesTests {
    private func use(_ store: Store) async throws {
        let players = try store.table(Player.self)
        for id in 0..<500 { try players.put(Player(id: id, name: "p\(id)", score: id)) }
        _ = try await players.update(5) { $0.team = "red" }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await players.get(7) != nil)
        try await store.snapshot()
        #expect(try await players.history(of: 5).count == 2)
    }

    @Test func aClosedStoreHasNoFileOpen() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        try await use(store)
        #expect(!OpenFiles.below(directory.path).isEmpty)
        try await store.close(deadline: .hang)
        #expect(OpenFiles.below(directory.path) == [])
        withExtendedLifetime(store) {}
    }

    @Test func thePastOfAClosedStoreIsClosedToo() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        try await use(store)
        let players = try store.table(Player.self)
        try await store.close(deadline: .hang)
        let reads: [(String, () async throws -> Void)] = [
            ("history", { _ = try await players.history(of: 5) }),
            ("the row of a moment", { _ = try await players.get(5, asOf: .sequence(3)) }),
            ("marks", { _ = try await store.marks() }),
            ("snapshots", { _ = try await store.snapshots() }),
            ("a snapshot", { _ = try await store.snapshot() }),
        ]
        for (what, read) in reads {
            guard case .closed = await storeError(read) else {
                Issue.record("\(what) is not closed")
                continue
            }
        }
    }
}
