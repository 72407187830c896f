/// The rows that a quarantined commit holds on to.
package enum QuarantinedKey: Sendable, Hashable {
    case row(table: UInt32, key: [UInt8])
    /// The commit clears the table, so it touches each of its rows.
    case table(UInt32)
}

/// A commit that a sink refused, kept by reference into the log.
package struct QuarantinedCommit: Sendable, Equatable {
    package var firstSequence: UInt64
    package var recordCount: Int
    /// Why it was refused, the last time that it was tried.
    package var error: SinkError
    /// When it was first refused, in microseconds since 1970.
    package var refusedAt: Int64
    /// How often it was tried: 1 when it is new, 0 when it only follows another.
    package var attempts: Int
    /// The earlier quarantined commit that it shares a key with, where it was never tried because
    /// of it.
    package var dependsOn: UInt64?
    package var keys: [QuarantinedKey]

    package init(
        firstSequence: UInt64, recordCount: Int, error: SinkError, refusedAt: Int64,
        attempts: Int, dependsOn: UInt64?, keys: [QuarantinedKey]
    ) {
        self.firstSequence = firstSequence
        self.recordCount = recordCount
        self.error = error
        self.refusedAt = refusedAt
        self.attempts = attempts
        self.dependsOn = dependsOn
        self.keys = keys
    }

    func contains(_ sequence: UInt64) -> Bool {
        sequence >= firstSequence && sequence - firstSequence < UInt64(recordCount)
    }
}
