import DequeModule
package import EventLog
import Synchronization

/// How much log the database does not reflect yet.
package final class BacklogMeter: Sendable {
    /// One block, or several neighbours that count as one.
    private struct Block {
        var lastSequence: UInt64
        var byteCount: Int
        /// Milliseconds since 1970 of the last commit of the first of them.
        var time: UInt64
    }

    /// More are not told apart: a backlog of lone commits would fill the memory with them.
    package static let blockLimit = 4096

    private struct State {
        var blocks: Deque<Block> = []
        var byteCount = 0
        var watermark: UInt64
    }

    /// What lies between the database and the log's blocks.
    package struct Lag: Sendable, Equatable {
        package var byteCount = 0
        /// The time of the oldest block that is not wholly in the database, milliseconds since 1970.
        package var oldestTime: UInt64?
    }

    private let state: Lock<State>
    private let limit: Int
    private let isOver = Atomic<Bool>(false)

    package init(watermark: UInt64, limit: Int) {
        state = Lock(State(watermark: watermark))
        self.limit = limit
    }

    /// Whether writes are refused at present. Costs one load.
    @inline(__always)
    package var isFull: Bool { isOver.load(ordering: .relaxed) }

    package func didWrite(_ block: BlockHeader) {
        state.withLock { state in
            guard block.nextSequence - 1 > state.watermark else { return }
            let byteCount = BlockHeader.byteCount + Int(block.packedLength)
            if state.blocks.count == Self.blockLimit {
                state.blocks.mergePairs { older, newer in
                    Block(
                        lastSequence: newer.lastSequence,
                        byteCount: older.byteCount + newer.byteCount, time: older.time)
                }
            }
            state.blocks.append(
                Block(
                    lastSequence: block.nextSequence - 1, byteCount: byteCount,
                    time: block.time / 1000))
            state.byteCount += byteCount
            isOver.store(state.byteCount >= limit, ordering: .relaxed)
        }
    }

    package func advance(to watermark: UInt64) {
        state.withLock { state in
            state.watermark = watermark
            while let first = state.blocks.first, first.lastSequence <= watermark {
                state.byteCount -= first.byteCount
                state.blocks.removeFirst()
            }
            isOver.store(state.byteCount >= limit, ordering: .relaxed)
        }
    }

    package var blockCount: Int { state.withLock { $0.blocks.count } }

    package var lag: Lag {
        state.withLock {
            Lag(byteCount: $0.byteCount, oldestTime: $0.blocks.first?.time)
        }
    }
}
