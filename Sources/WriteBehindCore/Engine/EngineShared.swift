import EventLog

// Rows of shared tables: other stores change them, too, so the view has none. It only knows when this store has last added
// to a row (CountedRows.swift), and the database must have taken that before it is read. For reads that take a row as it
// was a while ago there are copies (SharedCopies.swift).

extension Engine {
    /// The rows as the database had them at most `maxAge` ago, with everything that this store has added since.
    package nonisolated(nonsending) func fetchShared(
        _ table: UInt16, _ keys: [[UInt8]], maxAge: Duration
    ) async throws(StoreError) -> [[UInt8]?] {
        guard maxAge > .zero else { return try await fetchShared(table, keys).map(\.body) }
        let now = time.monotonicNanoseconds()
        let since = now - min(now, maxAge.nanoseconds)
        var rows: [SharedRow?] = []
        for key in keys { rows.append(try copy(table, key, since: since)) }
        let missing = keys.indices.filter { rows[$0] == nil }
        guard !missing.isEmpty else { return rows.map { $0?.body } }
        for index in missing { beginCopy(table, keys[index]) }
        let stored: [SharedRow]
        do throws(StoreError) {
            stored = try await fetchShared(table, missing.map { keys[$0] })
        } catch {
            for index in missing { endCopy(table, keys[index], nil, at: now) }
            throw error
        }
        for (index, row) in zip(missing, stored) {
            endCopy(table, keys[index], row, at: now)
            rows[index] = try copy(table, keys[index], since: now) ?? row
        }
        return rows.map { $0?.body }
    }

    /// A row from its copy; nil if that was made before `time`, nanoseconds of the monotonic clock, or if there is none.
    package func copy(
        _ table: UInt16, _ key: [UInt8], since time: UInt64
    ) throws(StoreError) -> SharedRow? {
        let hash = view.hash(table: table, key: key.span)
        return try view.withShard(of: hash) { (shard) throws(StoreError) in
            do throws(MalformedRecord) {
                return try shard.copies.row(
                    table, key, since: time, shard.rows.defaults(of: table))
            } catch {
                throw Self.cannotAdd(error)
            }
        }
    }

    private func beginCopy(_ table: UInt16, _ key: [UInt8]) {
        let hash = view.hash(table: table, key: key.span)
        view.withShard(of: hash) { $0.copies.begin(table, key) }
    }

    private func endCopy(_ table: UInt16, _ key: [UInt8], _ row: SharedRow?, at time: UInt64) {
        let hash = view.hash(table: table, key: key.span)
        view.withShard(of: hash) { shard in
            shard.copies.end(table, key, row, at: time, shard.rows.defaults(of: table))
        }
    }

    /// The rows as the database has them, with everything that this store had added before the call. What the database has
    /// refused of that is in quarantine, and not in them.
    private nonisolated(nonsending) func fetchShared(
        _ table: UInt16, _ keys: [[UInt8]]
    ) async throws(StoreError) -> [SharedRow] {
        let last = keys.lazy.map { self.lastChange(table, $0) }.max() ?? 0
        try await waitForDatabase(isDefinedInDatabase(table) ? last : log.lastSequence)
        guard isDefinedInDatabase(table) else {
            throw .database(
                "it has not taken the definition of this table, so its rows are not known; see the quarantine"
            )
        }
        var rows: [SharedRow] = []
        rows.reserveCapacity(keys.count)
        for start in stride(from: 0, to: keys.count, by: Self.keysARead) {
            let part = Array(keys[start..<min(start + Self.keysARead, keys.count)])
            rows += try await read(table, part).map {
                SharedRow(body: $0.body, watermark: $0.watermark)
            }
        }
        return rows
    }

    /// Whether the database has the table as it is declared by now. Until then it may have rows that cannot be read.
    private func isDefinedInDatabase(_ table: UInt16) -> Bool {
        let revision = tables[UInt32(table)]?.revision ?? 0
        return sink.tables.contains { $0.id == UInt32(table) && $0.revision >= revision }
    }

    /// The sequence of this store's last change of a row, if the database may lack it; otherwise 0.
    private func lastChange(_ table: UInt16, _ key: [UInt8]) -> UInt64 {
        let hash = view.hash(table: table, key: key.span)
        return view.withShard(of: hash) { $0.peek(hash, table, key.span).sequence }
    }
}
