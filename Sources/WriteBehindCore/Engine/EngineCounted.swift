import EventLog

// Reading rows that are counted: see CountedRows.swift for the rules.

extension Engine {
    /// A row that is tracked, and how far the database must have come before it is read.
    private struct Tracked: Sendable {
        var index: Int
        var key: [UInt8]
        var since: UInt64
        var generation: UInt64
    }

    /// How long a read waits for the database to go on, and how often it looks again.
    private static let patience: Duration = .seconds(5)
    static let countedTries = 100

    /// The error of a read that has waited too long.
    static var isBehind: StoreError {
        .database(
            "it has not taken yet what was added to this row, which is only there; see the store's health, and try again"
        )
    }

    /// Reads rows that may be counted, all with one wait.
    ///
    /// - Returns: nil for rows that must be looked up again.
    nonisolated(nonsending) func fetchCounted(
        _ table: UInt16, _ keys: [[UInt8]], deadline: UInt64? = nil
    ) async throws(StoreError) -> [Fetched?] {
        let rows = track(table, keys)
        defer { untrack(table, rows) }
        var found = [Fetched?](repeating: nil, count: keys.count)
        guard let last = rows.map(\.since).max() else { return found }
        try await waitForDatabase(last)
        let stored = try await read(table, rows.map(\.key))
        var held: [Tracked] = []
        for (row, stored) in zip(rows, stored) {
            var outcome = try fill(table, row, stored, deadline)
            if case .wait(let sequence) = outcome {
                try await waitForDatabase(sequence)
                outcome = try fill(table, row, stored, deadline)
            }
            if case .isQuarantined = outcome { held.append(row) }
            found[row.index] = fetched(outcome, stored.watermark)
        }
        guard !held.isEmpty else { return found }
        let judged = try await Worker.waiting(
            "reader",
            throwing: { [held] () throws(StoreError) in try self.judged(table, held.map(\.key)) })
        for (row, stored) in zip(held, judged) {
            let outcome = try fill(table, row, stored, deadline, isJudged: true)
            found[row.index] = fetched(outcome, stored.watermark)
        }
        return found
    }

    /// ``fetchCounted(_:_:deadline:)`` for the store's own threads, which may block.
    func fetchCountedBlocking(
        _ table: UInt16, _ keys: [[UInt8]]
    ) throws(StoreError) -> [Fetched?] {
        let rows = track(table, keys)
        defer { untrack(table, rows) }
        var found = [Fetched?](repeating: nil, count: keys.count)
        guard let last = rows.map(\.since).max() else { return found }
        try waitForDatabaseBlocking(last)
        var held: [Tracked] = []
        for row in rows {
            let stored = try readBlocking(table, row.key)
            var outcome = try fill(table, row, stored, nil)
            if case .wait(let sequence) = outcome {
                try waitForDatabaseBlocking(sequence)
                outcome = try fill(table, row, stored, nil)
            }
            if case .isQuarantined = outcome { held.append(row) }
            found[row.index] = fetched(outcome, stored.watermark)
        }
        guard !held.isEmpty else { return found }
        for (row, stored) in zip(held, try judged(table, held.map(\.key))) {
            let outcome = try fill(table, row, stored, nil, isJudged: true)
            found[row.index] = fetched(outcome, stored.watermark)
        }
        return found
    }

    /// Whether a row is counted, so that its value is not known.
    func isCounted(_ table: UInt16, _ key: [UInt8]) -> Bool {
        let hash = view.hash(table: table, key: key.span)
        return view.withShard(of: hash) { shard in
            shard.isCounted(shard.peek(hash, table, key.span).reference)
        }
    }

    private func track(_ table: UInt16, _ keys: [[UInt8]]) -> [Tracked] {
        var rows: [Tracked] = []
        for (index, key) in keys.enumerated() {
            let hash = view.hash(table: table, key: key.span)
            let row = view.withShard(of: hash) { shard -> Tracked? in
                guard let since = shard.track(hash, table, key) else { return nil }
                return Tracked(
                    index: index, key: key, since: since, generation: shard.sinkGeneration)
            }
            if let row { rows.append(row) }
        }
        return rows
    }

    private func untrack(_ table: UInt16, _ rows: [Tracked]) {
        for row in rows {
            let hash = view.hash(table: table, key: row.key.span)
            view.withShard(of: hash) { $0.untrack(table, row.key) }
        }
    }

    private func fill(
        _ table: UInt16, _ row: Tracked, _ stored: StoredRow, _ deadline: UInt64?,
        isJudged: Bool = false
    ) throws(StoreError) -> Shard.CountedFill {
        let hash = view.hash(table: table, key: row.key.span)
        return try view.withShard(of: hash) { (shard) throws(StoreError) in
            do throws(MalformedRecord) {
                return try shard.fillCounted(
                    hash, table, row.key, row: stored.body, asOf: stored.watermark,
                    generation: row.generation, isJudged: isJudged, deadline: deadline)
            } catch {
                throw Self.cannotAdd(error)
            }
        }
    }

    static func cannotAdd(_ error: MalformedRecord) -> StoreError {
        .database("what was added to a row cannot be added to what it holds: \(error.reason)")
    }

    private func fetched(_ outcome: Shard.CountedFill, _ watermark: UInt64) -> Fetched? {
        guard case .row(let body, let sequence) = outcome else { return nil }
        return Fetched(
            body: body,
            version: sequence.map { .resident(sequence: $0) } ?? .stored(watermark: watermark),
            isFromDatabase: sequence == nil)
    }

    // MARK: waiting

    /// Suspends until the database has taken or refused everything through a sequence.
    nonisolated(nonsending) func waitForDatabase(
        _ sequence: UInt64
    ) async throws(StoreError) {
        var reached = materialized.reached
        while reached < sequence {
            let isDone = try await within(Self.patience) { () async throws(StoreError) in
                self.log.flusher?.request(readable: sequence)
                self.reads.runDue()
                try await self.readable.wait(for: sequence)
                self.reads.request(sequence)
                self.reads.runDue()
                try await self.materialized.wait(for: sequence)
            }
            if isDone { return }
            let before = reached
            reached = materialized.reached
            // One that catches up is worth waiting for.
            guard reached > before else { throw Self.isBehind }
        }
    }

    private func waitForDatabaseBlocking(_ sequence: UInt64) throws(StoreError) {
        var reached = materialized.reached
        while reached < sequence {
            reads.wait(self, sequence)
            let before = reached
            reached = materialized.reached
            guard reached > before else { throw Self.isBehind }
        }
    }

    /// How a blocking read waits where the store has threads.
    package func waitWhileWorkersRun(for sequence: UInt64) {
        log.flusher?.request(readable: sequence)
        for _ in 0..<Self.patience.components.seconds * 1000
        where !materialized.isDecided(sequence) {
            if log.readable >= sequence { reads.request(sequence) }
            Signal().wait(after: 0, nanoseconds: 1_000_000)
        }
    }

    /// How it waits where the caller is the only thread: it steps the workers.
    package func stepWorkers(toward sequence: UInt64, steps: Int = 1000) {
        for _ in 0..<steps where !materialized.isDecided(sequence) {
            log.flusher?.request(readable: log.lastSequence)
            _ = log.flusher?.step()
            reads.request(sequence)
            _ = reads.materializer?.step()
        }
    }

    // MARK: quarantine

    /// Rows with their commits in quarantine. Runs between two transactions of the database: then nothing is on its way, and
    /// the database and the list of its quarantine fit together.
    private func judged(
        _ table: UInt16, _ keys: [[UInt8]]
    ) throws(StoreError) -> [StoredRow] {
        guard let materializer = reads.materializer else {
            throw StoreError(LogError.closed)
        }
        for _ in 0..<Self.patience.components.seconds * 1000 {
            let rows = try materializer.exclusivelyIfIdle {
                () throws(StoreError) -> [StoredRow] in
                try judgedNow(table, keys)
            }
            if let rows { return rows }
            Signal().wait(after: 0, nanoseconds: 1_000_000)
        }
        throw Self.isBehind
    }

    private func judgedNow(
        _ table: UInt16, _ keys: [[UInt8]]
    ) throws(StoreError) -> [StoredRow] {
        let sink = try readableSink()
        do throws(SinkError) {
            // If the answer to the last transaction was lost, the list may be out of date.
            _ = try sink.look()
        } catch {
            // Sooner than by the materializer's next write or look.
            if error.callsForReplacement { reads.materializer?.replace(sink, after: error) }
            throw StoreError(error)
        }
        var stored: [StoredRow] = []
        for key in keys { stored.append(try readBlocking(table, key)) }
        let quarantine = sink.quarantine
        let held = keys.indices.filter {
            quarantine.touches(.row(table: UInt32(table), key: keys[$0]))
        }
        guard !held.isEmpty, let watermark = stored.last?.watermark else { return stored }
        do {
            // Read once for all of them.
            var rows = try QuarantinedRows(of: self)
            try rows.read(quarantine, through: watermark)
            for index in held {
                stored[index].body = try rows.row(
                    table, keys[index], over: stored[index].body)
            }
        } catch let error as LogError {
            throw StoreError(error)
        } catch let error as MalformedRecord {
            throw Self.cannotAdd(error)
        } catch {
            throw .noResources("no memory for what is in quarantine: \(error)")
        }
        return stored
    }
}

/// What reads of counted rows need of the store's workers.
package final class CountedReads: Sendable {
    private struct State {
        weak var materializer: Materializer?
    }

    private let state = Lock(State())
    /// How a blocking read waits until the database has come as far as a sequence. A simulation steps the workers instead.
    fileprivate let wait: @Sendable (Engine, UInt64) -> Void
    /// Steps the workers of a store without threads.
    fileprivate let runDue: @Sendable () -> Void

    package init(
        wait: @escaping @Sendable (Engine, UInt64) -> Void = { $0.waitWhileWorkersRun(for: $1) },
        runDue: @escaping @Sendable () -> Void = {}
    ) {
        (self.wait, self.runDue) = (wait, runDue)
    }

    /// The materializer of the primary database. It refers to the engine, so this does not keep it.
    var materializer: Materializer? { state.withLock { $0.materializer } }

    package func use(_ materializer: Materializer) {
        state.withLock { $0.materializer = materializer }
    }

    fileprivate func request(_ sequence: UInt64) { materializer?.request(sequence) }
}
