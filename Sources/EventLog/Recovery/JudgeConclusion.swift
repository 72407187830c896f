// The conclusions: the judgement's findings, and the steps of opening.

extension Judge {
    mutating func conclude(_ damage: Corruption?) throws(LogError) {
        judgement.damage = damage
        judgement.written = segmentsEnd.nextSequence - 1
        judgement.end = end.nextSequence - 1
        judgement.durable = min(proven, judgement.end)
        if let damage {
            judgement.findings.removeAll { $0.path == damage.path && $0.severity == .warning }
            judgement.findings.append(Finding(damage))
        } else {
            try findTorn()
        }
        plan()
    }

    private mutating func findTorn() throws(LogError) {
        if let last, let fault = last.fault, last.end < last.fileByteCount {
            // A sealed segment holds everything, whatever follows it. Otherwise staging may hold the rest.
            let told = try last.lossTold(from: end.nextSequence)
            let lost = told?.sequences
            let isWhole = last.isSealed || !staged.isEmpty && lost == nil
            let held = staged.isEmpty ? "" : "; staging holds what follows"
            judgement.findings.append(
                Finding(
                    severity: isWhole ? .warning : .torn, path: last.segment.path,
                    offset: last.end, lost: lost, tables: told?.tables ?? .unknown,
                    reason: fault + held))
        } else if let last, !last.isSealed, judgement.left == .closed {
            judgement.findings.append(
                Finding(
                    severity: .warning, path: last.segment.path, offset: last.end, lost: nil,
                    reason: "the footer is missing, though the store was closed"))
        } else if let last, let fault = last.fault {
            judgement.findings.append(
                Finding(
                    severity: .warning, path: last.segment.path, offset: last.end, lost: nil,
                    reason: fault))
        }
        if let stillborn {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: stillborn.path, offset: 0, lost: nil,
                    reason: "the segment never got its whole header, and holds nothing"))
        }
        findTornStaging()
    }

    private mutating func findTornStaging() {
        guard let staging else { return }
        // Commits that segments hold as well are not lost.
        if let first = strays.first, let sequences = straySequences {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: staging.path, offset: first.offset,
                    lost: end.nextSequence...sequences.upperBound,
                    reason: "\(strays.count) staged commits follow a gap"))
        }
        for found in staging.damagedCommits where found.commit.firstSequence >= end.nextSequence {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: staging.path, offset: found.offset,
                    lost: found.commit.firstSequence...found.commit.nextSequence - 1,
                    reason: "the records of a staged commit do not match their checksum"))
        }
        for offset in staging.damagedSlots {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: staging.path, offset: offset, lost: nil,
                    reason: "a slot's header and its copy are damaged, and hide what it holds"))
        }
    }

    /// The sequences between the lowest and the highest of the commits that are left behind; nil if there are none. A file
    /// that no store wrote may hold them in any order.
    private var straySequences: ClosedRange<UInt64>? {
        guard let first = strays.map(\.commit.firstSequence).min(),
            let next = strays.map(\.commit.nextSequence).max()
        else { return nil }
        return first...next - 1
    }

    private mutating func plan() {
        var steps = temporaries.map { Judgement.Step.removeTemporary(path: $0) }
        steps += leftovers.map { .removeMerged(path: environment.layout.segment($0)) }
        if let last, last.end < last.fileByteCount {
            steps.append(
                .cutTail(
                    path: last.segment.path, offset: last.end,
                    bytes: last.fileByteCount - last.end))
        }
        if let stillborn {
            steps.append(.removeUnmade(path: stillborn.path, bytes: stillborn.byteCount))
        }
        if let straySequences {
            steps.append(.cutStaged(commits: strays.count, sequences: straySequences))
        }
        if !staged.isEmpty {
            steps.append(.takeStaged(commits: staged.count, through: end.nextSequence - 1))
        }
        if isStagingUnusable {
            steps.append(.keepStaging(path: environment.layout.staging))
        }
        if needsRewriting, let last { steps.append(.rewrite(path: last.segment.path)) }
        judgement.steps = steps
    }

    /// Whether the end of the log must be made durable again, because page cache is not trusted after an unclean end.
    var needsRewriting: Bool {
        judgement.left == .open || stillborn != nil || !staged.isEmpty
            || !strays.isEmpty || last.map { !$0.isSealed || $0.fault != nil } ?? false
    }
}
