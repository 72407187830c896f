import EventLog
import Foundation
import TestSupport
import Testing
import WriteBehind
import WriteBehindInspection
import WriteBehindSQLite

/// Indices of tables that have rows already: what is built of the database, the log and quarantine.
@Suite struct IndexBuildingTests {
    /// The same table without indices.
    struct Plain: TableRow {
        typealias Key = Int
        static let schema = WriteBehind.TableSchema("score", Score.schema.columns)
        var score: Score
        func encode(to encoder: inout RowEncoder) { score.encode(to: &encoder) }
        init(_ score: Score) { self.score = score }
        init(from decoder: inout RowDecoder) throws { score = try Score(from: &decoder) }
    }

    /// A store whose database has rows, and the table of them without indices.
    private func filled(
        _ directory: TemporaryStore, _ failing: Failing, _ rows: some Sequence<Score>
    ) async throws -> (Store, StoredTable<Plain>) {
        let store = try directory.open(failing: failing)
        let plain = try store.table(Plain.self)
        for score in rows { try plain.put(Plain(score)) }
        try await store.waitForAll(.materialized, timeout: .hang)
        return (store, plain)
    }

    @Test func anIndexOfADatabaseIsBuiltAtOpen() async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        var rows: [Int: Score] = [:]
        for id in 0..<5_000 {
            rows[id] = Score(id, id * 31 % 997, team: id % 7 == 0 ? nil : "t\(id % 5)")
        }
        let plain = try store.table(Plain.self)
        for score in rows.values { try plain.put(Plain(score)) }
        try await store.close(deadline: .hang)
        store = try directory.open()
        let scores = try store.table(Score.self)
        try await store.expectIndices(of: scores, toHold: rows)
        #expect(store.health.indices.map(\.rows) == [5_000, 5_000])
        try await store.close(deadline: .hang)
    }

    @Test func anIndexMayBeAddedWhileTheStoreIsOpen() async throws {
        let directory = TemporaryStore()
        let store = try directory.open()
        let plain = try store.table(Plain.self)
        var rows: [Int: Score] = [:]
        for id in 0..<500 {
            rows[id] = Score(id, id % 100)
            try plain.put(Plain(rows[id]!))
        }
        let scores = try store.table(Score.self)
        // A handle from before follows as well.
        try plain.put(Plain(Score(1, 5_000)))
        rows[1] = Score(1, 5_000)
        try plain.delete(2)
        rows[2] = nil
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    /// The database is behind, and stays so: what it lacks comes from the log.
    @Test func aBacklogIsInTheIndex() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        var store = try directory.open(failing: failing)
        var rows: [Int: Score] = [:]
        for id in 0..<300 {
            rows[id] = Score(id, id)
            try store.table(Plain.self).put(Plain(rows[id]!))
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        failing.now = SinkError(.busy, "injected")
        let plain = try store.table(Plain.self)
        for id in 100..<150 {
            try plain.delete(id)
            rows[id] = nil
        }
        for id in 1_000..<1_100 {
            rows[id] = Score(id, -id)
            try plain.put(Plain(rows[id]!))
        }
        try await plain.update(7) { $0.score.points = 99_999 }
        rows[7]?.points = 99_999
        // It stays behind in both lives.
        var scores = try store.table(Score.self)
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .zero)
        store = try directory.open(failing: failing)
        scores = try store.table(Score.self)
        try await store.expectIndices(of: scores, toHold: rows)
        #expect(store.health.lag.records > 0)
        failing.now = nil
        try await store.close(deadline: .hang)
    }

    /// Its file was written over by a backup, which nothing has noticed yet.
    @Test func anOldCopyInTheDatabasesPlaceIsNotTakenForIt() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        var rows: [Int: Score] = [:]
        // More than a page, so that the first one is read of the database as it was.
        for id in 0..<1_500 { rows[id] = Score(id, id) }
        let (store, plain) = try await filled(directory, failing, rows.values)
        for id in 0..<1_500 { #expect(try plain.evict(id)) }
        let before = ObjectIdentifier(store.engine.sink as AnyObject)
        failing.scansOfAnOldCopy = 1
        let scores = try store.table(Score.self)
        // The database is opened anew at the next write; then rows that are not in memory can be read again.
        rows[1_500] = Score(1_500, 1_500)
        let isOpenedAnew = try await eventually {
            try scores.put(Score(1_500, 1_500))
            try await store.waitForAll(.materialized, timeout: .hang)
            return ObjectIdentifier(store.engine.sink as AnyObject) != before
        }
        #expect(isOpenedAnew && failing.scansOfAnOldCopy == 0)
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    /// A page was read, and before its rows are looked at they change, are deleted, or leave memory.
    @Test func whatWasReadOfTheDatabaseDoesNotComeBack() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let (store, plain) = try await filled(directory, failing, (0..<100).map { Score($0, $0) })
        for id in 0..<100 { #expect(try plain.evict(id)) }
        failing.afterReading = {
            for id in 0..<30 { try plain.delete(id) }
            for id in 30..<60 { try plain.put(Plain(Score(id, id + 1_000))) }
            // These leave memory before the page is looked at.
            try store.waitUntilMaterialized()
            for id in 0..<20 { _ = try plain.evict(id) }
            for id in 30..<50 { _ = try plain.evict(id) }
        }
        let scores = try store.table(Score.self)
        var rows: [Int: Score] = [:]
        for id in 30..<100 { rows[id] = Score(id, id < 60 ? id + 1_000 : id) }
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    @Test func aClearWhileAPageIsReadLeavesNothing() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let (store, plain) = try await filled(directory, failing, (0..<100).map { Score($0, $0) })
        failing.afterReading = {
            try plain.clear()
            try plain.put(Plain(Score(5, 55)))
        }
        let scores = try store.table(Score.self)
        try await store.expectIndices(of: scores, toHold: [5: Score(5, 55)])
        try await store.close(deadline: .hang)
    }

    @Test func rowsInQuarantineCountAsAcknowledged() async throws {
        let directory = TemporaryStore()
        var store = try directory.open()
        let plain = try store.table(Plain.self)
        for id in 0..<20 { try plain.put(Plain(Score(id, id, team: "t\(id)"))) }
        try await store.waitForAll(.materialized, timeout: .hang)
        try directory.user("CREATE UNIQUE INDEX teams ON score (team)")
        var rows: [Int: Score] = [:]
        for id in 0..<20 { rows[id] = Score(id, id, team: "t\(id)") }
        // The database refuses both: a row that it has otherwise, and one that it lacks.
        for score in [Score(3, 300, team: "t4"), Score(77, 700, team: "t5")] {
            try plain.put(Plain(score))
            rows[score.id] = score
        }
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 2)
        var scores = try store.table(Score.self)
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
        store = try directory.open()
        scores = try store.table(Score.self)
        try await store.expectIndices(of: scores, toHold: rows)
        // Given up, the rows are again what the database has.
        for entry in store.quarantine.list() {
            try await store.quarantine.skip(entry.sequence, reason: "test")
        }
        rows[3] = Score(3, 3, team: "t3")
        rows[77] = nil
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    /// A retry changes rows of the database without its watermark's telling.
    @Test func aRetryWhileAPageIsReadStartsOver() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let (store, plain) = try await filled(
            directory, failing, (0..<5).map { Score($0, $0, team: "t\($0)") })
        try directory.user("CREATE UNIQUE INDEX teams ON score (team)")
        try plain.put(Plain(Score(3, 300, team: "t4")))
        try await store.waitForAll(.materialized, timeout: .hang)
        #expect(store.quarantine.list().count == 1)
        try directory.user("DROP INDEX teams")
        let quarantine = store.quarantine
        failing.afterReading = {
            _ = try quarantine.retryBlocking()
            #expect(try plain.evict(3))
        }
        let scores = try store.table(Score.self)
        var rows: [Int: Score] = [:]
        for id in 0..<5 { rows[id] = Score(id, id, team: "t\(id)") }
        rows[3] = Score(3, 300, team: "t4")
        try await store.expectIndices(of: scores, toHold: rows)
        try await store.close(deadline: .hang)
    }

    /// Its reads wait without holding a thread, and its writes go on.
    @Test func aDatabaseThatCannotBeReadKeepsOnlyReadsWaiting() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let (store, _) = try await filled(directory, failing, [Score(1, 1)])
        failing.scanning = SinkError(.busy, "injected")
        let scores = try store.table(Score.self)
        let waiting = (0..<100).map { _ in Task { try await scores.top(2, by: "points").map(\.id) }
        }
        #expect(await eventually { store.health.indices.contains { $0.cause != nil } })
        try scores.put(Score(2, 2))
        failing.scanning = nil
        for task in waiting { #expect(try await task.value == [2, 1]) }
        try await store.close(deadline: .hang)
    }

    /// What the index lacks is in the buffer, and never gets into the log.
    @Test func anIndexStopsWhereTheLogTakesNothingMore() async throws {
        let directory = TemporaryStore()
        let disk = FailingDisk(PosixDisk())
        let configuration = StoreConfiguration.forTools
        let store = try Store(
            at: directory.path, configuration: configuration,
            environment: .machine(configuration, disk: disk))
        let plain = try store.table(Plain.self)
        try plain.put(Plain(Score(1, 1)))
        try await store.waitForAll(.materialized, timeout: .hang)
        disk.failAll(.synchronize, with: .errno(EIO))
        try plain.put(Plain(Score(2, 2)))
        _ = await storeError { try await store.waitForAll(.materialized, timeout: .hang) }
        try #require(store.engine.log.refusal?.isFinal == true)

        let scores = try store.table(Score.self)
        let error = Locked<StoreError?>(nil)
        let reading = Task {
            let found = await storeError { _ = try await scores.top(1, by: "points") }
            error.withLock { $0 = found }
        }
        #expect(await eventually(within: 60) { error.withLock { $0 } != nil })
        guard case .indexUnavailable("score", "points", let reason)? = error.withLock({ $0 }) else {
            reading.cancel()
            Issue.record("\(String(describing: error.withLock { $0 })), \(store.health.indices)")
            return
        }
        #expect(reason.contains("reopen the store"))
        _ = await storeError { try await store.close(deadline: .zero) }
    }

    @Test func aReadThatWaitsEndsWithTheStore() async throws {
        let directory = TemporaryStore()
        let failing = Failing()
        let store = try directory.open(failing: failing)
        let scores = try store.table(Score.self)
        try scores.put(Score(1, 1))
        try await store.waitForAll(.materialized, timeout: .hang)
        try await store.close(deadline: .hang)

        let other = try directory.open(failing: failing)
        failing.scanning = SinkError(.busy, "injected")
        let reading = try other.table(Score.self)
        let cancelled = Task { try await reading.top(1, by: "points") }
        cancelled.cancel()
        await #expect { try await cancelled.value } throws: { StoreError.isCancelled($0) }
        let waiting = Task { await storeError { _ = try await reading.top(1, by: "points") } }
        #expect(await eventually { !(other.health.indices.compactMap(\.cause).isEmpty) })
        try await other.close(deadline: .hang)
        guard case .closed? = await waiting.value else {
            Issue.record("\(String(describing: await waiting.value))")
            return
        }
    }
}

extension Store {
    /// For a thread that may block.
    func waitUntilMaterialized() throws {
        let last = engine.log.lastSequence
        engine.log.flusher?.request(readable: last)
        while engine.materialized.reached < last { usleep(1_000) }
    }
}
