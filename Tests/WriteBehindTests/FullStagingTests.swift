import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

/// Writes wait while staging has no room, as long as the disk takes nothing. Nothing else waits with them.
@Suite struct FullStagingTests {
    /// A disk that takes nothing until it is let go.
    private final class Stall: Sendable {
        private let state = Locked((waiting: 0, isOver: false))
        private let end = DispatchSemaphore(value: 0)

        /// How many writes have found no room.
        var waiting: Int { state.withLock { $0.waiting } }
        var isOver: Bool { state.withLock { $0.isOver } }

        func open(_ directory: TemporaryStore) throws -> Store {
            var configuration = StoreConfiguration.forTools
            configuration.cacheLimit = 16 << 20
            configuration.stagingSlots = 2
            configuration.stagingSlotSize = 1 << 20
            var environment = StoreEnvironment.machine(configuration)
            environment.waitForRoom = { [state] log, ticket in
                state.withLock { $0.waiting += 1 }
                log.waitForRoom(ticket)
            }
            environment.startThread = { [end] (name, body) throws(NoThread) in
                try NamedThread.start(named: name) {
                    if name == "wb-flusher" { end.wait() }
                    body()
                }
            }
            return try Store(
                at: directory.path, configuration: configuration, environment: environment)
        }

        func letGo() {
            state.withLock { $0.isOver = true }
            end.signal()
        }
    }

    /// Runs on a thread of its own, which may wait. Returns whether it has ended without an error.
    private func start(_ body: @escaping @Sendable () throws -> Void) -> Locked<Bool> {
        let isDone = Locked(false)
        Thread {
            do {
                try body()
                isDone.withLock { $0 = true }
            } catch {
                Issue.record(error)
            }
        }
        .start()
        return isDone
    }

    private func ends(_ thread: Locked<Bool>) async -> Bool {
        await eventually(within: 20) { thread.withLock { $0 } }
    }

    /// Writes one row until a write waits for room. Returns the thread, which goes on when there is room.
    private func fill(_ store: Store, _ stall: Stall) async throws -> Locked<Bool> {
        let players = try store.table(Player.self)
        let filling = start {
            while !stall.isOver { try players.put(Player(id: 1, name: "Ada")) }
        }
        try #require(await eventually { stall.waiting == 1 })
        return filling
    }

    @Test func healthAndOtherCallsDoNotWaitForATableThatIsDeclared() async throws {
        let directory = TemporaryStore()
        let stall = Stall()
        let store = try stall.open(directory)
        let filling = try await fill(store, stall)
        let declaring = start {
            let badges = try store.table(Badge.self)
            try badges.put(Badge(name: "star"))
        }
        #expect(await eventually { stall.waiting == 2 })
        let looking = start {
            #expect(store.engine.tables.tables.map(\.schema.name) == ["player"])
            #expect(store.health.verdict != .closed)
            let players = try store.table(Player.self)
            #expect(try players.cached(1)?.name == "Ada")
        }
        #expect(await ends(looking))
        stall.letGo()
        for thread in [filling, declaring, looking] { #expect(await ends(thread)) }
        #expect(try store.table(Badge.self).cached("star") == Badge(name: "star"))
        try await store.close(deadline: .hang)
    }

    /// Both find that there is no room, and try again when there is.
    @Test func twoCallsThatDeclareTheSameTableAreOneDefinition() async throws {
        let directory = TemporaryStore()
        let stall = Stall()
        let store = try stall.open(directory)
        let filling = try await fill(store, stall)
        let declaring = [
            start { _ = try store.table(Badge.self) }, start { _ = try store.table(Badge.self) },
        ]
        #expect(await eventually { stall.waiting == 3 })
        let other = start { _ = try store.table(BadgeWithColour.self) }
        #expect(await eventually { stall.waiting == 4 })
        stall.letGo()
        for thread in declaring + [filling, other] { #expect(await ends(thread)) }
        let badges = try #require(store.engine.tables["badge"])
        #expect(badges.schema.columns.map(\.name) == ["name", "colour"])
        try await store.close(deadline: .hang)
        let definitions = try directory.records().filter { $0.operation == .define }
        #expect(definitions.count == 1 + Int(badges.revision))
    }

    @Test func anInsertThatReservesIdsHoldsUpNoneThatHasSome() async throws {
        let directory = TemporaryStore()
        let stall = Stall()
        let store = try stall.open(directory)
        _ = try store.table(Badge.self)
        let (badges, players) = (UInt16(1), UInt16(2))
        #expect(try store.engine.nextKey(of: badges, past: 0) == 1)
        let filling = try await fill(store, stall)
        let given = Locked<Int64>(0)
        let reserving = start {
            let id = try store.engine.nextKey(of: players, past: 0)
            given.withLock { $0 = id }
        }
        #expect(await eventually { stall.waiting == 2 })
        let other = start {
            let id = try store.engine.nextKey(of: badges, past: 0)
            #expect(id == 2)
            _ = store.health
        }
        #expect(await ends(other))
        stall.letGo()
        for thread in [filling, reserving, other] { #expect(await ends(thread)) }
        #expect(given.withLock { $0 } == 1)
        try await store.close(deadline: .hang)
    }
}
