/// What opening a log has found and done.
package struct RecoveryReport: Equatable, Sendable {
    /// Whether the store had not been closed cleanly.
    package var wasUnclean = false
    /// The last sequence that was recovered.
    package var end: UInt64 = 0
    /// Commits that staging held and segments did not.
    package var commitsFromStaging = 0
    /// Bytes at the end of the last segment that were not part of a durable write.
    package var tornBytes = 0
    /// What is torn: bytes of the last segment, or else of staging.
    package var tornReason: String?
    /// Files in `aside/` that keep what was cut off.
    package var cutOff: [String] = []
    /// The damage, if the log may only be read.
    package var corruption: Corruption?

    package init() {}

    init(_ judgement: Judgement) {
        wasUnclean = judgement.left == .open
        end = judgement.end
        corruption = judgement.damage
        for step in judgement.steps {
            switch step {
            case .takeStaged(let commits, _): commitsFromStaging = commits
            case .cutTail(_, _, let bytes): tornBytes = bytes
            default: break
            }
        }
        // A warning with an offset concerns the last segment, which is rewritten.
        let torn = judgement.findings.first { $0.severity == .torn }
        let placed = judgement.findings.first { $0.severity == .warning && $0.offset != nil }
        tornReason = (torn ?? placed)?.reason
    }
}

/// A database or a snapshot. It holds a state of the log, and so proves that this state was durable.
package struct Witness: Equatable, Sendable {
    package var name: String
    package var sequence: UInt64

    package init(name: String, sequence: UInt64) {
        self.name = name
        self.sequence = sequence
    }
}
