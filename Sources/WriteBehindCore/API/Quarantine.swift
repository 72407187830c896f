import EventLog
public import Foundation

/// The commits that the database refused for good, and ways to deal with them.
///
/// A refused commit is kept whole, by reference into the log. Every later commit that touches one of its rows
/// follows it, so that no row changes out of order; all else goes on. The rows stay in memory, and reads show
/// what was acknowledged.
///
/// Commits that share rows, directly or through others, are a *group*. A group leaves quarantine when
/// - ``retry()`` has the database take its commits, after the reason was removed;
/// - a later commit puts or deletes all rows of the group, and the database takes it: mostly a corrected
///   ``StoredTable/put(_:cachedFor:)`` of the one row;
/// - ``skip(_:reason:includingFollowers:)`` or ``correct(_:with:in:reason:includingFollowers:)`` gives it up.
///
/// Quarantine is kept in the database, and outlasts a crash. It takes memory for each row, however many commits
/// follow. All methods may be called from any thread or task.
public struct Quarantine: Sendable {
    let engine: Engine
    let materializer: Materializer
    let pins: Pins
    package var partLimits = PartLimits()

    package init(engine: Engine, materializer: Materializer, pins: Pins) {
        self.engine = engine
        self.materializer = materializer
        self.pins = pins
    }

    /// A commit that the database refused.
    public struct Entry: Sendable, Equatable {
        /// The sequence of its first record: its name in all calls.
        public let sequence: UInt64
        /// How many records it has; they are applied together or not at all.
        public let records: Int
        /// The database's message when it refused the commit last.
        public let reason: String
        /// When it was refused first.
        public let refusedAt: Date
        /// How often the database was asked.
        public let attempts: Int
        /// The rows of the commit, as `table[key]`.
        public let rows: [String]
        /// How many other commits are in its group: later ones that wait for it, and refused ones that
        /// they connect it with.
        public let others: Int
    }

    /// The outcome of a retry.
    public struct Retried: Sendable, Equatable {
        /// How many commits left quarantine.
        public var applied: Int
        /// How many are still in it, or in it again.
        public var left: Int

        package init(applied: Int, left: Int) {
            (self.applied, self.left) = (applied, left)
        }
    }

    /// The refused commits, in sequence order.
    public func list() -> [Entry] { Entry.all(of: engine.sink.quarantine, engine.tables) }

    // MARK: trying again

    /// Tries all of quarantine again, in order, after the reason was removed.
    ///
    /// It is one pass over the log, a part at a time; other commits are applied in between. If the process crashes meanwhile,
    /// the commits that were applied have left quarantine, and the rest is still in it.
    ///
    /// - Throws: ``StoreError/database(_:)``, also while the database is being rebuilt; ``StoreError/closed(_:)``;
    ///   ``StoreError/logFailed(_:)`` or ``StoreError/damaged(_:)`` if the log cannot be read.
    @discardableResult
    public func retry() async throws(StoreError) -> Retried {
        try await Worker.waiting(
            "quarantine", throwing: { () throws(StoreError) in try retryBlocking() })
    }

    /// ``retry()`` for the store's own threads, which may block.
    package func retryBlocking() throws(StoreError) -> Retried {
        try materializer.whileNoOtherRetries { () throws(StoreError) -> Retried in try retryAlone()
        }
    }

    private func retryAlone() throws(StoreError) -> Retried {
        let sink = engine.sink
        let retry = QuarantineRetry(
            engine.log, materializer, sink, check: { () throws(StoreError) in try check(sink) },
            didRetry: { changes in
                engine.view.forEachShard { $0.sinkDidChange() }
                pins.follow(changes.keys, in: sink.quarantine)
            })
        let (applied, left) = try retry.run()
        return Retried(applied: applied, left: left)
    }

    private func check(_ sink: any Sink) throws(StoreError) {
        try QuarantineRetry.check(engine.log)
        // A rebuilding database has not yet refused what the old one had. Keep those rows pinned.
        guard !engine.sinkIsBehind, engine.sink === sink else {
            throw .database("it is being rebuilt; try again when it has caught up")
        }
    }

    // MARK: giving up

    /// Gives a commit up: its rows become again what the database holds.
    ///
    /// That is an ordinary write, logged with the reason; the log keeps the commit that was given up. The call waits until
    /// the database has taken or refused everything that was written before. The other commits of the group are given up
    /// with it, because their rows depend on it. If there are any, `includingFollowers` must be true.
    ///
    /// A group of more rows than a commit can hold is given up by several commits, the rows of this commit last. If
    /// the process ends meanwhile, what is left of the group stays in quarantine.
    ///
    /// - Parameter includingFollowers: whether the other commits of the group may be given up as well
    ///   (``Entry/others``).
    /// - Returns: its receipt; once it is materialized, quarantine no longer holds the commit.
    /// - Throws: ``StoreError/notInQuarantine(sequence:)``; ``StoreError/quarantineHasOthers(sequence:others:through:)``;
    ///   ``StoreError/database(_:)``, also for a group that clears a table: that can only be retried, or cleared
    ///   again; ``StoreError/contended(tries:)`` if other calls put or delete rows of the group all the time; and the errors
    ///   of any write.
    @discardableResult
    public func skip(
        _ sequence: UInt64, reason: String, includingFollowers: Bool = false
    ) async throws(StoreError) -> Receipt {
        try await settle(sequence, reason: reason, with: nil, includingFollowers)
    }

    /// Replaces one row of a commit by a corrected one; its other rows become again what the database holds.
    /// Columns that a later version of the program added, and that `Row` lacks, keep their values. Otherwise as ``skip(_:reason:includingFollowers:)``.
    ///
    /// - Throws: ``StoreError/notOfCommit(sequence:row:)`` if the commit does not change a row with this key.
    @discardableResult
    public func correct<Row>(
        _ sequence: UInt64, with row: Row, in table: StoredTable<Row>, reason: String,
        includingFollowers: Bool = false
    ) async throws(StoreError) -> Receipt {
        guard table.engine === engine else { throw StoreError.unknownTable(table.name) }
        let (key, body) = try table.encoded(row)
        return try await settle(
            sequence, reason: reason, with: Correction(table: table.id, key: key, body: body),
            includingFollowers)
    }

    /// The commit in quarantine that a record belongs to. A refused commit is in memory; a commit that follows one is read
    /// from the log, which blocks the thread.
    func commit(
        with sequence: UInt64, in quarantine: QuarantineIndex
    ) throws(StoreError) -> (firstSequence: UInt64, keys: [QuarantinedKey])? {
        if let refused = quarantine.refused[sequence] {
            return (sequence, quarantine.heldKeys(of: refused))
        }
        guard !quarantine.isEmpty, sequence >= quarantine.lowest else { return nil }
        do throws(LogError) {
            let reader = try engine.log.reader(from: sequence)
            guard try reader.next(through: engine.log.readable) else { return nil }
            var commits = try reader.commits()
            while let commit = try? commits.next(reader.payload.span) {
                guard commit.lastSequence >= sequence else { continue }
                let ordered = OrderedCommit(
                    firstSequence: commit.firstSequence, recordCount: Int(commit.count),
                    time: commit.time, records: Array(reader.payload[commit.records]))
                guard commit.firstSequence <= sequence, let contents = try? ordered.contents(),
                    quarantine.contains(commit.firstSequence, contents)
                else { return nil }
                let held = contents.keys.filter { quarantine.contains(commit.firstSequence, $0) }
                return (commit.firstSequence, held)
            }
            return nil
        } catch {
            throw StoreError(error)
        }
    }

    /// Throws if the commit of a record is in quarantine.
    func refuse(_ sequence: UInt64) async throws(StoreError) {
        let quarantine = engine.sink.quarantine
        guard !quarantine.isEmpty, sequence >= quarantine.lowest, sequence <= quarantine.latest
        else { return }
        let found = try await Worker.waiting(
            "quarantine",
            throwing: { () throws(StoreError) in try commit(with: sequence, in: quarantine) })
        guard let found else { return }
        let refused = quarantine.refused[found.firstSequence]
        let group = found.keys.lazy.compactMap { quarantine.held[$0]?.group }.first
        let cause = refused ?? group.flatMap { quarantine.firstRefused(of: $0) }
        let follows = refused == nil ? "it follows commit \(cause?.firstSequence ?? 0): " : ""
        throw StoreError.quarantined(
            sequence: found.firstSequence, reason: follows + (cause?.error.message ?? "refused"))
    }
}

extension Quarantine.Entry {
    static func all(
        of quarantine: QuarantineIndex, _ catalog: Catalog, limit: Int = .max
    ) -> [Quarantine.Entry] {
        quarantine.all.prefix(limit).map { commit in
            let count =
                quarantine.group(of: commit).flatMap { quarantine.groups[$0]?.commitCount } ?? 1
            return Quarantine.Entry(
                sequence: commit.firstSequence, records: commit.recordCount,
                reason: commit.error.message,
                refusedAt: Date(timeIntervalSince1970: Double(commit.refusedAt) / 1e6),
                attempts: commit.attempts,
                rows: quarantine.heldKeys(of: commit).map { $0.text(catalog) },
                others: count - 1)
        }
    }
}

extension QuarantinedKey {
    /// The row as text for people: `flight[123]`.
    package func text(_ catalog: Catalog) -> String {
        guard let schema = catalog[table]?.schema else { return "table \(table)" }
        let name = schema.name
        guard case .row(_, let key) = self else { return "\(name)[all rows]" }
        return "\(name)[\(schema.text(ofKey: key))]"
    }
}
