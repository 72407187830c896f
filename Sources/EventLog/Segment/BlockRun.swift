/// Some blocks of the log, unpacked at once, so that others can be worked on meanwhile.
///
/// Unchecked, because nothing is locked: one thread at a time uses a run, or two runs of one reader.
package final class BlockRun: @unchecked Sendable {
    /// Enough that handing them from thread to thread does not count.
    private static let limit = 16

    private let reader: LogReader
    private let durable: UInt64
    package private(set) var headers: [BlockHeader] = []
    /// Longer than `headers` where an earlier filling has left memory for the next.
    package private(set) var payloads: [[UInt8]] = []
    /// What reading has met behind the blocks.
    package private(set) var failure: LogError?

    /// - Parameter durable: the last sequence that is known to be synced.
    package init(_ reader: LogReader, through durable: UInt64) {
        self.reader = reader
        self.durable = durable
    }

    package var isEmpty: Bool { headers.isEmpty && failure == nil }

    /// Reads the next blocks in the place of those before.
    @Sendable package func fill() {
        headers.removeAll(keepingCapacity: true)
        guard failure == nil else { return }
        do throws(LogError) {
            while headers.count < Self.limit, try reader.next(through: durable),
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
