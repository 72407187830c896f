import EventLog
import Foundation
import GRDB
import TestSupport
import Testing
import WriteBehind
import WriteBehindSQLite

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

/// The same rows, which expire by another column.
private struct RenewedSession: TableRow {
    typealias Key = String
    static let schema = WriteBehind.TableSchema(
        "session",
        [
            .key("id", .text), .column("until", .integer, nullable: true),
            .column("ends", .integer, nullable: true),
        ], expiry: "ends")
    var id: String
    var until: Int?
    var ends: Int?

    func encode(to encoder: inout RowEncoder) {
        encoder.encode(id)
        encoder.encode(until)
        encoder.encode(ends)
    }

    init(from decoder: inout RowDecoder) throws {
        id = try decoder.decode()
        until = try decoder.decode()
        ends = try decoder.decode()
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
                let ids = try await store.database.read {
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
        for number in 0..<101 {
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
        #expect(await eventually { store.quarantine.list().count == 101 })
        try await store.close()
        time.putForward(seconds: 1000)
        var environment = StoreEnvironment.machine(readers: 2)
        environment.time = time
        let reopened = try OpenStore(
            path: directory.path, configuration: StoreConfiguration(), environment: environment)
        let before = reopened.engine.log.lastSequence
        _ = try Expirer(engine: reopened.engine, batch: 100).step()
        #expect(reopened.engine.log.lastSequence == before + 1, "the other")
        try reopened.engine.log.close()
        reopened.unlock()
    }

    /// Rows that only the database has are found by its index, and not read one by one.
    @Test func manyEvictedRowsExpireInOneStepAndNoneIsReadForIt() async throws {
        let directory = TemporaryStore()
        let time = ShiftedTime()
        var environment = StoreEnvironment.machine(readers: 2)
        environment.time = time
        let count = 5000
        let (filled, sessions) = try open(directory, time)
        for number in 0..<count { try sessions.put(Session(id: "\(number)", until: now + 1000)) }
        try sessions.put(Session(id: "later", until: now + 5000))
        try await filled.close(deadline: .hang)
        time.putForward(seconds: 2000)
        let store = try OpenStore(
            path: directory.path, configuration: StoreConfiguration(), environment: environment)
        let before = store.engine.log.lastSequence
        #expect(try store.expirer.step() == false)
        #expect(store.engine.log.lastSequence == before + UInt64(count))
        #expect(store.engine.view.statistics().fills == 0)
        // The database shows them still; nothing is deleted twice.
        _ = try store.expirer.step()
        #expect(store.engine.log.lastSequence == before + UInt64(count))
        try store.engine.log.close()
        store.unlock()
    }

    /// Between the database's answer and the delete, a row may be written, and leave memory again.
    @Test(arguments: [true, false])
    func aRowThatWasProlongedSinceTheDatabaseWasAskedStays(isEvicted: Bool) async throws {
        let directory = TemporaryStore()
        let (failing, time) = (Failing(), ShiftedTime())
        let store = try directory.open(failing: failing, time: time) {
            $0.expiryInterval = .milliseconds(20)
        }
        let sessions = try store.table(Session.self)
        let until = now + 1000
        try sessions.put(Session(id: "prolonged", until: until))
        try sessions.put(Session(id: "due", until: until))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try sessions.evict("prolonged") && sessions.evict("due"))
        let hasRun = Locked(false)
        let later = now + 9000
        failing.afterReading = {
            try sessions.put(Session(id: "prolonged", until: later))
            while isEvicted, try !sessions.evict("prolonged") { usleep(1000) }
            hasRun.withLock { $0 = true }
        }
        time.putForward(seconds: 2000)
        #expect(await eventually { hasRun.withLock { $0 } })
        #expect(try await eventually { try await sessions.get("due") == nil })
        #expect(try await sessions.get("prolonged")?.until == later)
        try await store.close()
    }

    /// The database finds due rows by the column that it has, until it has come to the new definition.
    @Test func aTableThatExpiresByAnotherColumnNowLosesNoRowByTheOldOne() async throws {
        let directory = TemporaryStore()
        let (failing, time) = (Failing(), ShiftedTime())
        let store = try directory.open(failing: failing, time: time) {
            $0.expiryInterval = .milliseconds(5)
        }
        let sessions = try store.table(Session.self)
        let until = now + 1000
        try sessions.put(Session(id: "kept", until: until))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try sessions.evict("kept"))
        failing.now = SinkError(.busy, "injected")
        let renewed = try store.table(RenewedSession.self)
        time.putForward(seconds: 2000)
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await renewed.get("kept")?.until == until)
        failing.now = nil
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(try await renewed.get("kept")?.until == until)
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

    /// Where more expire than a step takes, they would grow without end.
    @Test func whereMoreIsDueThanAStepTakesTheRestDoesNotWaitForTheInterval() async throws {
        let directory = TemporaryStore()
        let time = ShiftedTime()
        var environment = StoreEnvironment.machine(readers: 2)
        environment.time = time
        let (filled, sessions) = try open(directory, time)
        for number in 0..<250 { try sessions.put(Session(id: "\(number)", until: now + 1000)) }
        try await filled.close(deadline: .hang)
        time.putForward(seconds: 2000)
        let store = try OpenStore(
            path: directory.path, configuration: StoreConfiguration(), environment: environment)
        let before = store.engine.log.lastSequence
        let full = Expirer(engine: store.engine, batch: 100)
        #expect(try full.work(interval: 60_000_000_000, shortInterval: 1) == 1)
        #expect(store.engine.log.lastSequence == before + 100)
        let last = Expirer(engine: store.engine, batch: 1000)
        #expect(try last.work(interval: 60_000_000_000, shortInterval: 1) == 60_000_000_000)
        #expect(store.engine.log.lastSequence == before + 250)
        // Woken before its time, it frees what clears left, and deletes nothing.
        #expect(try last.work(interval: 60_000_000_000, shortInterval: 1) > 1)
        try store.engine.log.close()
        store.unlock()
    }
}
