import EventLog

extension Engine {
    /// A row as it is now, and the version to check when a commit relies on it.
    package struct Fetched: Sendable {
        /// nil: there is no such row.
        package var body: [UInt8]?
        package var version: ReadVersion.Version
        /// Whether the row was read from the database. Its sequence is then the database's watermark, not that of a commit.
        package var isFromDatabase = false
    }

    /// A row as it is in memory. The database is not read.
    enum Resident: Sendable {
        case known(Fetched)
        /// Only the database has it. Its answer is valid if ``Shard/sinkGeneration`` is still the same when it arrives.
        case unknown(generation: UInt64)
        /// The database must have taken its changes before it is read: see CountedRows.swift.
        case counted
    }

    /// Looks a row up in memory.
    func resident(_ table: UInt16, _ key: Span<UInt8>) -> Resident {
        let hash = view.hash(table: table, key: key)
        return view.withShard(of: hash) { shard in
            let found = shard.lookup(hash, table, key, now: milliseconds)
            switch found.state {
            case .full:
                let body = shard.withBody(found.reference) { Array(copying: $0) }
                return .known(
                    Fetched(
                        body: body, version: .resident(sequence: found.sequence),
                        isFromDatabase: shard.isFilled(found.reference)))
            case .tombstone:
                return .known(Fetched(body: nil, version: .resident(sequence: found.sequence)))
            case .absent, .partial:
                if shard.isCounted(found.reference) { return .counted }
                return .unknown(generation: shard.sinkGeneration)
            }
        }
    }

    /// Copies the row in memory, if it is there, into `body`, replacing its bytes.
    func copyResident(
        _ table: UInt16, _ key: Span<UInt8>, to body: inout [UInt8]
    ) -> RowState {
        let hash = view.hash(table: table, key: key)
        return view.withShard(of: hash) { shard in
            let found = shard.lookup(hash, table, key, now: milliseconds)
            guard found.state == .full else { return found.state }
            shard.withBody(found.reference) { row in
                body.removeAll(keepingCapacity: true)
                unsafe row.withUnsafeBufferPointer { unsafe body.append(contentsOf: $0) }
            }
            return .full
        }
    }

    /// Hands out the bytes of a whole row that is in memory, with its shard locked.
    @inline(__always)
    func withResident(
        _ table: UInt16, _ key: Span<UInt8>, _ body: (Span<UInt8>) throws -> Void
    ) rethrows {
        let hash = view.hash(table: table, key: key)
        try view.withShard(of: hash) { shard in
            let found = shard.lookup(hash, table, key, now: milliseconds)
            if found.state == .full { try shard.withBody(found.reference, body) }
        }
    }

    /// The row as of the last acknowledged write (I5), from memory or else from the database, which
    /// then fills the view.
    package nonisolated(nonsending) func fetch(
        _ table: UInt16, _ key: [UInt8], deadline: UInt64? = nil
    ) async throws(StoreError) -> Fetched {
        var tries = 0
        while true {
            switch resident(table, key.span) {
            case .known(let fetched): return fetched
            case .unknown(let generation):
                let stored = try await read(table, [key])[0]
                if let fetched = try fill(table, key, stored, generation, deadline) {
                    return fetched
                }
            case .counted:
                let fetched = try await fetchCounted(table, [key], deadline: deadline)
                if let fetched = fetched[0] { return fetched }
                tries += 1
                if tries == Self.countedTries { throw Self.isBehind }
            }
        }
    }

    /// Rows, each as of the last acknowledged write. Those that are not in memory are read together from the database.
    nonisolated(nonsending) func fetch(
        _ table: UInt16, _ keys: [[UInt8]]
    ) async throws(StoreError) -> [Fetched] {
        var found = [Fetched?](repeating: nil, count: keys.count)
        var tries = 0
        while true {
            var unknown: [(index: Int, generation: UInt64)] = []
            var counted: [Int] = []
            for index in keys.indices where found[index] == nil {
                let key = keys[index]
                switch resident(table, key.span) {
                case .known(let fetched): found[index] = fetched
                case .unknown(let generation): unknown.append((index, generation))
                case .counted: counted.append(index)
                }
            }
            for start in stride(from: 0, to: counted.count, by: Self.keysARead) {
                let part = counted[start..<min(start + Self.keysARead, counted.count)]
                let fetched = try await fetchCounted(table, part.map { keys[$0] })
                for (index, fetched) in zip(part, fetched) { found[index] = fetched }
            }
            if !counted.isEmpty { tries += 1 }
            if tries == Self.countedTries { throw Self.isBehind }
            // All were in memory.
            if unknown.isEmpty, counted.isEmpty { return found.map { $0! } }
            // Only a part at a time: a long read of one snapshot keeps the database from reusing its WAL.
            for start in stride(from: 0, to: unknown.count, by: Self.keysARead) {
                let part = unknown[start..<min(start + Self.keysARead, unknown.count)]
                let stored = try await read(table, part.map { keys[$0.index] })
                for (place, row) in zip(part, stored) {
                    found[place.index] = try fill(
                        table, keys[place.index], row, place.generation, nil)
                }
            }
        }
    }

    static let keysARead = 1000

    /// ``fetch(_:_:deadline:)`` for the store's own threads, which may block.
    package func fetchBlocking(_ table: UInt16, _ key: [UInt8]) throws(StoreError) -> Fetched {
        var tries = 0
        while true {
            switch resident(table, key.span) {
            case .known(let fetched): return fetched
            case .unknown(let generation):
                let stored = try readBlocking(table, key)
                if let fetched = try fill(table, key, stored, generation, nil) { return fetched }
            case .counted:
                if let fetched = try fetchCountedBlocking(table, [key])[0] { return fetched }
                tries += 1
                if tries == Self.countedTries { throw Self.isBehind }
            }
        }
    }

    func readBlocking(_ table: UInt16, _ key: [UInt8]) throws(StoreError) -> StoredRow {
        let undefined = notDefinedYet
        let sink = try readableSink()
        guard sink.holds(UInt32(table)) else { return undefined }
        let stored: StoredRow
        do throws(SinkError) {
            stored = try sink.read(UInt32(table), key: key.span)
        } catch {
            throw refused(error, by: sink)
        }
        return try checked(stored, of: sink, since: undefined.watermark)
    }

    nonisolated(nonsending) func read(
        _ table: UInt16, _ keys: [[UInt8]]
    ) async throws(StoreError) -> [StoredRow] {
        let undefined = notDefinedYet
        let sink = try readableSink()
        guard sink.holds(UInt32(table)) else {
            return Array(repeating: undefined, count: keys.count)
        }
        let stored: [StoredRow]
        do throws(SinkError) {
            stored = try await sink.read(UInt32(table), keys: keys)
        } catch {
            // A cancelled read fails, and nothing is wrong with the database.
            if Task.isCancelled { throw .cancelled }
            if case .closed? = log.refusal { throw StoreError(LogError.closed) }
            throw refused(error, by: sink)
        }
        return try stored.map { row throws(StoreError) in
            try checked(row, of: sink, since: undefined.watermark)
        }
    }

    /// A page of the rows that the database holds, in the order of their keys.
    func scan(
        _ table: UInt16, columns: [Int], after key: [UInt8]?, limit: Int
    ) throws(StoreError) -> ScannedRows {
        let reached = notDefinedYet.watermark
        let sink = try readableSink()
        guard sink.holds(UInt32(table)) else { return ScannedRows(rows: [], watermark: reached) }
        let rows: ScannedRows
        do throws(SinkError) {
            rows = try sink.scan(UInt32(table), columns: columns, after: key, limit: limit)
        } catch {
            throw refused(error, by: sink)
        }
        try check(rows.watermark, of: sink, since: reached)
        return rows
    }

    private func checked(
        _ stored: StoredRow, of sink: any Sink, since reached: UInt64
    ) throws(StoreError) -> StoredRow {
        try check(stored.watermark, of: sink, since: reached)
        return stored
    }

    /// If a backup is copied over the database's file, its watermark goes back. Without this check, a read would ask it again
    /// and again until the next write notices.
    private func check(
        _ watermark: UInt64, of sink: any Sink, since reached: UInt64
    ) throws(StoreError) {
        guard watermark < reached else { return }
        let error = SinkError(.gone, "another program changed the database's watermark")
        sinkFailure.withLock { $0 = (sink, error) }
        throw StoreError(error)
    }

    /// A read may find damage long before a write does.
    private func refused(_ error: SinkError, by sink: any Sink) -> StoreError {
        if error.kind == .corrupt, error.callsForReplacement {
            sinkFailure.withLock { $0 = (sink, error) }
        }
        // It was closed after this read had begun, because another database replaces it.
        if error.kind == .gone, sinkIsBehind || self.sink !== sink { return Self.isBeingReplaced }
        return StoreError(error)
    }

    /// The answer for a table whose definition the database has not reached yet. To be made before the database is
    /// read, because it may reach the definition, and rows, at any moment.
    private var notDefinedYet: StoredRow {
        StoredRow(body: nil, watermark: materialized.reached)
    }

    /// Gives the view what the database held; nil if the view has something newer, or a newer snapshot is
    /// needed.
    private func fill(
        _ table: UInt16, _ key: [UInt8], _ stored: StoredRow, _ generation: UInt64,
        _ deadline: UInt64?
    ) throws(StoreError) -> Fetched? {
        let hash = view.hash(table: table, key: key.span)
        let (filled, patch) = view.withShard(of: hash) { shard -> (Shard.Fill?, [UInt8]?) in
            let found = shard.peek(hash, table, key.span)
            let patch =
                found.state == .partial
                ? shard.withBody(found.reference) { Array(copying: $0) } : nil
            if let body = stored.body {
                let filled = try? shard.fill(
                    hash, table, key.span, row: body.span, asOf: stored.watermark,
                    generation: generation, deadline: deadline)
                return (filled, patch)
            }
            let filled = try? shard.fill(
                hash, table, key.span, row: nil, asOf: stored.watermark, generation: generation)
            return (filled, patch)
        }
        switch filled {
        case .filled where patch == nil:
            // Not looked up again, because its time to live may already be over.
            return Fetched(
                body: stored.body, version: .resident(sequence: stored.watermark),
                isFromDatabase: true)
        case .filled, .present, .lookAgain: return nil
        case .absent where patch.map { makesRow($0, in: table) } ?? false:
            let nothing = StoredRow(body: RowCodec.noValues, watermark: stored.watermark)
            return try fill(table, key, nothing, generation, deadline)
        case .absent where patch != nil:
            throw .database("a row that the log changes is missing; run `writebehind verify`")
        case .unkept, .absent:
            return Fetched(
                body: stored.body, version: .stored(watermark: stored.watermark),
                isFromDatabase: true)
        case nil: throw .database("a row cannot be decoded")
        }
    }

    private func makesRow(_ patch: [UInt8], in table: UInt16) -> Bool {
        guard let schema = tables[UInt32(table)]?.schema,
            let changes = try? RowCodec.decodePatch(patch.span, schema)
        else { return false }
        return RowCodec.makesRow(changes.map(\.column), schema)
    }

    /// Drops the cached copy of a row, unless the database does not hold its last change yet.
    @discardableResult
    package func evict(_ table: UInt16, _ key: Span<UInt8>) -> Bool {
        let hash = view.hash(table: table, key: key)
        return view.withShard(of: hash) { $0.evict(hash, table, key) }
    }
}
