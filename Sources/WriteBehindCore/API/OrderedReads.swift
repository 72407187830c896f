// Rows in the order of an index that is given by its name. Types that are coded by hand call these methods, and so do the
// methods with key paths.

extension StoredTable {
    /// The rows with the highest values, the highest first.
    ///
    /// The order is as of the last write, of one moment for each 1,024 rows. The rows are read after that, as ``get(all:)``
    /// reads them. A row that is written in between is returned as it is then. A row that is deleted in between is left out,
    /// and the next one is taken. No row is returned twice.
    ///
    /// - Parameters:
    ///   - count: how many at most.
    ///   - index: its name.
    /// - Throws: ``StoreError/noIndex(table:index:)``, ``StoreError/indexUnavailable(table:index:reason:)``, and what
    ///   ``get(_:cachedFor:)`` throws. While the index is being built, the call waits for it.
    public nonisolated(nonsending) func top(
        _ count: Int, by index: String
    ) async throws(StoreError) -> [Row] {
        try await range(in: index, order: .descending, limit: count).rows
    }

    /// The rows with the lowest values, the lowest first. Otherwise as ``top(_:by:)-(_,String)``.
    public nonisolated(nonsending) func bottom(
        _ count: Int, by index: String
    ) async throws(StoreError) -> [Row] {
        try await range(in: index, order: .ascending, limit: count).rows
    }

    /// How many rows are before the one with this key: 0 for the row with the highest value, or with the lowest if the
    /// order is ascending. Rows with equal values are in the order of their keys, which also goes down in descending order.
    ///
    /// - Returns: nil if there is no such row.
    /// - Throws: as ``top(_:by:)-(_,String)``. The row itself is not read.
    public nonisolated(nonsending) func rank(
        of key: Row.Key, by index: String, order: ReadOrder = .descending
    ) async throws(StoreError) -> Int? {
        let key = try encoded(key)
        let hash = engine.view.hash(table: id, key: key.span)
        return try await engine.index(index, of: id).read { entries in
            entries.rank(hash, key.span).map {
                order == .ascending ? $0 : entries.count - 1 - $0
            }
        }
    }

    /// The row with this key among the rows before and behind it, with their ranks.
    ///
    /// - Parameters:
    ///   - key: the row in the middle.
    ///   - index: its name.
    ///   - count: how many rows before it, and as many behind it, at most.
    /// - Returns: nothing if there is no such row.
    /// - Throws: as ``top(_:by:)-(_,String)``.
    public nonisolated(nonsending) func around(
        _ key: Row.Key, by index: String, count: Int, order: ReadOrder = .descending
    ) async throws(StoreError) -> [RankedRow<Row>] {
        let key = try encoded(key)
        let hash = engine.view.hash(table: id, key: key.span)
        let found = try await engine.index(index, of: id).read { entries in
            entries.around(
                hash, key.span, count: max(0, count), isDescending: order == .descending)
        }
        guard let found else { return [] }
        let rows = try await rows(at: found.rows)
        return zip(found.firstRank..., rows).compactMap { rank, row in
            row.map { RankedRow(rank: rank, row: $0) }
        }
    }

    /// Rows between two values, both included, a page at a time.
    ///
    /// - Parameters:
    ///   - index: its name.
    ///   - from: the values of the row to begin with, in the order of reading: the highest if it is descending. Fewer
    ///     values than the index has columns are those of the first columns. nil begins with the first row.
    ///   - through: the values of the row to end with; nil ends with the last row.
    ///   - order: the direction.
    ///   - limit: how many rows at most.
    ///   - after: ``RowPage/next`` of the page before; nil for the first page.
    /// - Throws: ``StoreError/row(_:)`` for values of other types than the columns', and as
    ///   ``top(_:by:)-(_,String)``.
    public nonisolated(nonsending) func range(
        in index: String, from: [StoredValue]? = nil, through: [StoredValue]? = nil,
        order: ReadOrder = .ascending, limit: Int, after cursor: IndexCursor? = nil
    ) async throws(StoreError) -> RowPage<Row> {
        let index = try engine.index(index, of: id)
        let bounds = try rowErrors { () throws(RowError) in
            (
                try from.map { value throws(RowError) in try index.columns.bound(value, of: name) },
                try through.map { value throws(RowError) in
                    try index.columns.bound(value, of: name)
                }
            )
        }
        return try await page(
            index, part(from: bounds.0, through: bounds.1, order), limit, cursor)
    }

    /// How many rows there are between two values, both included.
    ///
    /// - Parameters:
    ///   - from: the lowest values; fewer than the index has columns are those of the first columns.
    ///   - through: the highest values.
    /// - Throws: as ``range(in:from:through:order:limit:after:)-(String,_,_,_,_,_)``.
    public nonisolated(nonsending) func count(
        in index: String, from: [StoredValue]? = nil, through: [StoredValue]? = nil
    ) async throws(StoreError) -> Int {
        let index = try engine.index(index, of: id)
        let bounds = try rowErrors { () throws(RowError) in
            (
                try from.map { value throws(RowError) in try index.columns.bound(value, of: name) },
                try through.map { value throws(RowError) in
                    try index.columns.bound(value, of: name)
                }
            )
        }
        return try await count(index, part(from: bounds.0, through: bounds.1, .ascending))
    }

    /// All rows in the order of an index, read a few at a time, so that they take little memory.
    ///
    /// The rows are not as of one moment. A row that exists all the time and keeps its values is returned once. A row whose
    /// values change meanwhile may be returned twice, or not at all. The sequence throws as ``top(_:by:)-(_,String)``.
    public func rows(order index: String, _ direction: ReadOrder = .ascending) -> OrderedRows<Row> {
        OrderedRows(table: self, index: index, order: direction)
    }
}

extension StoredTable {
    func part(from: [UInt8]?, through: [UInt8]?, _ order: ReadOrder) -> IndexPart {
        var part = IndexPart()
        part.isDescending = order == .descending
        (part.lower, part.upper) = part.isDescending ? (through, from) : (from, through)
        return part
    }

    nonisolated(nonsending) func count(
        _ index: OrderedIndex, _ part: IndexPart
    ) async throws(StoreError) -> Int {
        try await index.read { $0.ranks(part).count }
    }

    nonisolated(nonsending) func page(
        _ index: OrderedIndex, _ part: IndexPart, _ limit: Int, _ cursor: IndexCursor?
    ) async throws(StoreError) -> RowPage<Row> {
        var part = part
        part.after = cursor?.position
        var rows: [Row] = []
        // The keys of these rows, if the index is read again. A row may have moved to a later place meanwhile.
        var returned: Set<[UInt8]> = []
        while rows.count < limit {
            // Only a part at a time, because writes wait while entries are copied.
            let wanted = min(limit - rows.count, Self.entriesAtOnce)
            // One more shows whether that is all.
            let next = try await index.read { [part] in $0.entries(part, limit: wanted + 1) }
            let found = next.prefix(wanted)
            let read = try await self.rows(at: found)
            let places = read.indices.filter { place in
                read[place] != nil && (returned.isEmpty || !returned.contains(found.key(place)))
            }
            rows += places.compactMap { read[$0] }
            if next.count <= wanted { return RowPage(rows: rows, next: nil) }
            part.after = found.position(found.count - 1)
            if rows.count < limit { returned.formUnion(places.lazy.map { found.key($0) }) }
        }
        return RowPage(rows: rows, next: part.after.map(IndexCursor.init))
    }

    private static var entriesAtOnce: Int { 1024 }

    /// The rows of entries, as ``get(all:)`` reads them.
    nonisolated(nonsending) func rows(at found: IndexedRows) async throws(StoreError) -> [Row?] {
        var rows = [Row?](repeating: nil, count: found.count)
        let unknown = try resident(found, into: &rows)
        guard !unknown.isEmpty else { return rows }
        let keys = unknown.map { found.key($0) }
        let fetched = try await engine.fetch(id, keys)
        for (index, (key, row)) in zip(unknown, zip(keys, fetched)) {
            rows[index] = try row.body.map { body throws(StoreError) in
                try decode(key: key, body: body)
            }
        }
        return rows
    }

    /// Decodes the rows that are in memory. Returns the places of the others.
    private func resident(_ found: IndexedRows, into rows: inout [Row?]) throws(StoreError) -> [Int]
    {
        try encoders.withEncoder { (encoder) throws(StoreError) in
            var (body, unknown): ([UInt8], [Int]) = ([], [])
            swap(&body, &encoder.body)
            defer { swap(&body, &encoder.body) }
            for index in 0..<found.count {
                try found.withKey(index) { (key) throws(StoreError) in
                    switch engine.copyResident(id, key, to: &body) {
                    case .full: rows[index] = try rowOf(key: key, body: body.span)
                    case .tombstone: break
                    case .absent, .partial: unknown.append(index)
                    }
                }
            }
            return unknown
        }
    }
}
