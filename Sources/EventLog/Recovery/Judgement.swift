/// A log on disk, and what the evidence says about it. ``Judge`` makes it and changes nothing.
///
/// `open`, `verify`, `status`, `recover` and salvage all follow the same judgement. Opening the log for writing does
/// the ``steps``. If there is ``damage``, the log is opened for reading only.
package struct Judgement: Equatable, Sendable {
    /// How the log was left.
    package enum Left: Equatable, Sendable {
        /// Nothing was ever written.
        case new
        /// Its last writer closed it.
        case closed
        /// Its last writer ended without closing it.
        case open
        /// Nothing shows how it was left. That is damage, unless the log is only read up to other damage.
        case unknown
    }

    package enum Step: Equatable, Sendable {
        /// A file that was not finished is removed.
        case removeTemporary(path: String)
        /// A segment is removed because all its records are in the one that it was merged into.
        case removeMerged(path: String)
        /// The last segment never got its whole header. It is kept in `aside/`.
        case removeUnmade(path: String, bytes: Int)
        /// Bytes behind the last good block are kept in `aside/`.
        case cutTail(path: String, offset: Int, bytes: Int)
        /// Staged commits that do not continue the log are kept in `aside/`.
        case cutStaged(commits: Int, sequences: ClosedRange<UInt64>)
        /// A staging file that cannot be read is kept in `aside/`.
        case keepStaging(path: String)
        /// Staged commits go into the log.
        case takeStaged(commits: Int, through: UInt64)
        /// The last segment is rewritten and sealed.
        case rewrite(path: String)
    }

    package internal(set) var left = Left.new
    /// The first sequence that the log holds; 1 for an empty one.
    package internal(set) var first: UInt64 = 1
    /// The last sequence that segments hold, before any damage.
    package internal(set) var written: UInt64 = 0
    /// The sequence behind which opening goes on. If there is damage, it is ``written``.
    package internal(set) var end: UInt64 = 0
    /// Everything through this sequence is there and had been durable, as far as the evidence shows.
    package internal(set) var durable: UInt64 = 0
    /// The progress that the last writer published; nil if staging does not show it.
    package internal(set) var published: PublishedProgress?
    /// Why the log can only be read.
    package internal(set) var damage: Corruption?
    /// All faults, the damage included, in the order of the log.
    package internal(set) var findings: [Finding] = []
    /// The steps of opening. If there is damage, they are those that would be taken without it.
    package internal(set) var steps: [Step] = []

    /// Whether bytes or commits at the end of the log are half written and will be cut off.
    package var isTorn: Bool { damage == nil && findings.contains { $0.severity == .torn } }
}

/// A fault, and its evidence.
package struct Finding: Sendable, Equatable {
    package enum Severity: String, Sendable, Comparable {
        /// Nothing is lost: derived data, a copy, or a file that does no harm.
        case warning
        /// The end of the log. Nothing shows that it had been durable.
        case torn
        case corrupt

        package static func < (left: Severity, right: Severity) -> Bool {
            let order: [Severity] = [.warning, .torn, .corrupt]
            return order.firstIndex(of: left) ?? 0 < order.firstIndex(of: right) ?? 0
        }
    }

    package var severity: Severity
    package var path: String
    package var offset: Int?
    /// The sequences that cannot be read, as far as they are known.
    package var lost: ClosedRange<UInt64>?
    /// The tables of these records.
    package var tables = LostTables.unknown
    package var reason: String
    /// The evidence in words, with its number in the article Recovery.
    package var evidence: String?

    package init(
        severity: Severity, path: String, offset: Int?, lost: ClosedRange<UInt64>?,
        tables: LostTables = .unknown, reason: String, evidence: String? = nil
    ) {
        self.severity = severity
        self.path = path
        self.offset = offset
        self.lost = lost
        self.tables = tables
        self.reason = reason
        self.evidence = evidence
    }

    package var loss: Loss? { lost.map { Loss($0, tables) } }

    package init(_ damage: Corruption) {
        self.init(
            severity: .corrupt, path: damage.path, offset: damage.offset, lost: damage.lost,
            reason: damage.reason, evidence: damage.evidence.label)
    }
}
