/// What opening a log found and did.
package struct RecoveryReport: Equatable, Sendable {
    /// The store had not been closed cleanly.
    package var wasUnclean = false
    /// The last sequence that was recovered.
    package var end: UInt64 = 0
    /// Commits that staging held and segments did not.
    package var commitsFromStaging = 0
    /// Bytes at the end of the last segment that no durable write had left there.
    package var tornBytes = 0
    /// What stood at the start of the torn bytes.
    package var tornReason: String?
    /// Files in `quarantine/` that keep what was cut off.
    package var cutOff: [String] = []
    /// The damage, if the log may only be read.
    package var corruption: Corruption?

    package init() {}
}

/// Somebody who holds a state of the log, and so proves that it was durable: a database or a snapshot.
package struct Witness: Equatable, Sendable {
    package var name: String
    package var sequence: UInt64

    package init(name: String, sequence: UInt64) {
        self.name = name
        self.sequence = sequence
    }
}
