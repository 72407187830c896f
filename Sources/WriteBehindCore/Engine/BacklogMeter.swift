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

    /// If there are more, neighbours are merged; otherwise a backlog of single commits would fill the memory.
    package static let blockLimit = 4096

    private struct State {
        var blocks: Deque<Block> = []
        var byteCount = 0
        var watermark: UInt64
        var rebuild: Rebuild?
    }

    /// The log that a lost database held and the new one lacks. It counts towards no limit, because no new write made it.
    private struct Rebuild {
        var sequences: ClosedRange<UInt64>
        var byteCount: Int
        /// The time of the oldest block, milliseconds since 1970.
        var time: UInt64

        /// About how many of the bytes are above the watermark.
        func left(above watermark: UInt64) -> Int {
            guard watermark < sequences.upperBound else { return 0 }
            let left = sequences.upperBound - max(watermark, sequences.lowerBound)
            let all = sequences.upperBound - sequences.lowerBound
            return Int(Double(byteCount) * Double(left) / Double(max(1, all)))
        }
    }

    /// The blocks of the log that the database does not reflect.
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
            if let rebuild = state.rebuild, watermark >= rebuild.sequences.upperBound {
                state.rebuild = nil
            }
            while let first = state.blocks.first, first.lastSequence <= watermark {
                state.byteCount -= first.byteCount
                state.blocks.removeFirst()
            }
            isOver.store(state.byteCount >= limit, ordering: .relaxed)
        }
    }

    /// A new database begins at `watermark`; the database before it had come farther.
    ///
    /// - Parameters:
    ///   - end: the sequence that the database before it had reached.
    ///   - byteCount: the bytes of log between the two.
    ///   - time: the time of the first commit that is missing, milliseconds since 1970.
    package func startOver(
        at watermark: UInt64, towards end: UInt64, byteCount: Int, since time: UInt64
    ) {
        guard watermark < end else { return }
        state.withLock { state in
            state.watermark = watermark
            state.rebuild = Rebuild(
                sequences: watermark...end, byteCount: byteCount, time: time)
        }
    }

    package var blockCount: Int { state.withLock { $0.blocks.count } }

    package var lag: Lag {
        state.withLock { state in
            let rebuild = state.rebuild
            return Lag(
                byteCount: state.byteCount + (rebuild?.left(above: state.watermark) ?? 0),
                oldestTime: rebuild?.time ?? state.blocks.first?.time)
        }
    }
}
