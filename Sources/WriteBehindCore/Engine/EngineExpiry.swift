import EventLog

/// A table whose rows are deleted when their time has come.
struct ExpiringTable {
    let id: UInt16
    /// The place of the column with a row's time, among the columns outside the key.
    let column: Int
    /// The value of rows that were written before the column existed.
    private let missing: Int64?

    init?(_ definition: TableDefinition) {
        guard let column = definition.schema.expiryIndex else { return nil }
        id = UInt16(definition.id)
        self.column = column
        if case .integer(let value) = definition.schema.valueColumns[column].missingValue {
            missing = value
        } else {
            missing = nil
        }
    }

    /// Whether a row's time is at or before `now`, in seconds since 1970.
    func isDue(_ row: Span<UInt8>, _ now: Int64) -> Bool {
        guard let time = try? time(of: row) else { return false }
        return time <= now
    }

    private func time(of row: Span<UInt8>) throws -> Int64? {
        var reader = ByteReader(0..<row.count)
        guard try reader.count(row) > column else { return missing }
        for _ in 0..<column { try reader.skipValue(row) }
        return try reader.tag(row) == .integer ? try reader.rowInteger(row) : nil
    }
}

/// Rows that may be due, and up to which point the database's answer about them is valid.
struct DueCandidates {
    var keys: [[UInt8]]
    /// The database's watermark when it reported them as due; nil if it did not report them.
    var watermark: UInt64?
    /// ``Shard/sinkGeneration`` of every shard before the database was read.
    var generations: [UInt64]
}

extension Engine {
    /// How many rows are deleted while a shard's lock is held: some 10 µs.
    private static let rowsPerLock = 32

    /// Deletes those of the candidates that are still due under their shards' locks.
    ///
    /// Each delete is a commit of its own, so one that the database refuses takes no other into quarantine.
    ///
    /// - Returns: the rows for which only the database can decide whether they are due.
    func deleteDue(
        _ candidates: DueCandidates, of table: ExpiringTable, now: Int64
    ) throws(StoreError) -> [[UInt8]] {
        var turns: [DueShard] = (0..<view.shardCount).map { number in
            DueShard(
                number: number, watermark: candidates.watermark,
                generation: candidates.generations[number])
        }
        for key in candidates.keys {
            let hash = view.hash(table: table.id, key: key.span)
            turns[view.shardNumber(of: hash)].rows.append((hash, key))
        }
        // A few rows of each shard in turn, so that others get the shards in between.
        while turns.contains(where: { !$0.isDone }) {
            for index in turns.indices where !turns[index].isDone {
                let outcome = try delete(&turns[index], of: table, now)
                if let outcome { wait(outcome) }
            }
        }
        return turns.flatMap(\.unknown)
    }

    /// Returns what the caller must wait for before the next row.
    private func delete(
        _ turn: inout DueShard, of table: ExpiringTable, _ now: Int64
    ) throws(StoreError) -> Staging.Outcome? {
        try view.withShard(number: turn.number) {
            (shard) throws(StoreError) -> Staging.Outcome? in
            for _ in 0..<Self.rowsPerLock where !turn.isDone {
                let (hash, key) = turn.rows[turn.next]
                switch turn.judge(&shard, hash, key, of: table, now) {
                case .due:
                    try admit(&shard, Shard.cost(keyLength: key.count, bodyLength: 0))
                    let outcome = try append(deleteOf: key, in: table.id)
                    guard case .appended(let sequence) = outcome else { return outcome }
                    shard.delete(hash, table.id, key.span, sequence: sequence)
                    if mayHaveIndex(table.id) {
                        index(.delete, hash, table.id, key.span, Span())
                    }
                case .unknown: turn.unknown.append(key)
                case .notDue: break
                }
                turn.next += 1
            }
            return nil
        }
    }

    private func append(
        deleteOf key: [UInt8], in table: UInt16
    ) throws(StoreError) -> Staging.Outcome {
        var commit = CommitBuilder()
        commit.append(.delete, table: table, key: key.span, body: Span())
        return try unsafe append(
            commit.bytes.span.bytes, count: commit.count, flags: commit.flags)
    }
}

/// The rows of one shard that may be due.
private struct DueShard {
    enum Verdict {
        case due
        case notDue
        case unknown
    }

    let number: Int
    let watermark: UInt64?
    let generation: UInt64
    var rows: [(hash: UInt64, key: [UInt8])] = []
    var next = 0
    var unknown: [[UInt8]] = []

    init(number: Int, watermark: UInt64?, generation: UInt64) {
        self.number = number
        self.watermark = watermark
        self.generation = generation
    }

    var isDone: Bool { next == rows.count }

    func judge(
        _ shard: inout Shard, _ hash: UInt64, _ key: [UInt8], of table: ExpiringTable, _ now: Int64
    ) -> Verdict {
        let found = shard.peek(hash, table.id, key.span)
        switch found.state {
        case .full:
            return shard.withBody(found.reference) { table.isDue($0, now) } ? .due : .notDue
        case .tombstone: return .notDue
        case .partial: return .unknown
        case .absent:
            // The row is as the database reported it, unless it was written since and has left memory.
            guard let watermark, shard.isCurrent(table.id, asOf: watermark),
                shard.sinkGeneration == generation
            else { return .unknown }
            return .due
        }
    }
}
