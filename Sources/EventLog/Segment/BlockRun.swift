/// Some blocks of the log, unpacked together, while another thread processes the blocks before them.
///
/// Unchecked, because nothing is locked: one thread at a time uses a run, or two runs of one reader.
package final class BlockRun: @unchecked Sendable {
    /// Enough blocks that handing them from thread to thread costs little in comparison.
    private static let limit = 16

    private let reader: LogReader
    private let readable: UInt64
    package private(set) var headers: [BlockHeader] = []
    /// It may be longer than `headers`: memory of earlier payloads is kept for the next ones.
    package private(set) var payloads: [[UInt8]] = []
    /// The error that stopped reading, if any.
    package private(set) var failure: LogError?

    /// - Parameter readable: the last sequence that segments are known to hold, synced.
    package init(_ reader: LogReader, through readable: UInt64) {
        self.reader = reader
        self.readable = readable
    }

    package var isEmpty: Bool { headers.isEmpty && failure == nil }

    /// Reads the next blocks, replacing those before.
    @Sendable package func fill() {
        headers.removeAll(keepingCapacity: true)
        guard failure == nil else { return }
        do throws(LogError) {
            while headers.count < Self.limit, try reader.next(through: readable),
                let header = reader.block
            {
                if payloads.count == headers.count { payloads.append([]) }
                reader.exchangePayload(&payloads[headers.count])
                headers.append(header)
            }
        } catch {
            failure = error
        }
    }
}
