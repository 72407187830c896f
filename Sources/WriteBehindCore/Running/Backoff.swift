/// How long to wait before the next try: exponential with full jitter, so that many stores that lost the same
/// disk or server do not come back to it together (Brooker, "Exponential Backoff And Jitter", 2015).
package struct Backoff: Sendable {
    package static let first: UInt64 = 10_000_000
    private let limit: UInt64
    private(set) var attempts = 0

    /// - Parameter limit: the longest wait, nanoseconds.
    package init(limit: UInt64) {
        self.limit = max(limit, Self.first)
    }

    /// The next wait, nanoseconds: evenly from 0 to the first wait doubled with every failure so far.
    package mutating func next(random: () -> UInt64) -> UInt64 {
        let ceiling = attempts < 40 ? min(limit, Self.first << UInt64(attempts)) : limit
        attempts += 1
        return random() % (ceiling + 1)
    }

    package mutating func reset() {
        attempts = 0
    }
}
