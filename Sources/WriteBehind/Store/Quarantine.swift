import EventLog
public import Foundation

/// What the database refused for good, and what to do about it.
///
/// A refused commit is kept whole, by reference into the log, together with every later commit that touches one
/// of its rows; all else goes on. Its rows stay in memory, so that reads show what was acknowledged.
/// Nothing leaves quarantine by itself. It stands in the database, and outlasts a crash. All methods may be
/// called from any thread or task.
public struct Quarantine: Sendable {
    let engine: Engine
    let materializer: Materializer
    let pins: Pins

    package init(engine: Engine, materializer: Materializer, pins: Pins) {
        self.engine = engine
        self.materializer = materializer
        self.pins = pins
    }

    /// A commit in quarantine.
    public struct Entry: Sendable, Equatable {
        /// The sequence of its first record: its name in all calls.
        public let sequence: UInt64
        /// How many records it has; they stand or fall together.
        public let records: Int
        /// What the database said when it refused it last.
        public let reason: String
        /// When it was refused first.
        public let refusedAt: Date
        /// How often the database was asked; 0 for a commit that only follows another.
        public let attempts: Int
        /// The earlier commit that has to be dealt with first.
        public let dependsOn: UInt64?
        /// The rows it holds on to, as `table[key]`.
        public let rows: [String]
    }

    /// Everything in quarantine, in sequence order.
    public func list() -> [Entry] {
        let catalog = engine.tables
        return engine.sink.quarantined().map { commit in
            Entry(
                sequence: commit.firstSequence, records: commit.recordCount,
                reason: commit.error.message,
                refusedAt: Date(timeIntervalSince1970: Double(commit.refusedAt) / 1e6),
                attempts: commit.attempts, dependsOn: commit.dependsOn,
                rows: commit.keys.map { $0.text(catalog) })
        }
    }

    /// Tries all of quarantine again, in order, after the reason was removed.
    ///
    /// The caller suspends for as long as the database takes, and what else was to be applied waits.
    ///
    /// - Returns: the sequences of the commits that the database took.
    /// - Throws: ``StoreError/database(_:)``, also while the database is being rebuilt; ``StoreError/closed(_:)``.
    @discardableResult
    public func retry() async throws -> [UInt64] {
        try await Worker.waiting("quarantine", throwing: { try retryBlocking() })
    }

    /// ``retry()`` for the store's own threads, which may block.
    package func retryBlocking() throws -> [UInt64] {
        try materializer.exclusively {
            // Another store may have the database by now.
            if case .closed? = engine.log.refusal { throw StoreError(LogError.closed) }
            var commits: [OrderedCommit] = []
            for commit in engine.sink.quarantined() {
                guard let records = try records(of: commit) else { continue }
                commits.append(
                    OrderedCommit(
                        firstSequence: commit.firstSequence, recordCount: commit.recordCount,
                        records: records))
            }
            // One that is behind has not refused again yet what stays in memory for its predecessor.
            guard !engine.sinkIsBehind else {
                throw StoreError.database("it is being rebuilt; try again when it has caught up")
            }
            defer {
                engine.view.forEachShard { $0.sinkDidChange() }
                pins.follow(engine.sink.quarantined())
            }
            do throws(SinkError) {
                return try engine.sink.retry(commits)
            } catch {
                throw StoreError(error)
            }
        }
    }

    private func records(of commit: QuarantinedCommit) throws(StoreError) -> [UInt8]? {
        do throws(LogError) {
            return try engine.log.commit(at: commit.firstSequence)
        } catch {
            throw StoreError(error)
        }
    }

    /// Gives a commit up: its rows become again what the database holds. Commits in quarantine that share rows
    /// with it, directly or through others, go with it.
    ///
    /// That is an ordinary write, logged with the reason; the log keeps what was given up. It waits until the
    /// database has taken or refused what was written before.
    ///
    /// - Returns: its receipt; once it is materialized, quarantine no longer holds the commit.
    /// - Throws: ``StoreError/notInQuarantine(sequence:)``; ``StoreError/database(_:)``, also for a commit that
    ///   clears a table, or shares rows with one: that can only be retried; and what any write throws.
    @discardableResult
    public func skip(_ sequence: UInt64, reason: String) async throws -> Receipt {
        try await settle(sequence, reason: reason) { _ in }
    }

    /// Puts a corrected row in the place of a commit's; its other rows become again what the database holds.
    /// Otherwise as ``skip(_:reason:)``.
    @discardableResult
    public func patch<Row>(
        _ sequence: UInt64, with row: Row, in table: StoredTable<Row>, reason: String
    ) async throws -> Receipt {
        try await settle(sequence, reason: reason) { transaction in
            try transaction.put(row, in: table)
        }
    }

    package func settle(
        _ sequence: UInt64, reason: String,
        _ correct: @escaping @Sendable (inout Transaction) throws -> Void
    ) async throws -> Receipt {
        while true {
            let group = try group(of: sequence)
            let rows = try rows(of: group)
            var reads: [ReadVersion] = []
            for row in rows {
                let version = try await engine.fetch(row.table, row.key).version
                reads.append(ReadVersion(table: row.table, key: row.key, version: version))
            }
            // A commit that is on its way may follow the group, and hold rows that the group does not.
            try await waitUntilJudged()
            let receipt = try await Worker.waiting("quarantine") {
                [reads] () -> Result<Receipt?, any Error> in
                // Between two steps: nobody takes the group out of quarantine meanwhile.
                Result {
                    try materializer.exclusively { () throws -> Receipt? in
                        guard try self.group(of: sequence) == group else { return nil }
                        var transaction = Transaction(engine: engine)
                        for commit in group {
                            transaction.commit.appendSettle(commit.firstSequence, reason: reason)
                        }
                        for row in rows { try restore(row, in: &transaction) }
                        try correct(&transaction)
                        return try engine.commit(transaction.commit, reads: reads)
                    }
                }
            }.get()
            if let receipt { return receipt }
        }
    }

    /// Suspends until the database has taken or refused everything that was written before this call.
    private func waitUntilJudged() async throws {
        let last = engine.log.lastSequence
        engine.log.flusher?.request(durable: last)
        try await engine.durable.wait(for: last)
        materializer.request(last)
        try await engine.materialized.wait(for: last)
    }

    /// Makes a row again what the database holds.
    private func restore(
        _ row: (table: UInt16, key: [UInt8]), in transaction: inout Transaction
    ) throws {
        let stored = try engine.readableSink().read(UInt32(row.table), key: row.key.span)
        let kind: ChangeKind = stored.body == nil ? .delete : .put
        let body = stored.body ?? []
        transaction.commit.append(kind, table: row.table, key: row.key.span, body: body.span)
    }

    private func rows(of group: [QuarantinedCommit]) throws -> [(table: UInt16, key: [UInt8])] {
        var seen: Set<QuarantinedKey> = []
        return try group.flatMap(\.keys).filter { seen.insert($0).inserted }.map { key in
            guard case .row(let table, let bytes) = key else {
                throw StoreError.database("a clear in quarantine can only be retried, not given up")
            }
            return (UInt16(table), bytes)
        }
    }

    /// A commit in quarantine and all that are connected with it by rows; a clear has all rows of its table.
    private func group(of sequence: UInt64) throws -> [QuarantinedCommit] {
        var rest = engine.sink.quarantined()
        guard let start = rest.firstIndex(where: { $0.firstSequence == sequence }) else {
            throw StoreError.notInQuarantine(sequence: sequence)
        }
        var group = QuarantineIndex()
        group.insert(rest.remove(at: start))
        while let next = rest.firstIndex(where: { group.blocker(of: $0.keys) != nil }) {
            group.insert(rest.remove(at: next))
        }
        return group.all
    }
}

extension QuarantinedKey {
    /// As people read it: `flight[123]`.
    package func text(_ catalog: Catalog) -> String {
        guard let schema = catalog[table]?.schema else { return "table \(table)" }
        let name = schema.name
        guard case .row(_, let key) = self else { return "\(name)[all rows]" }
        guard let values = try? KeyCodec.decode(key.span, schema) else { return "\(name)[?]" }
        return "\(name)[\(values.map(\.description).joined(separator: ", "))]"
    }
}
