import Synchronization

/// How a server is spoken to.
package struct PostgreSQLOptions: Sendable {
    /// A `postgresql://` URL, or libpq's `key=value` words.
    package var address: String
    /// The schema of the users' tables.
    package var namespace = "public"
    /// How many sessions read at once.
    package var readers = 3
    /// How long a connection may take to be made, nanoseconds.
    package var connectLimit: UInt64 = 10_000_000_000
    /// How long the server may say nothing while something is asked of it, nanoseconds. A server that hangs, and a
    /// network that swallows all, would hold the store up for ever else.
    package var silenceLimit: UInt64 = 300_000_000_000
    /// How long to wait for another session's lock, milliseconds.
    package var lockLimit = 5_000
    /// The rows that one statement changes at most, and the bytes after which it gets no more.
    package var rowsAStatement = 10_000
    package var bytesAStatement = 4 << 20
    /// The time in microseconds since 1970.
    package var now: @Sendable () -> Int64
    /// Makes versions of claims.
    package var random: @Sendable () -> UInt64 = { .random(in: 1 ... .max) }

    package init(_ address: String, now: @escaping @Sendable () -> Int64) {
        (self.address, self.now) = (address, now)
    }
}

/// Ends what waits for the server.
final class PostgreSQLStop: Sendable {
    private let isRaised = Atomic<Bool>(false)

    var isSet: Bool { isRaised.load(ordering: .acquiring) }
    func set() { isRaised.store(true, ordering: .releasing) }
}
