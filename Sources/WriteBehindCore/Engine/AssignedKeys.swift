import EventLog

// Ids that the store gives to new rows.
//
// A table's definition holds the highest id that may have been given (``TableDefinition/assigned``). Before a higher id is
// given, a definition with a higher limit is logged. It is before the row in the log, so if a crash leaves a row with an id,
// it also leaves the definition that covers the id, even if the row was deleted since. Segments, snapshots and databases
// carry the definition on.
//
// Ids are reserved in blocks that grow. A crash leaves the rest of a block as a gap. Closing logs the last id that was
// really given.

/// The ids that are left of the blocks that were reserved.
final class AssignedKeys: Sendable {
    /// The size of the first block, and the largest size. So a program that inserts many rows logs few definitions, and one
    /// that inserts few has small gaps.
    private static let blocks: ClosedRange<Int64> = 32...4096

    private struct Block {
        /// The last id that was given, and the last one that may be given.
        var (given, end): (Int64, Int64)
        var size = AssignedKeys.blocks.lowerBound
    }

    private struct State {
        var blocks: [UInt16: Block] = [:]
        var isClosed = false
    }

    private enum Given {
        case id(Int64)
        /// There was no room to log a higher limit.
        case full(Staging.Outcome)
    }

    private let state = Lock(State())

    /// The next id, above `past`.
    fileprivate func next(
        of table: UInt16, past: Int64, _ engine: Engine
    ) throws(StoreError) -> Int64 {
        while true {
            switch try give(of: table, past: past, engine) {
            case .id(let id): return id
            case .full(let outcome): engine.wait(outcome)
            }
        }
    }

    /// Waits for nothing, because other calls, also for other tables, wait for its lock.
    private func give(
        of table: UInt16, past: Int64, _ engine: Engine
    ) throws(StoreError) -> Given {
        try state.withLock { (state) throws(StoreError) in
            guard !state.isClosed else { throw StoreError(LogError.closed) }
            var block: Block
            if let known = state.blocks[table] {
                block = known
            } else {
                let end = engine.tables[UInt32(table)]?.assigned ?? 0
                block = Block(given: end, end: end)
            }
            let last = max(block.given, past)
            guard last < .max else { throw engine.idsAreUsedUp(in: table) }
            let id = last + 1
            if id > block.end {
                let (sum, isOver) = last.addingReportingOverflow(block.size)
                let end = isOver ? .max : sum
                let outcome = try engine.note(assigned: end, in: table)
                if case .full = outcome { return .full(outcome) }
                block.end = end
                block.size = min(2 * block.size, Self.blocks.upperBound)
            }
            block.given = id
            state.blocks[table] = block
            return .id(id)
        }
    }

    /// Gives no more ids, and logs the last one of each table. If that fails, there is a gap.
    fileprivate func close(_ engine: Engine) {
        let blocks = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed ? [:] : state.blocks
        }
        for (table, block) in blocks where block.given < block.end {
            while let outcome = try? engine.note(assigned: block.given, in: table),
                case .full = outcome
            {
                engine.wait(outcome)
            }
        }
    }
}

extension Engine {
    /// The id of a table's next row, above `past`: one that no row was given before.
    package func nextKey(of table: UInt16, past: Int64) throws(StoreError) -> Int64 {
        try assignedKeys.next(of: table, past: past, self)
    }

    fileprivate func idsAreUsedUp(in table: UInt16) -> StoreError {
        let schema = tables[UInt32(table)]?.schema
        return .row(
            RowError(
                table: schema?.name ?? "", column: schema?.keyColumns.first?.name,
                .outOfRange("an id above \(Int64.max)")))
    }

    /// The log is about to be closed.
    package func closeAssignedKeys() { assignedKeys.close(self) }
}
