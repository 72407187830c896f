package import EventLog

/// How far a sink reflects the log: a sequence, and the log's chain value there.
///
/// The chain names the history. Two logs that agree on it at a sequence are the same up to there.
package struct Watermark: Sendable, Hashable {
    package var sequence: UInt64
    package var chain: UInt64

    package init(sequence: UInt64, chain: UInt64) {
        self.sequence = sequence
        self.chain = chain
    }
}

extension Watermark {
    /// The watermark of a database that holds nothing yet.
    package init(startOf store: StoreID) {
        self.init(sequence: 0, chain: Chain(startOf: store).value)
    }
}
