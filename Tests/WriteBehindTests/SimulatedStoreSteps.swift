import EventLog
import TestSupport
import WriteBehind

// What may happen to a store, one thing at a time.

extension SimulatedStore {
    /// Does one thing that the seed chooses.
    func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<28: try write()
        case 28..<38: try update()
        case 38..<42: try transaction()
        case 42..<45: try clear()
        case 45..<58: flush()
        case 58..<70: materialize()
        case 70..<76: time.advance(milliseconds: .random(in: 0...200, using: &random))
        case 76..<84: try evict()
        case 84..<90: try readWhileOthersWork()
        case 90..<92: failNextTransactions()
        case 92..<95: try refuseOrAdmitARow()
        case 95: try retryQuarantine()
        case 96: try extend()
        case 97: backUp()
        default: try endOfLife()
        }
    }

    private func note(_ what: String) { trace.append(what) }

    private var someTable: UInt32 { UInt32.random(in: 1...2, using: &random) }
    private var someID: Int64 { Int64.random(in: 0..<Self.keyCount, using: &random) }
    private var someNumber: Value { .integer(.random(in: -1000...1000, using: &random)) }

    private func someValues(_ table: UInt32) -> [Value] {
        guard table == 1 else { return [someNumber] }
        let name: Value = Bool.random(using: &random) ? .null : .text("n\(random.next() % 100)")
        let extra = schema(1).valueColumns.count > 2 ? [someNumber] : []
        return [someNumber, name] + extra
    }

    // MARK: writes

    private func write() throws {
        guard let engine else { return }
        let row = try row(someTable, someID)
        let table = UInt16(row.table)
        if Int.random(in: 0..<4, using: &random) == 0 {
            let receipt = try engine.write(.delete, table: table, key: row.key.span, body: Span())
            model.append(.init(receipt: receipt, changes: [.delete(row)]))
            return note("\(receipt.sequence) delete \(row)")
        }
        let values = someValues(row.table)
        let body = try RowCodec.encodeRow(values, schema(row.table))
        let deadline: UInt64? =
            Int.random(in: 0..<5, using: &random) == 0 ? engine.milliseconds + 50 : nil
        let receipt = try engine.write(
            .put, table: table, key: row.key.span, body: body.span, deadline: deadline)
        model.append(.init(receipt: receipt, changes: [.put(row, values)]))
        note("\(receipt.sequence) put \(row) \(values)")
    }

    private func update() throws {
        guard let engine else { return }
        let row = try row(someTable, someID)
        interleave()
        guard let fetched = try engine.fetchBlocking(UInt16(row.table), row.key),
            fetched.body != nil
        else { return }
        let columns = schema(row.table).valueColumns.count
        let column = row.table == 1 && columns > 2 ? [0, 2].randomElement(using: &random) ?? 0 : 0
        let change = ColumnChange(column: column, value: someNumber)
        let patch = try RowCodec.encodePatch([change], schema(row.table))
        var commit = CommitBuilder()
        commit.append(.patch, table: UInt16(row.table), key: row.key.span, body: patch.span)
        if Bool.random(using: &random) { try write() }
        let read = ReadVersion(table: UInt16(row.table), key: row.key, version: fetched.version)
        guard let receipt = try engine.commit(commit, reads: [read]) else { return }
        if model.rows[row] == nil { fault("a patch of \(row), which is not there, was taken") }
        model.append(
            .init(
                receipt: receipt, changes: [.patch(row, column: column, change.value)]))
        note("\(receipt.sequence) patch \(row) \(change)")
    }

    private func transaction() throws {
        guard let engine else { return }
        var commit = CommitBuilder()
        var changes: [StoreModel.Change] = []
        for _ in 0..<Int.random(in: 2...5, using: &random) {
            let row = try row(someTable, someID)
            if Bool.random(using: &random) {
                let values = someValues(row.table)
                let body = try RowCodec.encodeRow(values, schema(row.table))
                commit.append(.put, table: UInt16(row.table), key: row.key.span, body: body.span)
                changes.append(.put(row, values))
            } else {
                commit.append(.delete, table: UInt16(row.table), key: row.key.span, body: Span())
                changes.append(.delete(row))
            }
        }
        let receipt = try engine.commit(commit)
        model.append(.init(receipt: receipt, changes: changes))
        note("\(receipt.sequence) transaction \(changes)")
    }

    private func clear() throws {
        guard let engine else { return }
        let table = someTable
        var commit = CommitBuilder()
        commit.appendClear(table: UInt16(table))
        let receipt = try engine.commit(commit)
        model.append(.init(receipt: receipt, changes: [.clear(table)]))
        note("\(receipt.sequence) clear \(table)")
    }

    private func extend() throws {
        guard let engine, schema(1).valueColumns.count == 2 else { return }
        _ = try engine.declare(Self.extended)
        note("\(engine.log.lastSequence) extend")
    }

    // MARK: the store's own work

    private func flush() {
        if let log = engine?.log {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: log.flusher?.request(durable: log.lastSequence)
            case 1: log.flusher?.request(synced: log.lastSequence)
            default: break
            }
        }
        _ = engine?.log.flusher?.step()
        noteDurable()
    }

    private func materialize() {
        guard let store else { return }
        if Bool.random(using: &random) { store.materializer.request(store.engine.log.durable) }
        _ = store.materializer.step()
        note("materialized \(store.materializer.watermark.sequence)")
        checkDatabase()
    }

    /// Everything goes to the database that can.
    func settle() {
        guard let store, let log = engine?.log else { return }
        log.flusher?.request(durable: log.lastSequence)
        while log.durable < log.lastSequence { _ = log.flusher?.step() }
        var tries = 0
        while store.materializer.watermark.sequence < log.durable, tries < 10_000 {
            tries += 1
            store.materializer.request(log.durable)
            if case .wait = store.materializer.step() { time.advance(milliseconds: 1000) }
        }
        if store.materializer.watermark.sequence < log.durable {
            fault("the database does not catch up")
        }
        checkDatabase()
    }

    // MARK: reads

    private func evict() throws {
        guard let engine else { return }
        let row = try row(someTable, someID)
        let isGone = engine.evict(UInt16(row.table), row.key.span)
        note("evict \(row): \(isGone)")
    }

    /// Lets other things happen while the next read of the database is under way.
    private func interleave() {
        let count = Int.random(in: 0...6, using: &random)
        database.withState { state in
            state.whileReading = { [unowned self] in
                for _ in 0..<count {
                    do { try stepBesideARead() } catch { fault("beside a read: \(error)") }
                }
            }
        }
    }

    private func stepBesideARead() throws {
        switch Int.random(in: 0..<8, using: &random) {
        case 0..<3: try write()
        case 3: flush()
        case 4..<6: materialize()
        default: try evict()
        }
    }

    /// I5 against racing writes, evictions and materialization: a read shows a state of its own time.
    private func readWhileOthersWork() throws {
        let row = try row(someTable, someID)
        let start = model.commits.count
        let before = completed(model.rows[row], row.table)
        interleave()
        let found = try read(row)
        database.withState { $0.whileReading = nil }
        var allowed = [before]
        var replay = StoreModel()
        for (index, commit) in model.commits.enumerated() {
            replay.append(commit)
            if index >= start { allowed.append(completed(replay.rows[row], row.table)) }
        }
        guard !allowed.contains(found) else { return }
        fault("\(row) read as \(String(describing: found)), none of \(allowed)")
    }

    // MARK: trouble

    private func failNextTransactions() {
        let kinds: [SinkError.Kind] = [.busy, .diskFull, .io]
        let count = Int.random(in: 1...3, using: &random)
        let kind = kinds.randomElement(using: &random) ?? .busy
        database.withState { state in
            state.failures += (0..<count).map { _ in SinkError(kind, "injected") }
        }
        note("the next \(count) transactions fail")
    }

    private func refuseOrAdmitARow() throws {
        let row = try row(someTable, someID)
        database.withState { state in
            if state.refused.count > 1 {
                state.refused.removeAll()
            } else {
                state.refused.insert(row)
            }
        }
        note("refused: \(database.withState(\.refused))")
    }

    private func retryQuarantine() throws {
        guard let store else { return }
        let quarantine = Quarantine(
            engine: store.engine, materializer: store.materializer, pins: store.pins)
        let taken = try? quarantine.retry()
        note("retried: \(String(describing: taken))")
        checkDatabase()
    }

    private func backUp() {
        backup = database.content
        note("backed up at \(backup?.watermark.sequence ?? 0)")
    }

    private func endOfLife() throws {
        // Whatever was to fail has failed.
        database.withState { $0.failures = [] }
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1:
            note("killed")
            try crash(.process)
        case 2, 3:
            note("power lost")
            try crash(.power)
            backup = nil  // it may reflect what was lost
        case 4:
            note("closed and reopened")
            try reopen(database: database.content)
        default:
            note("reopened with the database of \(backup?.watermark.sequence ?? 0)")
            try reopen(database: backup)
        }
    }
}
