import EventLog
import TestSupport
import WriteBehindCore

// The rules that must hold. I1 to I10 are the invariants of the architecture.

extension SimulatedStore {
    // MARK: values and bytes

    func schema(_ table: UInt32) -> TableSchema {
        engine?.tables[table]?.schema ?? Tables.first(table)
    }

    /// A body's values, with the defaults of columns that it was written without.
    func values(_ body: [UInt8], _ table: UInt32) throws -> [StoredValue] {
        try RowCodec.decodeRow(body.span, schema(table))
    }

    func completed(_ values: [StoredValue]?, _ table: UInt32) -> [StoredValue]? {
        values.map { Tables.completed($0, schema(table)) }
    }

    // MARK: the log

    /// I2, I10: every acknowledged write is there, the log is a prefix of what was written, and every commit is whole.
    func checkWhatSurvived() {
        guard let store, let engine else { return }
        if let damage = store.damage { return fail("damage", "\(damage)") }
        let end = engine.log.recoveredEnd.nextSequence - 1
        if end < durable { fail("durable", "the log ends at \(end), \(durable) was durable") }
        if !mayLose, end < model.lastSequence {
            fail("staged", "the log ends at \(end), \(model.lastSequence) was acknowledged")
        }
        if end > model.lastSequence {
            fail("invented", "the log ends at \(end), only \(model.lastSequence) was written")
        }
        model.cut(after: end)
        checkDefinitions()
        if model.lastSequence != end { fail("atomic", "a commit was cut at \(end)") }
        if follower.position > end {
            fail("follower", "it saw \(follower.position) as durable, and the log ends at \(end)")
        }
        if consumer.seen > end {
            fail("consumer", "it saw \(consumer.seen) as durable, and the log ends at \(end)")
        }
        note("the log ends at \(end)")
        mayLose = false
        durable = end
        checkDatabase()
        checkSecondary()
    }

    // MARK: the database

    /// I1, I3, I4: the database is the fold up to its watermark, without the commits that it lists as quarantined.
    func checkDatabase() {
        guard fault == nil, let engine, let content = database.content else { return }
        noteDurable()
        let watermark = content.watermark.sequence
        if watermark > engine.log.readable {
            return fail("ahead", "the database is at \(watermark), ahead of the durable log")
        }
        let count = model.count(through: watermark)
        if watermark > 0, count == 0 || model.commits[count - 1].receipt.sequence != watermark {
            return fail("database", "its watermark \(watermark) is inside a commit")
        }
        checkQuarantine(content)
        checkConstraints(content)
        let expected = model.fold(
            through: watermark, without: Set(quarantined(content).map(\.receipt.firstSequence)))
        if let wrong = difference(content.rows, expected) {
            return fail("database", "at \(watermark): \(wrong)")
        }
        checkProjection(content)
    }

    /// I3, I4 for the secondary database, which refuses nothing. Each database has its own watermark.
    func checkSecondary() {
        guard fault == nil, let engine, let content = secondary.content else { return }
        noteDurable()
        let watermark = content.watermark.sequence
        if watermark > engine.log.readable {
            return fail(
                "ahead", "the secondary database is at \(watermark), ahead of the durable log")
        }
        let count = model.count(through: watermark)
        if watermark > 0, count == 0 || model.commits[count - 1].receipt.sequence != watermark {
            return fail("secondary", "its watermark \(watermark) is inside a commit")
        }
        if !content.quarantine.isEmpty {
            return fail("secondary", "it has something in quarantine")
        }
        if let wrong = difference(content.rows, model.fold(through: watermark)) {
            fail("secondary", "at \(watermark): \(wrong)")
        }
    }

    /// The first row whose body differs from the model; nil if all are the same.
    private func difference(_ found: [Row: [UInt8]], _ expected: StoreModel.Rows) -> String? {
        for (row, body) in found {
            let values = try? values(body, row.table)
            let right = completed(expected[row], row.table)
            if values == nil || values != right { return Self.difference(row, values, right) }
        }
        guard found.count != expected.count else { return nil }
        let missing = expected.keys.filter { found[$0] == nil }
            .min { ($0.table, $0.id) < ($1.table, $1.id) }
        return missing.map { Self.difference($0, nil, expected[$0]) }
    }

    private static func difference(_ row: Row, _ found: [StoredValue]?, _ right: [StoredValue]?)
        -> String
    {
        "\(row) is \(found.map { "\($0)" } ?? "not there"), "
            + "and should be \(right.map { "\($0)" } ?? "absent")"
    }

    /// The commits that the database lists as quarantined, in order.
    func quarantined(_ content: SimulatedDatabase.Content) -> [StoreModel.Commit] {
        guard !content.quarantine.isEmpty else { return [] }
        return model.commits[..<model.count(through: content.watermark.sequence)].filter {
            content.quarantine.contains($0.receipt.firstSequence, $0.changes.map(\.key))
        }
    }

    /// I7: every commit in quarantine is there for a refused row or for a commit before it, and it is counted.
    private func checkQuarantine(_ content: SimulatedDatabase.Content) {
        var held: Set<QuarantinedKey> = []
        let commits = quarantined(content)
        let conflicts = conflicts
        for commit in commits {
            let isRefused =
                conflicts.contains(commit.receipt.firstSequence)
                || commit.changes.contains { change in
                    everRefused.contains { change.concerns($0) }
                }
            let keys = commit.changes.map(\.key)
            let follows = keys.contains { key in
                if held.contains(key) || held.contains(.table(key.table)) { return true }
                guard case .table(let table) = key else { return false }
                return held.contains { $0.table == table }
            }
            guard isRefused || follows else {
                return fail("quarantine", "nothing refuses commit \(commit.receipt)")
            }
            held.formUnion(keys)
        }
        let index = content.quarantine
        if Set(index.held.keys) != held {
            fail("quarantine", "it holds \(index.held.keys), its commits touch \(held)")
        }
        if index.commitCount != commits.count {
            fail("quarantine", "it counts \(index.commitCount) commits of \(commits.count)")
        }
        if let first = commits.first?.receipt.firstSequence, index.lowest > first {
            fail("quarantine", "the log is kept from \(index.lowest), and \(first) is needed")
        }
    }

    func checkNothingIsRefused() {
        guard fault == nil, let left = database.content?.quarantine, !left.isEmpty else { return }
        fail("quarantine", "\(left.held.keys) are still held, and nothing refuses them")
    }

    // MARK: memory

    /// I8: memory keeps to its limits, except for the commit that reached them.
    func checkMemory() {
        guard fault == nil, let engine else { return }
        let used = engine.view.statistics()
        let limit = engine.configuration.dirtyLimit
        if used.dirtyBytes > limit + 1024 {
            fail("memory", "\(used.dirtyBytes) dirty bytes, the limit is \(limit)")
        }
        if used.residentBytes > engine.configuration.cacheLimit {
            fail("memory", "\(used.residentBytes) bytes of cache")
        }
    }

    /// I6, I9: the rows in memory, laid over those in the database, are the model's. Unlike a read, this check
    /// changes nothing.
    func checkView() {
        guard let content = database.content else { return }
        checkMemory()
        forEachRow { row in
            let found = try seen(row, content)
            let right = completed(model.rows[row], row.table)
            if found != right { fail("view", Self.difference(row, found, right)) }
        }
    }

    private func seen(_ row: Row, _ content: SimulatedDatabase.Content) throws -> [StoredValue]? {
        guard let view = engine?.view else { return nil }
        let (table, key) = (UInt16(row.table), Tables.key(row.id))
        let hash = view.hash(table: table, key: key.span)
        let (state, isCounted, found) = view.withShard(of: hash) {
            shard -> (RowState, Bool, [UInt8]) in
            let place = shard.peek(hash, table, key.span)
            guard place.reference != 0 else { return (place.state, false, []) }
            let body = shard.withBody(place.reference) { Array(copying: $0) }
            return (place.state, shard.isCounted(place.reference), body)
        }
        let stored = content.rows[row]
        switch state {
        case .tombstone: return nil
        case .full: return try values(found, row.table)
        case .absent: return try stored.map { try values($0, row.table) }
        // Memory has no value of it.
        case .partial where isCounted: return completed(model.rows[row], row.table)
        case .partial:
            let base = stored ?? RowCodec.noValues
            var merged: [UInt8] = []
            try RowMerge.row(
                base.span, patch: found.span,
                defaults: RowCodec.defaults(schema(row.table)), into: &merged)
            return try values(merged, row.table)
        }
    }

    // MARK: reads

    /// I5, I6, I7, I9: every row reads as in the model.
    func checkReads() { forEachRow(checkRead) }

    private func forEachRow(_ body: (Row) throws -> Void) {
        // Reading a shared table lets the database catch up, so it comes last.
        let tables = (1...Tables.count).filter { engine?.tables[$0] != nil }
        for table in tables.filter({ !Tables.isShared($0) }) + tables.filter(Tables.isShared) {
            for id in ids(of: table) {
                check { try body(Row(table: table, id: id)) }
            }
        }
    }

    private func checkRead(_ row: Row) throws {
        if Tables.isShared(row.table) { return try checkShared(row, maxAge: .zero) }
        let found = try read(row)
        let right = completed(model.rows[row], row.table)
        if found != right { fail("read", Self.difference(row, found, right)) }
    }

    func read(_ row: Row) throws -> [StoredValue]? {
        try engine?.fetchBlocking(UInt16(row.table), Tables.key(row.id)).body.map {
            try values($0, row.table)
        }
    }

    /// I5 while other work goes on: a read shows a state from the time of the read.
    func read(_ row: Row, meanwhile steps: [Step]) throws {
        if Tables.isShared(row.table) { return try readShared(row, meanwhile: steps) }
        let before = model.rows[row]
        let count = model.commits.count
        let found = try whileReading(steps) { try read(row) }
        var state: StoreModel.Rows = [:]
        state[row] = before
        var allowed = [completed(before, row.table)]
        for commit in model.commits[count...] {
            for change in commit.changes where change.concerns(row) {
                StoreModel.apply(change, to: &state)
            }
            allowed.append(completed(state[row], row.table))
        }
        if !allowed.contains(found) {
            fail("read", "\(row) read as \(found.map { "\($0)" } ?? "absent"), none of \(allowed)")
        }
    }

    // MARK: the past

    /// I9: the newest snapshot and the log behind it make the rows as of a commit, which is counted from the last durable
    /// one.
    func lookBack(_ commits: Int) throws {
        guard let log = engine?.log, log.readable > 0 else { return }
        let count = model.count(through: log.readable)
        let point = model.commits[max(0, count - 1 - commits)].receipt.sequence
        var found: [Row: [UInt8]] = [:]
        do {
            let spilling = LogFold.Spilling(
                directory: log.environment.layout.snapshots, memoryLimit: 1 << 20,
                environment: log.environment)
            let history = StoreHistory(
                log.environment, readable: log.readable, spilling: spilling)
            let rows = try history.fold(to: .sequence(point))
            while let row = try rows.next() {
                found[try Tables.row(row.table, row.key.span)] = row.body
            }
        } catch let error as HistoryError {
            // A past state may be gone with deleted log, but never the present state.
            if case .gone = error, commits > 0 { return note("\(error)") }
            throw error
        }
        let expected = model.fold(through: point)
        if let wrong = difference(found, expected) { fail("history", "as of \(point): \(wrong)") }
    }

    // MARK: expiry

    /// The rows that are due now, in the order in which they are deleted.
    var dueRows: [Row] {
        let now = Int64(time.wallMilliseconds() / 1000)
        return model.rows.filter { row, values in
            let schema = schema(row.table)
            guard let column = schema.expiryIndex,
                case .integer(let until) = Tables.completed(values, schema)[column]
            else { return false }
            return until <= now
        }.keys.sorted { ($0.table, $0.id) < ($1.table, $1.id) }
    }

    func checkNothingIsDue() {
        guard fault == nil, let left = dueRows.first else { return }
        fail("expiry", "\(left) is still there")
    }
}

extension StoreModel.Change {
    var key: QuarantinedKey {
        switch self {
        case .put(let row, _), .patch(let row, _, _), .add(let row, _, _, _),
            .putIfAbsent(let row, _), .delete(let row):
            .row(table: row.table, key: Tables.key(row.id))
        case .clear(let table): .table(table)
        }
    }

    func concerns(_ row: Row) -> Bool {
        switch self {
        case .put(let other, _), .patch(let other, _, _), .add(let other, _, _, _),
            .putIfAbsent(let other, _), .delete(let other):
            other == row
        case .clear(let table): table == row.table
        }
    }
}
