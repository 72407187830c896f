package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Checks the whole log: every checksum, the chain from segment to segment, sequences without a
/// gap, footers, and that records fit their tables.
///
/// How the log begins and ends is decided by the same judgement that opening uses (``Judgement``). Everything in
/// between is read here, also behind damage, so that all damage is found.
package struct LogVerification: Sendable {
    package enum Depth: Sendable {
        /// All bytes.
        case everything
        /// The headers of all blocks. If they or the log's judgement show damage in a segment, also all its bytes.
        case headers
    }

    package private(set) var segments: [SegmentCheck] = []
    package private(set) var findings: [Finding] = []

    /// - Parameters:
    ///   - jobs: how many segments are read at once.
    ///   - progress: gets the bytes of each segment that is done; is called from several threads.
    package init(
        _ store: StoreInspection, _ depth: Depth = .everything, jobs: Int = 1,
        progress: @Sendable (Int) -> Void = { _ in }
    ) throws {
        segments = try Self.check(store, depth, jobs, progress)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            judge(segment, isLast: isLast, store)
            if !isLast { join(segment, segments[index + 1]) }
        }
        for base in try store.mergedSegments() {
            findings.append(
                Finding(
                    severity: .warning, path: store.layout.segment(base), offset: nil, lost: nil,
                    reason: "it was merged into the segment before it; the next open removes it"))
        }
        guard let log = store.log else { return }
        let damage = log.judgement.damage
        // Other evidence may prove that more was synced than the last segment shows.
        let proven = damage == nil ? 0 : max(damage?.lost?.upperBound ?? 0, store.published ?? 0)
        for finding in log.judgement.findings { take(finding, proven: proven) }
        if let damage { noteEnd(damage, proven: proven) }
        if worst == .corrupt {
            try leaveOutStaged(store)
        } else if let fault = segments.last?.fault(ofStaged: log.staged) {
            findings.append(
                Finding(
                    severity: .corrupt, path: store.layout.staging, offset: nil, lost: nil,
                    reason: fault))
        }
    }

    package var worst: Finding.Severity? { findings.map(\.severity).max() }
    package var recordCount: UInt64 { segments.reduce(0) { $0 + $1.recordCount } }
    package var byteCount: Int { segments.reduce(0) { $0 + $1.byteCount } }

    private static func check(
        _ store: StoreInspection, _ depth: Depth, _ jobs: Int,
        _ progress: @Sendable (Int) -> Void
    ) throws -> [SegmentCheck] {
        let environment = store.environment
        // Behind the sequence that a running writer has published, blocks may be half written.
        let limit: UInt64 = store.isLive ? store.readable : .max
        let parts = try parts(store, through: limit)
        return try concurrently(parts.count, jobs: jobs) {
            index -> Result<SegmentCheck, LogError> in
            do throws(LogError) {
                let part = parts[index]
                var check = try SegmentCheck(
                    environment, base: part.base, through: limit, before: part.end,
                    contents: depth == .everything)
                if depth == .headers,
                    !check.findings.isEmpty || check.path == store.damage?.path
                {
                    check = try SegmentCheck(
                        environment, base: part.base, through: limit, before: part.end)
                }
                progress(check.byteCount)
                return .success(check)
            } catch {
                return .failure(error)
            }
        }.map { try $0.get() }
    }

    /// The segments, and the offset in each at which the log ends for now. If nothing is damaged, only the blocks
    /// that opening takes belong to the log.
    private static func parts(
        _ store: StoreInspection, through limit: UInt64
    ) throws -> [(base: UInt64, end: Int)] {
        let leftovers = try store.mergedSegments()
        let bases = try LogReader.segmentBases(store.environment)
            .filter { !leftovers.contains($0) && $0 <= limit }
        guard let log = store.log, log.judgement.damage == nil else {
            return bases.map { ($0, .max) }
        }
        guard let tail = log.tail else { return [] }
        return bases.filter { $0 <= tail.base }
            .map { ($0, $0 == tail.base ? tail.blocksEnd : .max) }
    }

    /// All segments except the last were synced before the next one began.
    private mutating func judge(
        _ segment: SegmentCheck, isLast: Bool, _ store: StoreInspection
    ) {
        let evidence =
            if !isLast {
                Evidence.sealed.label
            } else if store.isLive {
                Evidence.published(through: store.readable).label
            } else {
                store.damage?.evidence.label
            }
        for var finding in segment.findings {
            if finding.severity == .corrupt { finding.evidence = evidence }
            findings.append(finding)
        }
        if !isLast, !segment.isSealed, segment.findings.isEmpty {
            findings.append(
                Finding(
                    severity: .corrupt, path: segment.path, offset: segment.byteCount, lost: nil,
                    reason: "the footer is missing", evidence: Evidence.sealed.label))
        }
    }

    private mutating func join(_ segment: SegmentCheck, _ next: SegmentCheck) {
        let isGap = next.base != segment.nextSequence
        let isOther =
            segment.chain != nil && next.header != nil && next.header?.chain != segment.chain
        guard isGap || isOther else {
            if let known = segment.tablesAfter, let named = next.tablesBefore, known != named {
                findings.append(
                    Finding(
                        severity: .corrupt, path: next.path, offset: SegmentHeader.byteCount,
                        lost: nil,
                        reason: "the preamble names other tables than the segment before it",
                        evidence: Evidence.sealed.label))
            }
            return
        }
        findings.append(
            Finding(
                severity: .corrupt, path: next.path, offset: 0,
                lost: next.base > segment.nextSequence ? segment.nextSequence...next.base - 1 : nil,
                reason: isGap
                    ? "the segment before it ends at \(segment.nextSequence - 1)"
                    : "the segment does not continue the history of the one before it",
                evidence: Evidence.sealed.label))
    }

    // MARK: the log's judgement

    /// Adds a finding of the log's judgement. The segment's own check says more about damage. But if the log's end
    /// is lost, only the evidence shows how far it went.
    private mutating func take(_ finding: Finding, proven: UInt64) {
        let known = findings.firstIndex {
            $0.severity == finding.severity && $0.path == finding.path
                && $0.offset == finding.offset
        }
        guard let known else { return findings.append(finding) }
        if findings[known].lost == nil, let last = segments.last, last.path == finding.path,
            last.nextSequence <= proven
        {
            findings[known].lost = last.nextSequence...proven
        }
    }

    private mutating func noteEnd(_ damage: Corruption, proven: UInt64) {
        guard let last = segments.last, last.nextSequence <= proven,
            !findings.contains(where: { $0.lost?.contains(proven) ?? false })
        else { return }
        findings.append(
            Finding(
                severity: .corrupt, path: last.path, offset: last.byteCount,
                lost: last.nextSequence...proven, reason: "the log ends early",
                evidence: damage.evidence.label))
    }

    /// Commits that staging holds are not lost, because salvage takes them from there.
    private mutating func leaveOutStaged(_ store: StoreInspection) throws {
        let staged = try LogInspection.stagedCommits(store.environment).map(\.commit)
        for index in findings.indices {
            guard var range = findings[index].lost.map({ $0.lowerBound..<$0.upperBound + 1 })
            else { continue }
            for commit in staged where commit.firstSequence <= range.lowerBound {
                let next = min(range.upperBound, commit.lastSequence + 1)
                range = max(range.lowerBound, next)..<range.upperBound
            }
            for commit in staged.reversed() where commit.lastSequence + 1 >= range.upperBound {
                let end = max(range.lowerBound, commit.firstSequence)
                range = range.lowerBound..<min(range.upperBound, end)
            }
            findings[index].keepLost(range.isEmpty ? nil : ClosedRange(range))
        }
    }
}
