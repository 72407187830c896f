import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind

/// A row that is deleted when its time has come.
struct Session: TableRow, Equatable {
    typealias Key = String
    static let schema = WriteBehind.TableSchema(
        "session",
        [.key("id", .text), .column("until", .integer, nullable: true)], expiry: "until")
    var id: String
    var until: Int?

    init(id: String, until: Int?) {
        (self.id, self.until) = (id, until)
    }

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(until)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        until = try decoder.decode()
    }
}

/// The machine's time, with a wall clock that is put forward.
private final class ShiftedTime: TimeSource {
    private let shift = Locked<UInt64>(0)

    func monotonicNanoseconds() -> UInt64 { SystemTime().monotonicNanoseconds() }
    func wallMilliseconds() -> UInt64 { SystemTime().wallMilliseconds() + shift.withLock { $0 } }
    func putForward(seconds: UInt64) { shift.withLock { $0 += seconds * 1000 } }
}

@Suite struct StoreExpiryTests {
    private func open(
        _ directory: TemporaryStore, _ time: ShiftedTime,
        _ configure: (inout StoreConfiguration) -> Void = { _ in }
    ) throws -> (Store, StoredTable<Session>) {
        var environment = StoreEnvironment.machine(readers: 2)
        environment.time = time
        var configuration = StoreConfiguration()
        configuration.expiryInterval = .milliseconds(20)
        configure(&configuration)
        let store = try Store(
            at: directory.path, configuration: configuration, environment: environment)
        return (store, try store.table(Session.self))
    }

    private var now: Int { Int(Date().timeIntervalSince1970) }

    @Test func dueRowsAreDeletedFromMemoryAndDatabaseAndProlongedOnesStay() async throws {
        let directory = TemporaryStore()
        let time = ShiftedTime()
        let (store, sessions) = try open(directory, time)
        try sessions.put(Session(id: "always", until: nil))
        for id in ["cached", "evicted", "prolonged"] {
            try sessions.put(Session(id: id, until: now + 1000))
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try sessions.evict("evicted"), "only the database has it now")
        let later = now + 9000
        _ = try await sessions.update("prolonged") { $0.until = later }
        time.putForward(seconds: 2000)
        #expect(
            try await eventually {
                try await store.waitForAll(.materialized, timeout: .hang)
                let ids = try await store.database?.read {
                    try String.fetchAll($0, sql: "SELECT id FROM session ORDER BY id")
                }
                return ids == ["always", "prolonged"]
            })
        #expect(try await sessions.get("cached") == nil)
        #expect(try await sessions.get("evicted") == nil)
        #expect(try await sessions.get("prolonged")?.until == later)
        #expect(store.health.verdict == .healthy)
        try await store.close()
        #expect(try directory.records().filter { $0.operation == .delete }.count == 2)
    }

    @Test func aTableThatTheDatabaseDoesNotHaveYetExpiresFromMemory() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        failing.now = SinkError(.busy, "injected")
        let store = try directory.open(failing: failing) { $0.expiryInterval = .milliseconds(5) }
        let sessions = try store.table(Session.self)
        try sessions.put(Session(id: "past", until: now - 1))
        #expect(try await eventually { try sessions.cached("past") == nil })
        #expect(!store.health.causes.contains { $0.contains("died") })
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(await eventually { store.health.verdict == .healthy })
        try await store.close()
    }

    /// They stay in the database, and come first of what is due there.
    @Test func rowsWhoseDeletesAreInQuarantineKeepNoOthersFromExpiring() async throws {
        let directory = TemporaryStore()
        let time = ShiftedTime()
        let (store, sessions) = try open(directory, time)
        for number in 0..<1001 {
            try sessions.put(Session(id: "stay \(number)", until: now + 1000))
        }
        try sessions.put(Session(id: "other", until: now + 1500))
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user(
            """
            CREATE TRIGGER stay BEFORE DELETE ON session WHEN old.id LIKE 'stay%'
            BEGIN SELECT RAISE(ABORT, 'it stays'); END
            """)
        time.putForward(seconds: 1200)
        #expect(await eventually { store.quarantine.list().count == 1001 })
        #expect(try sessions.evict("other"), "only the database has it now")
        time.putForward(seconds: 1000)
        let isGone = try await eventually {
            try await store.database?.read {
                try Int.fetchOne($0, sql: "SELECT count(*) FROM session WHERE id = 'other'")
            } == 0
        }
        #expect(isGone)
        try await store.close()
    }

    /// More deletes than the log's buffer takes: they wait for room that the flusher makes.
    @Test func closingWhileRowsExpireEnds() async throws {
        let directory = TemporaryStore()
        let time = ShiftedTime()
        let (store, sessions) = try open(directory, time) {
            $0.stagingSlots = 2
            $0.stagingSlotSize = 64 << 10
        }
        for number in 0..<20_000 { try sessions.put(Session(id: "\(number)", until: now + 1000)) }
        time.putForward(seconds: 2000)
        #expect(try await eventually { try sessions.cached("0") == nil })
        let isClosed = Locked(false)
        Task {
            try await store.close(deadline: .zero)
            isClosed.withLock { $0 = true }
        }
        #expect(await eventually { isClosed.withLock { $0 } })
    }

    /// A step takes a thousand; where more expire a second than that, they would grow without end.
    @Test func whereMoreIsDueThanAStepTakesTheRestDoesNotWaitForTheInterval() async throws {
        let directory = TemporaryStore()
        let time = ShiftedTime()
        let (filled, sessions) = try open(directory, time)
        for number in 0..<2500 { try sessions.put(Session(id: "\(number)", until: now + 1000)) }
        try await filled.close(deadline: .hang)
        time.putForward(seconds: 2000)
        let (store, _) = try open(directory, time) { $0.expiryInterval = .seconds(3600) }
        let areGone = try await eventually(within: 60) {
            try await store.database?.read {
                try Int.fetchOne($0, sql: "SELECT count(*) FROM session")
            } == 0
        }
        #expect(areGone)
        try await store.close()
    }
}
