/// The part of a ``Sink`` that keeps the commits that the database refuses.
///
/// ``QuarantineIndex`` has the rules, so that they are the same for all databases. A database tries a commit, and stores
/// the changes of the index.
package protocol QuarantiningSink: AnyObject, Sendable {
    /// Applies commits in sequence order, each as a whole or not at all, in one transaction with
    /// the watermark.
    ///
    /// A commit that breaks a constraint is quarantined, and with it every later commit that touches its
    /// keys, until one writes all rows of a group (``QuarantineIndex``). The same transaction
    /// stores that. `mark` and `settle` records change nothing. `define` and `preamble` are refused
    /// with `.schema`; use ``Sink/define(_:through:)`` for definitions.
    /// - Returns: the changes of quarantine.
    func applyInOrder(
        _ commits: [OrderedCommit], through: Watermark
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// The content of quarantine. Costs a lock.
    var quarantine: QuarantineIndex { get }

    /// Tries quarantined commits again, in one transaction: the next commits of a pass over the log, in order. The pass must
    /// skip no commit in quarantine; commits that are not in quarantine are ignored.
    ///
    /// - Parameter isLast: whether the pass has come to the watermark. If so, the commits it has left become quarantine.
    /// - Returns: the changes of quarantine.
    func retry(
        _ commits: [OrderedCommit], in pass: inout RetryPass, isLast: Bool
    ) throws(SinkError) -> QuarantineIndex.Changes

    /// Makes the declared constraints and indices that are not in force and that no row breaks any more.
    func makeIndices() throws(SinkError)
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
