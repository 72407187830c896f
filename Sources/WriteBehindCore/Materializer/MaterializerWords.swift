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
