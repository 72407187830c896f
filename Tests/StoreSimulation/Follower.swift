import EventLog
import WriteBehindCore

/// A reader that follows the log through all lives: it misses nothing and sees nothing twice.
struct Follower {
    /// The last sequence that it has seen.
    private(set) var position: UInt64 = 0
    private var reader: LogReader?

    /// The reader's process ended together with the store's.
    mutating func reopen() { reader = nil }

    /// Follows some blocks further. Returns the fault, or nil.
    mutating func follow(
        _ log: Log, blocks: Int, _ body: (StoreModel.Commit) throws -> String?
    ) throws -> String? {
        do {
            let reader = try reader ?? log.reader(from: position + 1)
            self.reader = reader
            for _ in 0..<blocks {
                guard try reader.next(through: log.readable) else { break }
                let payload = reader.payload
                var commits = try reader.commits()
                while let commit = try commits.next(payload.span) {
                    if let wrong = try see(commit, payload, body) { return wrong }
                }
            }
            return nil
        } catch {
            reader = nil
            guard case LogError.deleted(_, let oldest) = error else { throw error }
            guard let oldest, oldest > position + 1 else {
                return "\(position + 1) is gone, and the log starts at \(oldest ?? 0)"
            }
            position = oldest - 1
            return nil
        }
    }

    private mutating func see(
        _ commit: Commit, _ payload: [UInt8], _ body: (StoreModel.Commit) throws -> String?
    ) throws -> String? {
        // A reader starts with the whole block that holds the sequence it was asked for.
        guard commit.lastSequence > position else { return nil }
        guard commit.firstSequence == position + 1 else {
            return "commit \(commit.firstSequence) comes after \(position)"
        }
        position = commit.lastSequence
        let receipt = Receipt(
            firstSequence: commit.firstSequence, sequence: commit.lastSequence, store: 0)
        var seen = StoreModel.Commit(receipt: receipt)
        var records = ByteReader(commit.records)
        while !records.isAtEnd {
            let record = try records.record(payload.span)
            seen.changes += try StoreModel.Change.logged(
                record.operation, record.table, payload.span.extracting(record.key),
                payload.span.extracting(record.body))
        }
        return try body(seen)
    }
}

extension SimulatedStore {
    func follow(blocks: Int) throws {
        guard let log = engine?.log else { return }
        let wrong = try follower.follow(log, blocks: blocks) { seen in
            let index = model.count(through: seen.receipt.sequence) - 1
            guard model.commits.indices.contains(index) else { return "nobody wrote \(seen)" }
            let written = model.commits[index]
            let same =
                written.receipt.firstSequence == seen.receipt.firstSequence
                && written.receipt.sequence == seen.receipt.sequence
                && written.changes.map(\.completed) == seen.changes.map(\.completed)
            return same ? nil : "\(written) came as \(seen)"
        }
        if let wrong { fail("follower", wrong) }
    }
}

extension StoreModel.Change {
    /// The changes of a record.
    static func logged(
        _ operation: EventLog.Operation, _ table: UInt32, _ key: Span<UInt8>, _ body: Span<UInt8>
    ) throws -> [StoreModel.Change] {
        switch operation {
        case .put:
            let values = try RowCodec.decodeRow(body, Tables.latest(table))
            return [.put(try Tables.row(table, key), values)]
        case .delete: return [.delete(try Tables.row(table, key))]
        case .clear: return [.clear(table)]
        case .patch:
            let row = try Tables.row(table, key)
            return try RowCodec.decodePatch(body, Tables.latest(table)).map {
                .patch(row, column: $0.column, $0.value)
            }
        case .add:
            let row = try Tables.row(table, key)
            let add = try RowCodec.decodeAdd(body, Tables.latest(table))
            if let values = add.row { return [.putIfAbsent(row, values.map(\.value))] }
            return add.amounts.map {
                .add(row, column: $0.column, $0.amount, makesRow: add.makesRow)
            }
        case .define, .mark, .settle, .preamble: return []
        }
    }

    /// The change with the columns that the table has after all its changes.
    var completed: StoreModel.Change {
        switch self {
        case .put(let row, let values):
            .put(row, Tables.completed(values, Tables.latest(row.table)))
        case .patch(let row, let column, let value):
            .patch(
                row, column: column,
                Tables.present(value, Tables.latest(row.table).valueColumns[column]))
        case .putIfAbsent(let row, let values):
            .putIfAbsent(row, Tables.completed(values, Tables.latest(row.table)))
        case .add, .delete, .clear: self
        }
    }
}
