import EventLog

// Rows of shared tables: other stores change them, too, so the view has none. It only knows when this store has last added
// to a row (CountedRows.swift), and the database must have taken that before it is read.

extension Engine {
    /// The rows as the database has them, with everything that this store had added before the call. What the database has
    /// refused of that is in quarantine, and not in them.
    nonisolated(nonsending) func fetchShared(
        _ table: UInt16, _ keys: [[UInt8]]
    ) async throws(StoreError) -> [[UInt8]?] {
        let last = keys.lazy.map { self.lastChange(table, $0) }.max() ?? 0
        try await waitForDatabase(isDefinedInDatabase(table) ? last : log.lastSequence)
        guard isDefinedInDatabase(table) else {
            throw .database(
                "it has not taken the definition of this table, so its rows are not known; see the quarantine"
            )
        }
        var rows: [[UInt8]?] = []
        rows.reserveCapacity(keys.count)
        for start in stride(from: 0, to: keys.count, by: Self.keysARead) {
            let part = Array(keys[start..<min(start + Self.keysARead, keys.count)])
            rows += try await read(table, part).map(\.body)
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
