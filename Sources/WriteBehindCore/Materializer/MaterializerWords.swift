extension Materializer {
    package struct Limits: Sendable {
        package var records: Int
        package var bytes: Int
        /// The pause between batches when caught up, nanoseconds.
        package var interval: UInt64
        /// The longest pause after an error, nanoseconds.
        package var retryLimit: UInt64
    }

    /// The result of one transaction.
    package struct Applied: Sendable, Equatable {
        package var watermark: Watermark
        package var records: Int
        package var changes: Int
        package var nanoseconds: UInt64
        /// How many adds found no row to add to.
        package var addsWithoutRow: Int
    }
}

/// Counts the adds that found no row, each once at most.
struct MissedAdds {
    private var countedThrough: UInt64 = 0

    /// - Parameters:
    ///   - before: the watermark before the transaction.
    ///   - after: the watermark behind it.
    /// - Returns: how many adds of the transaction found no row.
    mutating func take(from sink: any Sink, _ before: Watermark, _ after: Watermark) -> Int {
        let count = sink.takeAddsWithoutRow()
        defer { countedThrough = max(countedThrough, after.sequence) }
        // A database that went back, or was made again, is given the same adds again.
        return before.sequence >= countedThrough ? count : 0
    }
}
