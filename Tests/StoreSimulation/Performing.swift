import EventLog
import TestSupport
import WriteBehindCore

extension SimulatedStore {
    func perform(_ step: Step) throws {
        switch step {
        case .put(let row, let values, let life): try put(row, values, life)
        case .olderPut(let row, let values): try olderPut(row, values)
        case .insert(let values): try insert(values)
        case .delete(let row): try delete(row)
        case .patch(let row, let column, let value, let meanwhile):
            try patch(row, column, meanwhile) { _ in value }
        case .increment(let row, let amount, let meanwhile):
            try patch(row, 0, meanwhile) { old in
                guard case .integer(let number) = old else { return old }
                return .integer(number + amount)
            }
        case .add(let row, let column, let amount): try add(row, column, amount)
        case .transaction(let changes): try transaction(changes)
        case .clear(let table): try clear(table)
        case .changeTable(let table): try changeTable(table)
        case .addTable: try addTable()
        case .burst(let row, let rows, let count, let values):
            try burst(row, rows, count, values)
        case .mark: try mark()
        case .read(let row, let meanwhile): try read(row, meanwhile: meanwhile)
        case .evict(let row): _ = engine?.evict(UInt16(row.table), Tables.key(row.id).span)
        case .follow(let blocks): try follow(blocks: blocks)
        case .consume(let count, let acknowledges):
            try consume(count, acknowledges: acknowledges)
        case .lookBack(let commits): try lookBack(commits)
        case .flush, .sync, .materialize, .snapshot, .expire: try work(step)
        case .wait, .setClock, .writeBack, .failDisk, .fillDisk, .freeDisk: surround(step)
        case .failTransactions, .failRead, .refuse, .admitAll, .backUp, .putBack,
            .deleteDatabase, .failSecondary, .deleteSecondary:
            disturbDatabase(step)
        case .retry: try retryQuarantine()
        case .skip(let index): try settle(index, with: nil)
        case .correct(let index, let values): try settle(index, with: values)
        case .openASecondTime: openASecondTime()
        case .displace(let what, let steps, let end): displace(what, steps, end)
        case .end(let end): self.end(end)
        }
    }

    private func end(_ end: End) {
        pendingEnd = nil
        guard end.operation > 0, !end.isClosing else { return finish(end) }
        isTroubled = true
        pendingEnd = end
        disk.fail(at: end.operation, with: .errno(5), permanently: true)
    }

    // MARK: - callers

    /// Notes a commit that was acknowledged.
    func wrote(_ receipt: Receipt, _ changes: [StoreModel.Change]) {
        if receipt.firstSequence != model.lastSequence + 1 {
            fail("sequence", "\(receipt) follows \(model.lastSequence)")
        }
        model.append(.init(receipt: receipt, changes: changes))
        note("it is \(receipt.sequence)")
        checkMemory()
    }

    /// The values for the columns that the table has now, out of those for all columns that it may ever have.
    func present(_ values: [StoredValue], _ table: UInt32) -> [StoredValue]? {
        guard let schema = engine?.tables[table]?.schema else { return nil }
        return zip(values, schema.valueColumns).map(Tables.fitting)
    }

    private func put(_ row: Row, _ values: [StoredValue], _ timeToLive: UInt64?) throws {
        guard let engine, let values = present(values, row.table) else { return }
        let body = try RowCodec.encodeRow(values, schema(row.table))
        if Tables.isShared(row.table) { return try putIfAbsent(row, values, body) }
        let receipt = try engine.write(
            .put, table: UInt16(row.table), key: Tables.key(row.id).span, body: body.span,
            deadline: timeToLive.map { engine.milliseconds + $0 })
        wrote(receipt, [.put(row, values)])
    }

    private func olderPut(_ row: Row, _ values: [StoredValue]) throws {
        guard let engine, let table = engine.tables[row.table] else { return }
        let known = Tables.first(row.table)
        guard table.schema.columns.count > known.columns.count else {
            return try put(row, values, nil)
        }
        let values = zip(values, known.valueColumns).map(Tables.fitting)
        let body = try RowCodec.encodeRow(values, known)
        if Tables.isShared(row.table) { return try putIfAbsent(row, values, body) }
        let patch = try RowCodec.patch(settingAllOf: body.span, known)
        let receipt = try engine.write(
            .patch, table: UInt16(row.table), key: Tables.key(row.id).span, body: patch.span)
        wrote(
            receipt,
            values.enumerated().map { .patch(row, column: $0.offset, $0.element) })
    }

    private func delete(_ row: Row) throws {
        guard let engine, engine.tables[row.table] != nil, !Tables.isShared(row.table) else {
            return
        }
        let receipt = try engine.write(
            .delete, table: UInt16(row.table), key: Tables.key(row.id).span, body: Span())
        wrote(receipt, [.delete(row)])
    }

    /// Reads a row and changes a column. Half of the other steps happen while the database is read.
    private func patch(
        _ row: Row, _ column: Int, _ meanwhile: [Step], _ change: (StoredValue) -> StoredValue
    ) throws {
        guard let engine, let table = engine.tables[row.table], !Tables.isShared(row.table) else {
            return
        }
        let half = meanwhile.count / 2
        let fetched = try whileReading(Array(meanwhile[..<half])) {
            try engine.fetchBlocking(UInt16(row.table), Tables.key(row.id))
        }
        guard let body = fetched.body else { return }
        let old = try values(body, row.table)
        guard old.indices.contains(column) else { return }
        let new = Tables.fitting(change(old[column]), table.schema.valueColumns[column])
        let key = Tables.key(row.id)
        let patch = try RowCodec.encodePatch(
            [ColumnChange(column: column, value: new)], table.schema)
        for step in meanwhile[half...] { playInside(step) }
        guard fault == nil else { return }
        var commit = CommitBuilder()
        commit.append(
            .patch, table: UInt16(row.table), key: key.span, body: patch.span,
            before: table.schema.changes == .wholeRows ? body : nil)
        let read = ReadVersion(table: UInt16(row.table), key: key, version: fetched.version)
        guard let receipt = try engine.commit(commit, reads: [read]) else {
            return note("the row has changed")
        }
        let present = completed(model.rows[row], row.table)
        if present != old {
            fail("lost update", "\(row) was \(old), and changed to \(present ?? [])")
        }
        wrote(receipt, [.patch(row, column: column, new)])
    }

    private func transaction(_ changes: [Step.Change]) throws {
        guard let engine else { return }
        var commit = CommitBuilder()
        var applied: [StoreModel.Change] = []
        for change in changes {
            let row = change.row
            let (table, key) = (UInt16(row.table), Tables.key(row.id))
            guard engine.tables[row.table] != nil else { return }
            if let values = change.values.flatMap({ present($0, row.table) }) {
                let body = try RowCodec.encodeRow(values, schema(row.table))
                if Tables.isShared(row.table) {
                    let add = try Self.adding(body, row.table)
                    commit.append(.add, table: table, key: key.span, body: add.span)
                    applied.append(.putIfAbsent(row, values))
                } else {
                    commit.append(.put, table: table, key: key.span, body: body.span)
                    applied.append(.put(row, values))
                }
            } else if !Tables.isShared(row.table) {
                commit.append(.delete, table: table, key: key.span, body: Span())
                applied.append(.delete(row))
            }
        }
        guard !commit.isEmpty else { return }
        wrote(try engine.commit(commit), applied)
    }

    private func clear(_ table: UInt32) throws {
        guard let engine, engine.tables[table] != nil, !Tables.isShared(table) else { return }
        var commit = CommitBuilder()
        commit.appendClear(table: UInt16(table))
        wrote(try engine.commit(commit), [.clear(table)])
    }

    private func changeTable(_ table: UInt32) throws {
        guard let known = engine?.tables[table]?.schema,
            let next = Tables.next(after: known, table)
        else { return }
        try declare(next)
        try declareIndices()
    }

    private func addTable() throws {
        guard let engine,
            let table = (1...Tables.count).first(where: { engine.tables[$0] == nil })
        else { return }
        try declare(Tables.first(table))
        try declareIndices()
    }

    private func burst(_ row: Row, _ rows: Int64, _ count: Int, _ values: [StoredValue]) throws {
        for number in 0..<Int64(count) where fault == nil {
            let id = (row.id + number % rows) % Tables.keyCount(row.table)
            let values = [.integer(number)] + values.dropFirst()
            try put(Row(table: row.table, id: id), values, nil)
        }
    }

    private func mark() throws {
        guard let engine else { return }
        var commit = CommitBuilder()
        commit.appendMark("a moment")
        wrote(try engine.commit(commit), [])
    }

    /// Lets other steps happen while the database is read, if it is read.
    func whileReading<R>(_ steps: [Step], _ body: () throws -> R) rethrows -> R {
        database.withState { state in
            state.whileReading = { [unowned self] in
                for step in steps where fault == nil { playInside(step) }
            }
        }
        defer { database.withState { $0.whileReading = nil } }
        return try body()
    }

    // MARK: - the store's own work

    private func work(_ step: Step) throws {
        guard let store, let engine else { return }
        switch step {
        case .flush(let urgent):
            if urgent { engine.log.flusher?.request(readable: engine.log.lastSequence) }
            _ = engine.log.flusher?.step()
            noteDurable()
            note("durable through \(durable)")
        case .sync:
            engine.log.flusher?.request(durable: engine.log.lastSequence)
            _ = engine.log.flusher?.step()
            noteDurable()
            note("durable through \(durable)")
        case .materialize(let urgent):
            if urgent { store.materializer.request(engine.log.readable) }
            _ = store.materializer.step()
            note("materialized through \(store.materializer.watermark.sequence)")
            checkDatabase()
            stepSecondary(isUrgent: urgent)
        case .snapshot(let urgent, let pieces):
            if urgent { store.snapshotter.request(engine.log.readable) }
            for _ in 0..<pieces {
                guard case .stepAgain = store.snapshotter.step() else { break }
            }
        default: try expire()
        }
    }

    /// Expires rows: some of those that are due are deleted, and nothing else.
    func expire() throws {
        guard let store, let engine else { return }
        let due = dueRows
        let before = engine.log.lastSequence
        let result = Result { try store.expirer.step() }
        let count = Int(engine.log.lastSequence - before)
        guard count <= due.count else { return fail("expiry", "\(count) deleted, due was \(due)") }
        var deleted = due
        if count < due.count {
            // A deleted row is in memory. A row that cannot be read now was not deleted.
            deleted = due.filter { row in
                if case .success(nil) = Result(catching: { try read(row) }) { true } else { false }
            }
            guard deleted.count == count else {
                return fail("expiry", "\(count) deleted, and of those due \(deleted)")
            }
        }
        // In the order in which they were deleted, which their tombstones' sequences show. Those that the database has got
        // meanwhile are in the log. If the disk has stopped, that cannot be read, and due rows are deleted in their order.
        let logged = (try? deletes(after: before)) ?? [:]
        let known = deleted.map { logged[$0] ?? tombstone(of: $0) }
        var left = (before..<before + UInt64(count)).map { $0 + 1 }.filter { !known.contains($0) }[
            ...]
        let versions = zip(deleted, known).map { row, sequence in
            (row, sequence: sequence > 0 ? sequence : left.popFirst() ?? 0)
        }
        for (row, sequence) in versions.sorted(by: { $0.sequence < $1.sequence }) {
            wrote(
                Receipt(firstSequence: sequence, sequence: sequence, store: 0),
                [.delete(row)])
        }
        _ = try result.get()
    }

    /// The sequence of a row's delete in memory; 0 if there is none.
    private func tombstone(of row: Row) -> UInt64 {
        guard let view = engine?.view else { return 0 }
        let (table, key) = (UInt16(row.table), Tables.key(row.id))
        let hash = view.hash(table: table, key: key.span)
        return view.withShard(of: hash) { shard in
            let found = shard.peek(hash, table, key.span)
            return found.state == .tombstone ? found.sequence : 0
        }
    }

    // MARK: - the operator

    func retryQuarantine() throws {
        guard let store else { return }
        let quarantine = Quarantine(
            engine: store.engine, materializer: store.materializer, pins: store.pins)
        let taken = try quarantine.retryBlocking()
        note("\(taken.applied) left quarantine, \(taken.left) stay")
        checkDatabase()
    }

    /// Skips a commit in quarantine, or puts other values in the place of its first row. This waits for what was
    /// written before, so that has to succeed.
    private func settle(_ number: Int, with values: [StoredValue]?) throws {
        guard let store, let engine, !isTroubled else { return }
        catchUp()
        let index = engine.sink.quarantine
        guard fault == nil, let content = database.content, !index.isEmpty else { return }
        // Among them are commits that are there only because they follow another.
        let commits = quarantined(content)
        let commit = commits[number % commits.count]
        let correction = values.flatMap { self.correction(of: commit, $0) }
        let quarantine = Quarantine(
            engine: engine, materializer: store.materializer, pins: store.pins)
        let sequence = commit.receipt.firstSequence
        let result: Result<Receipt, any Error> = Self.waiting { () async throws -> Receipt in
            try await quarantine.settle(
                sequence, reason: "simulated",
                with: correction.map {
                    Quarantine.Correction(
                        table: UInt16($0.row.table), key: Tables.key($0.row.id), body: $0.body)
                }, true)
        }
        let receipt: Receipt
        do {
            receipt = try result.get()
        } catch StoreError.database(let reason) where reason.contains("only be retried") {
            return note(reason)
        }
        let group = commit.changes.lazy.compactMap { index.held[$0.key]?.group }.first
        let keys = group.flatMap { index.groups[$0]?.keys } ?? []
        var changes: [StoreModel.Change] = []
        // The rows of the commit itself come last.
        let own = Set(commit.changes.map(\.key))
        let rows = try keys.map { (isOwn: own.contains($0) ? 1 : 0, row: try Self.row($0)) }
        for (_, row) in rows.sorted(by: {
            ($0.isOwn, $0.row.table, $0.row.id) < ($1.isOwn, $1.row.table, $1.row.id)
        }) {
            if let correction, row == correction.row {
                changes.append(.put(row, correction.values))
                continue
            }
            let body = content.rows[row]
            changes.append(
                try body.map { .put(row, try self.values($0, row.table)) } ?? .delete(row))
        }
        wrote(receipt, changes)
        catchUp()
        let isRefused =
            conflicts.contains(receipt.firstSequence)
            || changes.contains { change in
                guard case .put(let row, _) = change else { return false }
                return database.content?.refused.contains(row) ?? true
            }
        if !isRefused, let content = database.content,
            quarantined(content).contains(where: { $0.receipt.firstSequence == sequence })
        {
            fail("settled", "commit \(sequence) is still in quarantine")
        }
    }

    private static func row(_ key: QuarantinedKey) throws -> Row {
        guard case .row(let table, let bytes) = key else {
            throw SinkError(.corrupt, "a clear was given up")
        }
        return try Tables.row(table, bytes.span)
    }

    private struct Correction: Sendable {
        var row: Row
        var values: [StoredValue]
        var body: [UInt8]
    }

    private func correction(of commit: StoreModel.Commit, _ values: [StoredValue]) -> Correction? {
        for case .row(let table, let key) in commit.changes.map(\.key)
        where !Tables.isShared(table) {
            guard let row = try? Tables.row(table, key.span) else { continue }
            // The values were made for the first table, and fit the others only in part.
            let fitting = Tables.columns(table).map { column in
                values.first { $0.type == column.type } ?? column.missingValue
            }
            guard let present = present(fitting, table),
                let body = try? RowCodec.encodeRow(present, schema(table))
            else { continue }
            return Correction(row: row, values: present, body: body)
        }
        return nil
    }
}
