import EventLog

/// Reads blocks of the log into a batch.
struct Gathering: Sendable {
    let limits: Materializer.Limits
    /// The batch's records come after this sequence.
    let after: UInt64
    let readable: UInt64
    /// The tables whose blocks are not for a batch.
    let followed: TableSet

    /// Whether a block may hold a record of these tables.
    static func isFollowed(_ block: BlockHeader, _ tables: TableSet) -> Bool {
        !tables.isEmpty && block.tables.mayMeet(tables)
    }

    /// Reads up to a limit, the durable end, or a block whose order must be kept. Returns that block, if it met one.
    func fill(_ batch: ChangeBatch, _ reader: LogReader) throws -> BlockHeader? {
        while batch.recordCount < limits.records, batch.byteCount < limits.bytes,
            try reader.next(through: readable), let block = reader.block
        {
            // A batch consists of whole blocks, but the database's watermark may come from a log with other block boundaries.
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
/// Unchecked, because nothing is locked: only ``fill()`` uses it while that runs, and the caller waits for the end of
/// ``fill()`` before it reads anything.
final class BatchAhead: @unchecked Sendable {
    let batch: ChangeBatch
    /// Whether the reader is right behind the batch.
    private(set) var isComplete = false
    private let start: Watermark
    private let reader: LogReader
    private let gathering: Gathering

    /// - Parameter batch: a batch to fill again; its content is not needed any more.
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
            // Part of a block may be in the batch. Discard it; the next read reports the error.
            batch.reset(after: start)
        }
        batch.sort()
    }
}
