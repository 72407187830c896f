import EventLog
import TestSupport
import WriteBehindCore

// The table that several stores may add to. Here it has one, so its rows, and the copies of them, are the model's.

extension SimulatedStore {
    /// The add that puts a row if there is none.
    static func adding(_ body: [UInt8], _ table: UInt32) throws -> [UInt8] {
        let patch = try RowCodec.patch(settingAllOf: body.span, Tables.latest(table))
        return RowCodec.encodeAdd(puttingIfAbsent: patch.span)
    }

    func putIfAbsent(_ row: Row, _ values: [StoredValue], _ body: [UInt8]) throws {
        guard let engine else { return }
        let add = try Self.adding(body, row.table)
        let receipt = try engine.write(
            .add, table: UInt16(row.table), key: Tables.key(row.id).span, body: add.span)
        wrote(receipt, [.putIfAbsent(row, values)])
    }

    /// A copy has all that the store has added, whatever the database has of it. A read of the database shows a state from
    /// the time of the read, and its copy the present one.
    func readShared(_ row: Row, meanwhile steps: [Step]) throws {
        guard engine?.tables[row.table] != nil else { return }
        try checkCopy(row)
        let before = completed(model.rows[row], row.table)
        let count = model.commits.count
        // Some copies get old, others do not.
        let age: Duration = row.id.isMultiple(of: 2) ? .milliseconds(100) : .seconds(100_000)
        let (first, rest) = (steps[..<(steps.count / 2)], steps[(steps.count / 2)...])
        database.withState { state in
            state.whileAsking = { [unowned self] in
                for step in first where fault == nil { playInside(step) }
            }
        }
        defer { database.withState { $0.whileAsking = nil } }
        let found = try whileReading(Array(rest)) { try shared(row, maxAge: age) }
        guard fault == nil, isAllAccepted else { return }
        var state: StoreModel.Rows = [:]
        state[row] = before
        var allowed = [before]
        for commit in model.commits[min(count, model.commits.count)...] {
            for change in commit.changes where change.concerns(row) {
                StoreModel.apply(change, to: &state)
            }
            allowed.append(completed(state[row], row.table))
        }
        if !allowed.contains(found) {
            fail(
                "shared", "\(row) read as \(found.map { "\($0)" } ?? "absent"), none of \(allowed)")
        }
        try checkCopy(row)
    }

    func checkShared(_ row: Row, maxAge: Duration) throws {
        try checkCopy(row)
        let found = try shared(row, maxAge: maxAge)
        guard isAllAccepted else { return }
        let right = completed(model.rows[row], row.table)
        if found != right {
            fail("shared", "\(row) is \(found ?? []), and should be \(right ?? [])")
        }
    }

    private func checkCopy(_ row: Row) throws {
        guard let engine, isAllAccepted,
            let copy = try engine.copy(UInt16(row.table), Tables.key(row.id), since: 0)
        else { return }
        let found = try copy.body.map { try values($0, row.table) }
        let right = completed(model.rows[row], row.table)
        if found != right {
            fail("copy", "\(row) is \(found ?? []), and should be \(right ?? [])")
        }
    }

    private func shared(_ row: Row, maxAge: Duration) throws -> [StoredValue]? {
        guard let engine, let store else { return nil }
        let last = engine.log.lastSequence
        engine.stepWorkers(toward: last, steps: patience.withLock { $0 })
        guard store.materializer.watermark.sequence >= last else {
            throw StoreError.database("it has not taken everything")
        }
        let (table, key) = (UInt16(row.table), Tables.key(row.id))
        let body = try Self.waiting {
            try await engine.fetchShared(table, [key], maxAge: maxAge)[0]
        }.get()
        return try body.map { try values($0, row.table) }
    }

    /// What the database refuses is missing from its rows, and may be in copies or not.
    private var isAllAccepted: Bool {
        everRefused.isEmpty && conflicts.isEmpty && database.content?.quarantine.isEmpty ?? false
    }
}
