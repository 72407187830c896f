// Calls that are made of others: insert, many rows at once, a subscript.

extension StoredTable {
    /// The row with this key, as ``get(_:cachedFor:)`` returns it.
    public nonisolated(nonsending) subscript(key: Row.Key) -> Row? {
        get async throws(StoreError) { try await get(key) }
    }

    /// The rows with these keys, each as of the last write: from memory, and the rest together from the database.
    ///
    /// The rows are not as of one moment. To read rows that belong together, use ``Store/transaction(_:)-42hz8``.
    ///
    /// - Returns: a row for each key, in the order of the keys; nil if there is none.
    /// - Throws: as ``get(_:cachedFor:)``.
    public nonisolated(nonsending) func get(
        all keys: some Sequence<Row.Key>
    ) async throws(StoreError) -> [Row?] {
        let keys = try keys.map { key throws(StoreError) in try encoded(key) }
        let fetched = try await engine.fetch(id, keys)
        return try zip(keys, fetched).map { (key, fetched) throws(StoreError) in
            try fetched.body.map { body throws(StoreError) in try decode(key: key, body: body) }
        }
    }

    /// Writes rows as one commit: after a crash all of them are there or none, and no read sees only some.
    ///
    /// It takes fewer locks than a ``put(_:cachedFor:)`` for each row. If two rows have the same key, the later one stays.
    /// The rows must fit into one commit, about 1 MiB; write more of them in parts.
    ///
    /// - Returns: the commit's receipt; nil, having logged nothing, if there are no rows.
    /// - Throws: ``StoreError/commitTooLarge(bytes:limit:)``, and the errors of any write. Then nothing was written.
    @discardableResult
    public func put(contentsOf rows: some Sequence<Row>) throws(StoreError) -> Receipt? {
        var transaction = Transaction(engine: engine)
        for row in rows { try transaction.put(row, in: self) }
        return try transaction.commitWithoutReads()
    }

    /// Writes a row that must not be there yet.
    ///
    /// Reads first, from the database if memory does not have the row. Two inserts of one key at the same time do not
    /// both succeed.
    ///
    /// - Throws: ``StoreError/duplicateKey(table:key:)`` if there is a row with its key, and the errors of any write or read.
    @discardableResult
    public nonisolated(nonsending) func insert(
        _ row: Row
    ) async throws(StoreError) -> Receipt {
        let (key, _) = try encoded(row)
        var turn = Turn(engine)
        defer { turn.end() }
        while true {
            let fetched = try await engine.fetch(id, key)
            guard fetched.body == nil else { throw duplicate(key) }
            var transaction = Transaction(engine: engine)
            try transaction.put(row, in: self)
            let read = ReadVersion(table: id, key: key, version: fetched.version)
            if let receipt = try turn.commit(transaction.commit, reads: [read]) { return receipt }
            try await turn.next([read])
        }
    }

    func missing(_ key: [UInt8]) -> StoreError {
        .noSuchRow(table: name, key: layout.schema.text(ofKey: key))
    }

    func duplicate(_ key: [UInt8]) -> StoreError {
        .duplicateKey(table: name, key: layout.schema.text(ofKey: key))
    }
}
