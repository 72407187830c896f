/// The part of a ``Sink`` that keeps commits which the database refuses.
///
/// ``QuarantineIndex`` holds the rules, so that all databases keep the same ones. A database tries a commit, and stores
/// what the index says has changed.
package protocol QuarantiningSink: AnyObject, Sendable {
    /// Applies commits in sequence order, each as a whole or not at all, in one transaction with
    /// the watermark.
    ///
    /// A commit that breaks a constraint is quarantined, with it every later one that touches its
    /// keys, until one writes all rows of a group (``QuarantineIndex``); the same transaction
    /// records that. `mark` and `settle` records change nothing; `define` and `preamble` are refused
    /// with `.schema`, since ``Sink/define(_:through:)`` is the way.
    /// - Returns: what this call changed of quarantine.
    func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// The content of quarantine. Costs a lock.
    var quarantine: QuarantineIndex { get }

    /// Tries quarantined commits again, in one transaction: the next ones of a pass over the log, in order,
    /// that skips nothing of quarantine. Others are ignored.
    ///
    /// - Parameter isLast: whether the pass has come to the watermark: what is left of it becomes quarantine.
    /// - Returns: what this call changed of quarantine.
    func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes
}

extension QuarantiningSink {
    package var quarantineIsEmpty: Bool { quarantine.isEmpty }

    /// Whether a quarantined commit touches this row, so that changes to it must follow it there.
    package func isQuarantined(_ table: UInt32, key: Span<UInt8>) -> Bool {
        let quarantine = quarantine
        return quarantine.holdsAny(of: table)
            && quarantine.touches(.row(table: table, key: Array(copying: key)))
    }
}
