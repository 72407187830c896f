import EventLog
import Synchronization

/// Gives up commits in quarantine: a group as a whole, by one commit if the group is not too large for that.
extension Quarantine {
    /// The whole row that takes the place of a refused one.
    package struct Correction: Sendable {
        package var table: UInt16
        package var key: [UInt8]
        package var body: [UInt8]

        package init(table: UInt16, key: [UInt8], body: [UInt8]) {
            (self.table, self.key, self.body) = (table, key, body)
        }
    }

    /// A commit's group, as of one moment.
    private struct Found: Equatable, Sendable {
        var group: QuarantineIndex.Group
        var sequences: ClosedRange<UInt64>
        var rows: [QuarantinedKey]
    }

    /// How a group is given up: as one commit, or as several that are each within these limits.
    package struct PartLimits: Sendable {
        /// How often it is tried while other calls write its rows.
        package var tries = 100
        package var rows = 8192
        package var bytes = 256 << 10

        package init() {}
    }

    package func settle(
        _ sequence: UInt64, reason: String, with correction: Correction?,
        _ includingFollowers: Bool
    ) async throws(StoreError) -> Receipt {
        // After a few tries, updates of the group's rows wait for their turns. Without that, each would change the group.
        var turn = Turn(engine, triesAtMost: partLimits.tries)
        defer { turn.end() }
        while true {
            let found = try await Worker.waiting(
                "quarantine", throwing: { () throws(StoreError) in try find(sequence) })
            try check(found, sequence, correction, includingFollowers)
            let settlement = Settlement(
                sequence: sequence, found: found, rows: try rows(of: found), reason: reason,
                correction: correction, includingFollowers: includingFollowers)
            if let receipt = try await settle(settlement) {
                return settlement.isLoose
                    ? try await settleWhatCame(after: settlement) ?? receipt : receipt
            }
            let hashes = settlement.rows.map { engine.view.hash(table: $0.table, key: $0.key.span) }
            try await turn.next(Turns.lines(of: hashes))
        }
    }

    private struct Settlement: Sendable {
        var sequence: UInt64
        var found: Found
        var rows: [GroupRow]
        var reason: String
        var correction: Correction?
        var includingFollowers: Bool

        /// Whether more commits may come into the group until it is given up, because they add to rows of others.
        var isLoose: Bool { includingFollowers && rows.contains(where: \.isOthers) }

        func corrects(_ row: GroupRow) -> Bool {
            correction?.table == row.table && correction?.key == row.key
        }
    }

    /// Nil if the group has changed meanwhile.
    private func settle(_ settlement: Settlement) async throws(StoreError) -> Receipt? {
        var done = 0
        while true {
            let part = settlement.rows[done...].prefix(partLimits.rows)
            var reads: [ReadVersion] = []
            var refused: [UInt8]?
            reads.reserveCapacity(part.count)
            // The rows are in the order of their tables.
            var rest = part
            while let table = rest.first?.table {
                let rows = rest.prefix { $0.table == table }
                rest = rest.dropFirst(rows.count)
                if settlement.isLoose, rows.first?.isOthers ?? false { continue }
                for (row, fetched) in zip(rows, try await engine.fetch(table, rows.map(\.key))) {
                    reads.append(
                        ReadVersion(table: row.table, key: row.key, version: fetched.version))
                    if settlement.corrects(row) { refused = fetched.body }
                }
            }
            // A commit that the database has yet to take may follow the group, and hold rows that the group does not.
            try await waitUntilJudged()
            let (start, count, versions, present) = (done, part.count, reads, refused)
            let taken = try await Worker.waiting(
                "quarantine",
                throwing: { () throws(StoreError) in
                    try settleBlocking(settlement, start..<start + count, versions, present)
                })
            guard let taken else { return nil }
            done += taken.rows
            if done == settlement.rows.count { return taken.receipt }
        }
    }

    /// Between two steps, so that the group cannot leave quarantine meanwhile. Nil if it has changed.
    ///
    /// - Parameter refused: the row to correct, as it is in memory.
    private func settleBlocking(
        _ settlement: Settlement, _ part: Range<Int>, _ reads: [ReadVersion], _ refused: [UInt8]?
    ) throws(StoreError) -> (receipt: Receipt, rows: Int)? {
        try materializer.exclusively { () throws(StoreError) -> (receipt: Receipt, rows: Int)? in
            guard isCurrent(settlement, from: part.lowerBound) else { return nil }
            let generation = engine.generation.load(ordering: .relaxed)
            var changes = CommitBuilder()
            var (count, readCount) = (0, 0)
            for row in settlement.rows[part] {
                // A row of others stays as they have counted it.
                var (kind, body) = (ChangeKind.add, RowCodec.encodeAdd([], makesRow: false))
                if !row.isOthers {
                    let stored =
                        settlement.corrects(row)
                        ? try settlement.correction?.row(over: refused, engine.tables)
                        : try storedBody(of: row)
                    (kind, body) = (stored == nil ? .delete : .put, stored ?? [])
                }
                let length = row.key.count + body.count
                let isFull = changes.byteCount + length > partLimits.bytes
                if count > 0, isFull { break }
                count += 1
                if !row.isOthers || !settlement.isLoose { readCount += 1 }
                changes.append(kind, table: row.table, key: row.key.span, body: body.span)
            }
            var left = settlement.rows.count - part.lowerBound - count
            // Commits that add to such a row, and that the database has yet to take, may bring others into the group.
            if settlement.isLoose { left = max(left, 1) }
            var commit = CommitBuilder()
            commit.appendSettle(
                from: settlement.found.sequences.lowerBound,
                through: settlement.found.sequences.upperBound, left: left,
                reason: settlement.reason)
            commit.append(changes)
            let receipt = try engine.commit(
                commit, reads: Array(reads.prefix(readCount)), generation: generation)
            return receipt.map { ($0, count) }
        }
    }

    /// A row as the database holds it.
    private func storedBody(of row: GroupRow) throws(StoreError) -> [UInt8]? {
        let sink = try engine.readableSink()
        return try StoreError.ofSink { () throws(SinkError) in
            try sink.read(UInt32(row.table), key: row.key.span).body
        }
    }

    /// Whether the group is as it was found, except for the rows that were given up since. Rows of other stores may have been
    /// added to: a popular one is all the time, and adds are given up with those before them.
    private func isCurrent(_ settlement: Settlement, from start: Int) -> Bool {
        let quarantine = engine.sink.quarantine
        let held = quarantine.held
        if start == 0, !settlement.isLoose {
            let number = settlement.rows.first.flatMap { held[$0.quarantined]?.group }
            guard number.flatMap({ quarantine.groups[$0] }) == settlement.found.group else {
                return false
            }
        }
        return settlement.rows[start...].allSatisfy {
            $0.isOthers && settlement.isLoose
                ? held[$0.quarantined] != nil : held[$0.quarantined] == $0.held
        }
    }

    private func check(
        _ found: Found, _ sequence: UInt64, _ correction: Correction?, _ includingFollowers: Bool
    ) throws(StoreError) {
        if let correction {
            if let schema = engine.tables[UInt32(correction.table)]?.schema, schema.isShared {
                throw .schema(
                    SchemaError(
                        table: schema.name,
                        .unfitForSharing(
                            "its rows cannot be corrected, because other stores count into them; give the commit up, and add"
                        )))
            }
            let key = QuarantinedKey.row(table: UInt32(correction.table), key: correction.key)
            guard found.rows.contains(key) else {
                throw .notOfCommit(sequence: sequence, row: key.text(engine.tables))
            }
        }
        let others = found.group.commitCount - 1
        guard others == 0 || includingFollowers else {
            throw .quarantineHasOthers(
                sequence: sequence, others: others, through: found.sequences.upperBound)
        }
    }

    /// Gives up what came into a group while that was given up: none of its commits was refused for itself. It is not much,
    /// because nothing more follows.
    /// - Returns: the last receipt; nil if there was nothing.
    private func settleWhatCame(
        after settlement: Settlement
    ) async throws(StoreError) -> Receipt? {
        var last: Receipt?
        for _ in 0..<partLimits.tries {
            try await waitUntilJudged()
            let quarantine = engine.sink.quarantine
            let group = quarantine.groups.values.first {
                $0.refused.isEmpty && $0.definitions.isEmpty && !$0.keys.isEmpty
            }
            guard let group else { break }
            let found = found(group, quarantine, rows: [], else: settlement.sequence)
            // A table that was cleared meanwhile can only be retried.
            guard let rows = try? rows(of: found) else { break }
            let rest = Settlement(
                sequence: settlement.sequence, found: found, rows: rows,
                reason: settlement.reason, correction: nil, includingFollowers: true)
            last = try await settle(rest) ?? last
        }
        return last
    }

    /// Suspends until the database has taken or refused everything that was written before this call.
    private func waitUntilJudged() async throws(StoreError) {
        let last = engine.log.lastSequence
        engine.log.flusher?.request(readable: last)
        try await engine.readable.wait(for: last)
        materializer.request(last)
        try await engine.materialized.wait(for: last)
    }

    private struct GroupRow: Sendable {
        var table: UInt16
        var key: [UInt8]
        var held: QuarantineIndex.Held?
        /// Whether other stores count into the row.
        var isOthers: Bool

        var quarantined: QuarantinedKey { .row(table: UInt32(table), key: key) }
    }

    /// The rows of the named commit come last, so that it stays in quarantine until all others are given up.
    private func rows(of found: Found) throws(StoreError) -> [GroupRow] {
        let held = engine.sink.quarantine.held
        let own = Set(found.rows)
        let (tables, hasOthers) = (engine.tables, engine.sink.hasOtherStores)
        var (rows, last): ([GroupRow], [GroupRow]) = ([], [])
        for key in found.group.keys {
            guard case .row(let table, let bytes) = key else {
                let isDefinition = !found.group.definitions.isEmpty
                throw .database(
                    isDefinition
                        ? "a table's definition in quarantine, and what follows it, can only be retried"
                        : "a clear in quarantine can only be retried, or the table be cleared again"
                )
            }
            let isOthers = hasOthers && (tables[table]?.schema.isShared ?? false)
            let row = GroupRow(
                table: UInt16(table), key: bytes, held: held[key], isOthers: isOthers)
            if own.contains(key) { last.append(row) } else { rows.append(row) }
        }
        // In the same order each time that it is tried.
        func precedes(_ left: GroupRow, _ right: GroupRow) -> Bool {
            left.table == right.table
                ? left.key.span.precedes(right.key.span) : left.table < right.table
        }
        return rows.sorted(by: precedes) + last.sorted(by: precedes)
    }

    private func find(_ sequence: UInt64) throws(StoreError) -> Found {
        let quarantine = engine.sink.quarantine
        guard let commit = try self.commit(with: sequence, in: quarantine),
            commit.firstSequence == sequence,
            let number = commit.keys.lazy.compactMap({ quarantine.held[$0]?.group }).first,
            let group = quarantine.groups[number]
        else { throw .notInQuarantine(sequence: sequence) }
        return found(group, quarantine, rows: commit.keys, else: sequence)
    }

    private func found(
        _ group: QuarantineIndex.Group, _ quarantine: QuarantineIndex, rows: [QuarantinedKey],
        else sequence: UInt64
    ) -> Found {
        let held = group.keys.compactMap { quarantine.held[$0] }
        let first = held.map(\.since).min() ?? sequence
        let last = held.map(\.last).max() ?? sequence
        return Found(group: group, sequences: min(first, last)...max(first, last), rows: rows)
    }
}
