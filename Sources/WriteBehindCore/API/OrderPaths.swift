// Rows in the order of an index, by the key paths that `@Table` made: `\.score` or `\.byAuthor`.

extension StoredTable {
    /// The rows with the highest values, the highest first.
    ///
    /// ```swift
    /// let best = try await players.top(20, by: \.score)
    /// ```
    ///
    /// The order is as of the last write. The rows are read after that, as ``get(all:)`` reads them. A row that is written in
    /// between is returned as it is then. A row that is deleted in between is left out, and the next one is taken.
    ///
    /// - Parameters:
    ///   - count: how many at most.
    ///   - order: the column, which is marked `@Index`, or the index.
    /// - Throws: ``StoreError/noIndex(table:index:)`` for a column that is not marked,
    ///   ``StoreError/indexUnavailable(table:index:reason:)``, and what ``get(_:cachedFor:)`` throws. While the index is
    ///   being built, the call waits for it.
    public nonisolated(nonsending) func top<Order: TableOrder>(
        _ count: Int, by order: KeyPath<Row.StoredColumns, Order>
    ) async throws(StoreError) -> [Row] where Order.Row == Row {
        try await top(count, by: name(of: order))
    }

    /// The rows with the lowest values, the lowest first. Otherwise as `top(_:by:)`.
    public nonisolated(nonsending) func bottom<Order: TableOrder>(
        _ count: Int, by order: KeyPath<Row.StoredColumns, Order>
    ) async throws(StoreError) -> [Row] where Order.Row == Row {
        try await bottom(count, by: name(of: order))
    }

    /// How many rows are before the one with this key: 0 for the row with the highest value, or with the lowest if the
    /// direction is ascending. Rows with equal values are in the order of their keys, which also goes down in descending
    /// order.
    ///
    /// - Returns: nil if there is no such row.
    /// - Throws: as `top(_:by:)`. The row itself is not read.
    public nonisolated(nonsending) func rank<Order: TableOrder>(
        of key: Row.Key, by order: KeyPath<Row.StoredColumns, Order>,
        order direction: ReadOrder = .descending
    ) async throws(StoreError) -> Int? where Order.Row == Row {
        try await rank(of: key, by: name(of: order), order: direction)
    }

    /// The row with this key among the rows before and behind it, with their ranks.
    ///
    /// - Parameters:
    ///   - key: the row in the middle.
    ///   - order: the column, which is marked `@Index`, or the index.
    ///   - count: how many rows before it, and as many behind it, at most.
    /// - Returns: nothing if there is no such row.
    /// - Throws: as `top(_:by:)`.
    public nonisolated(nonsending) func around<Order: TableOrder>(
        _ key: Row.Key, by order: KeyPath<Row.StoredColumns, Order>, count: Int,
        order direction: ReadOrder = .descending
    ) async throws(StoreError) -> [RankedRow<Row>] where Order.Row == Row {
        try await around(key, by: name(of: order), count: count, order: direction)
    }

    /// Rows between two values, both included, a page at a time.
    ///
    /// ```swift
    /// let page = try await posts.range(in: \.created, from: .distantPast, through: .now, limit: 50)
    /// let next = try await posts.range(
    ///     in: \.created, from: .distantPast, through: .now, limit: 50, after: page.next)
    /// ```
    ///
    /// - Parameters:
    ///   - order: the column, which is marked `@Index`, or the index.
    ///   - from: the value of the row to begin with, in the order of reading: the highest if it is descending. For an
    ///     index over several columns it is a tuple. nil begins with the first row.
    ///   - through: the value of the row to end with; nil ends with the last row.
    ///   - direction: the order of reading.
    ///   - limit: how many rows at most.
    ///   - cursor: ``RowPage/next`` of the page before; nil for the first page.
    /// - Throws: as `top(_:by:)`.
    public nonisolated(nonsending) func range<Order: TableOrder>(
        in order: KeyPath<Row.StoredColumns, Order>, from: Order.Bound? = nil,
        through: Order.Bound? = nil, order direction: ReadOrder = .ascending, limit: Int,
        after cursor: IndexCursor? = nil
    ) async throws(StoreError) -> RowPage<Row> where Order.Row == Row {
        let index = try engine.index(name(of: order), of: id)
        let first = try from.map { value throws(StoreError) in
            try bytes(of: value, Order.self, index)
        }
        let last = try through.map { value throws(StoreError) in
            try bytes(of: value, Order.self, index)
        }
        return try await page(
            index, part(from: first, through: last, direction), limit, cursor)
    }

    /// Rows whose first column of an index has a value, in the order of its other columns, a page at a time.
    ///
    /// ```swift
    /// let newest = try await posts.range(in: \.byAuthor, of: author, order: .descending, limit: 50)
    /// ```
    ///
    /// - Parameters:
    ///   - order: the index.
    ///   - value: the value of its first column.
    ///   - direction: the order of reading.
    ///   - limit: how many rows at most.
    ///   - cursor: ``RowPage/next`` of the page before; nil for the first page.
    /// - Throws: as `top(_:by:)`.
    public nonisolated(nonsending) func range<Order: TableOrder>(
        in order: KeyPath<Row.StoredColumns, Order>, of value: Order.First,
        order direction: ReadOrder = .ascending, limit: Int, after cursor: IndexCursor? = nil
    ) async throws(StoreError) -> RowPage<Row> where Order.Row == Row {
        let index = try engine.index(name(of: order), of: id)
        let bytes = try bytes(ofFirst: value, index)
        return try await page(
            index, part(from: bytes, through: bytes, direction), limit, cursor)
    }

    /// How many rows there are between two values, both included.
    ///
    /// - Parameters:
    ///   - order: the column, which is marked `@Index`, or the index.
    ///   - from: the lowest value; for an index over several columns it is a tuple.
    ///   - through: the highest value.
    /// - Throws: as `top(_:by:)`. No row is read.
    public nonisolated(nonsending) func count<Order: TableOrder>(
        in order: KeyPath<Row.StoredColumns, Order>, from: Order.Bound? = nil,
        through: Order.Bound? = nil
    ) async throws(StoreError) -> Int where Order.Row == Row {
        let index = try engine.index(name(of: order), of: id)
        let first = try from.map { value throws(StoreError) in
            try bytes(of: value, Order.self, index)
        }
        let last = try through.map { value throws(StoreError) in
            try bytes(of: value, Order.self, index)
        }
        return try await count(index, part(from: first, through: last, .ascending))
    }

    /// How many rows have a value in the first column of an index.
    ///
    /// - Throws: as `top(_:by:)`. No row is read.
    public nonisolated(nonsending) func count<Order: TableOrder>(
        in order: KeyPath<Row.StoredColumns, Order>, of value: Order.First
    ) async throws(StoreError) -> Int where Order.Row == Row {
        let index = try engine.index(name(of: order), of: id)
        let bytes = try bytes(ofFirst: value, index)
        return try await count(index, part(from: bytes, through: bytes, .ascending))
    }

    /// All rows in the order of an index, read a few at a time, so that they take little memory.
    ///
    /// ```swift
    /// for try await post in posts.rows(order: \.created) { … }
    /// ```
    ///
    /// The rows are not as of one moment. A row that exists all the time and keeps its values is returned once. A row whose
    /// values change meanwhile may be returned twice, or not at all. The sequence throws as `top(_:by:)`.
    public func rows<Order: TableOrder>(
        order: KeyPath<Row.StoredColumns, Order>, _ direction: ReadOrder = .ascending
    ) -> OrderedRows<Row> where Order.Row == Row {
        rows(order: name(of: order), direction)
    }

    private func name<Order: TableOrder>(
        of order: KeyPath<Row.StoredColumns, Order>
    ) -> String {
        switch Row.StoredColumns()[keyPath: order].reference.kind {
        case .column(let index): layout.valueNames[index]
        case .name(let name): name
        }
    }

    private func bytes<Order: TableOrder>(
        of bound: Order.Bound, _ order: Order.Type, _ index: OrderedIndex
    ) throws(StoreError) -> [UInt8] {
        var encoder = index.columns.bound(of: name)
        Order.encode(bound, to: &encoder)
        return try rowErrors { [encoder] () throws(RowError) in try encoder.encoded() }
    }

    private func bytes(
        ofFirst value: some IndexValue, _ index: OrderedIndex
    ) throws(StoreError) -> [UInt8] {
        var encoder = index.columns.bound(of: name)
        value.encode(to: &encoder)
        return try rowErrors { [encoder] () throws(RowError) in try encoder.encoded() }
    }
}
