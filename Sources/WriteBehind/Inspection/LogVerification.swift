package import EventLog

/// The whole log checked: every checksum, the chain from segment to segment, sequences without a
/// gap, footers.
package struct LogVerification: Sendable {
    package private(set) var segments: [SegmentCheck] = []
    package private(set) var findings: [Finding] = []

    /// - Parameters:
    ///   - jobs: how many segments are read at once.
    ///   - progress: told the bytes of each segment that is done; from several threads.
    package init(
        _ store: StoreInspection, jobs: Int = 1, progress: @Sendable (Int) -> Void = { _ in }
    ) throws {
        let leftovers = try store.mergedSegments()
        let bases = try LogReader.segmentBases(store.environment)
            .filter { !leftovers.contains($0) }
        // Beyond what a living writer has published, blocks may be half written.
        let limit: UInt64 = if case .live = store.state { store.readable } else { .max }
        segments = try Self.check(
            store.environment, bases.filter { $0 <= limit }, limit, jobs, progress)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            judge(segment, isLast: isLast, store)
            if !isLast { join(segment, segments[index + 1]) }
        }
        for base in leftovers {
            findings.append(
                Finding(
                    severity: .warning, path: store.layout.segment(base), offset: nil, lost: nil,
                    reason: "it was merged into the segment before it; the next open removes it"))
        }
        if let last = segments.last, let staged = store.log?.staged,
            let fault = last.fault(ofStaged: staged)
        {
            findings.append(
                Finding(
                    severity: .corrupt, path: store.layout.staging, offset: nil, lost: nil,
                    reason: fault))
        }
        if let damage = store.damage, !findings.contains(where: { $0.severity == .corrupt }) {
            findings.append(Finding(damage))
        }
        if store.isTorn, let plan = store.log?.plan,
            !findings.contains(where: { $0.severity == .torn })
        {
            findings.append(
                Finding(
                    severity: .torn, path: store.log?.tail?.path ?? store.layout.log,
                    offset: store.log?.tail?.goodEnd, lost: nil,
                    reason: plan.tornReason ?? "bytes follow the last block"))
        }
    }

    package var worst: Finding.Severity? { findings.map(\.severity).max() }
    package var recordCount: UInt64 { segments.reduce(0) { $0 + $1.recordCount } }
    package var byteCount: Int { segments.reduce(0) { $0 + $1.byteCount } }

    private static func check(
        _ environment: LogEnvironment, _ bases: [UInt64], _ limit: UInt64, _ jobs: Int,
        _ progress: @Sendable (Int) -> Void
    ) throws -> [SegmentCheck] {
        try concurrently(bases.count, jobs: jobs) { index -> Result<SegmentCheck, LogError> in
            do throws(LogError) {
                let check = try SegmentCheck(environment, base: bases[index], through: limit)
                progress(check.byteCount)
                return .success(check)
            } catch {
                return .failure(error)
            }
        }.map { try $0.get() }
    }

    /// Damage in the last segment is torn or corrupt by the evidence that recovery finds;
    /// elsewhere it is corrupt: a segment is synced before the next one begins.
    private mutating func judge(
        _ segment: SegmentCheck, isLast: Bool, _ store: StoreInspection
    ) {
        for var finding in segment.findings {
            if finding.severity == .corrupt {
                let isTorn = isLast && !segment.isSealed && store.damage == nil && store.log != nil
                if isTorn { finding.severity = .torn }
                finding.evidence =
                    isTorn
                    ? nil
                    : isLast
                        ? store.damage.map { $0.evidence.label } ?? Evidence.sealed.label
                        : Evidence.sealed.label
            }
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
}
