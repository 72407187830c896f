import EventLog

/// Reads blocks of the log into a batch.
struct Gathering: Sendable {
    let limits: Materializer.Limits
    /// The batch's records come after this sequence.
    let after: UInt64
    let readable: UInt64
    /// The tables whose blocks are not for a batch.
    let followed: TableSet

    /// Whether a block may hold something of these tables.
    static func isFollowed(_ block: BlockHeader, _ tables: TableSet) -> Bool {
        !tables.isEmpty && block.tables.mayMeet(tables)
    }

    /// Reads until a limit, the durable end, or a block that needs its order kept: that one is returned.
    func fill(_ batch: ChangeBatch, _ reader: LogReader) throws -> BlockHeader? {
        while batch.recordCount < limits.records, batch.byteCount < limits.bytes,
            try reader.next(through: readable), let block = reader.block
        {
            // A batch is whole blocks, but the database may come from a log that was cut otherwise.
            let startsInside = block.firstSequence <= after
            if startsInside || !block.flags.isDisjoint(with: [.mark, .define])
                || Self.isFollowed(block, followed)
            {
                return block
            }
            try batch.append(block, payload: reader.payload.span)
        }
        return nil
    }
}

/// The batch after the one that the database is taking.
///
/// Unchecked, because nothing is locked: ``fill()`` uses it alone, and its caller waits for its end
/// before it looks.
final class BatchAhead: @unchecked Sendable {
    let batch: ChangeBatch
    /// Whether the reader is right behind the batch.
    private(set) var isComplete = false
    private let start: Watermark
    private let reader: LogReader
    private let gathering: Gathering

    /// - Parameter batch: what it holds is done with.
    init(
        _ batch: ChangeBatch, after start: Watermark, _ reader: LogReader, _ gathering: Gathering
    ) {
        self.batch = batch
        self.start = start
        self.reader = reader
        self.gathering = gathering
    }

    @Sendable func fill() {
        batch.reset(after: start)
        do {
            isComplete = try gathering.fill(batch, reader) == nil
        } catch {
            // A block of which a part may be in: all is read again, and that reading meets the error.
            batch.reset(after: start)
        }
        batch.sort()
    }
}
