import Logging
import ServiceLifecycle
import Testing
import WriteBehind
import WriteBehindTesting

/// A store in a service group. `Store+Service.swift` is compiled into these tests: only with its trait it is part of the library.
@Suite(.timeLimit(.minutes(10))) struct ServiceTests {
    /// Writes when the group shuts down already, as a server does for its last requests.
    private struct Writer: Service {
        let table: StoredTable<KeyValue>
        let started: AsyncStream<Void>.Continuation

        func run() async throws {
            started.finish()
            try await gracefulShutdown()
            try await Task.sleep(for: .milliseconds(50))
            try table.put(KeyValue(key: "the last request", value: []))
        }
    }

    private struct Broken: Service, Error {
        func run() async throws { throw self }
    }

    private func isThere(_ key: String, in store: Store) async throws -> Bool {
        try await store.keyValues().get(key) != nil
    }

    @Test func aGroupClosesTheStoreAfterTheServicesThatUseIt() async throws {
        let store = try Store.inMemory()
        let (starting, started) = AsyncStream<Void>.makeStream()
        let writer = Writer(table: try store.keyValues(), started: started)
        let group = ServiceGroup(services: [store, writer], logger: Logger(label: "test"))
        async let running: Void = group.run()
        for await _ in starting {}
        #expect(store.health.verdict < .failed)
        await group.triggerGracefulShutdown()
        try await running
        #expect(store.health.verdict == .closed)
        #expect(store.health.lag.records == 0)
        #expect(try await isThere("the last request", in: store.crash()))
    }

    @Test func aGroupThatIsCancelledClosesTheStoreToo() async throws {
        let store = try Store.inMemory()
        try store.keyValues().put(KeyValue(key: "hello", value: []))
        let group = ServiceGroup(services: [store, Broken()], logger: Logger(label: "test"))
        await #expect(throws: Broken.self) { try await group.run() }
        #expect(store.health.verdict == .closed)
        #expect(store.health.lag.records == 0)
    }

    @Test func aLockedDatabaseDelaysTheEndOnlyUntilTheDeadline() async throws {
        var configuration = StoreConfiguration()
        configuration.closeDeadline = .seconds(20)
        let store = try Store.inMemory(configuration: configuration)
        try store.keyValues().put(KeyValue(key: "hello", value: []))
        store.fail(.database(.busy))
        let start = store.clock.now
        let group = ServiceGroup(services: [store, Broken()], logger: Logger(label: "test"))
        await #expect(throws: Broken.self) { try await group.run() }
        let time = start.duration(to: store.clock.now)
        #expect(time >= .seconds(20) && time < .seconds(25))
        #expect(store.health.verdict == .closed)
        #expect(try await isThere("hello", in: store.crash()))
    }
}
