// Reads the segments, each as the continuation of the one before it.

extension Judge {
    mutating func readSegments() throws(LogError) {
        var bases = try LogReader.segmentBases(environment)
        isEmpty = bases.isEmpty
        if let base = bases.last, try isStillborn(base) { bases.removeLast() }
        leftovers = try SegmentList(environment, bases: bases).leftovers
        bases.removeAll { leftovers.contains($0) }
        var previous: SegmentReader?
        for (index, base) in bases.enumerated() {
            let isLast = index == bases.count - 1
            let segment = try open(base, isLast: isLast)
            try check(segment, isFirst: index == 0)
            if isLast {
                try scanLast(segment, after: previous)
            } else {
                try skim(segment)
            }
            previous = segment
        }
    }

    /// Whether the last file never became a segment because of a crash: it has no whole header, and
    /// nothing behind it. A header is synced before the first block is written.
    private mutating func isStillborn(_ base: UInt64) throws(LogError) -> Bool {
        let path = environment.layout.segment(base)
        guard
            case .badHeader(let fault, let count) = try SegmentReader.open(
                path, on: environment.disk), count <= SegmentHeader.byteCount, !fault.isNewer
        else { return false }
        stillborn = (path, base, count)
        return true
    }

    private func open(_ base: UInt64, isLast: Bool) throws(LogError) -> SegmentReader {
        let path = environment.layout.segment(base)
        switch try SegmentReader.open(path, on: environment.disk) {
        case .opened(let segment):
            return segment
        case .badHeader(let fault, _):
            if fault.isNewer { throw .unsupported(path: path, fault) }
            throw .corrupt(
                Corruption(
                    path: path, offset: 0, firstLost: end.nextSequence,
                    reason: "the segment's header is damaged: \(fault)",
                    evidence: isLast ? .headerLost : .sealed))
        }
    }

    /// A segment continues the one before it. The first starts where the log does.
    private mutating func check(_ segment: SegmentReader, isFirst: Bool) throws(LogError) {
        let header = segment.header
        let reason: String? =
            if header.storeID != environment.storeID {
                "the segment belongs to another store"
            } else if header.kind != .segment {
                "a snapshot is in the place of a segment"
            } else if segment.path != environment.layout.segment(header.base) {
                "the segment starts with sequence \(header.base) and is named otherwise"
            } else if isFirst {
                header.base == 1 && header.chain != end.chain
                    ? "the first segment does not start the store's history" : nil
            } else if header.base != end.nextSequence || header.chain != end.chain {
                "the segment does not continue the one before it"
            } else {
                nil
            }
        if let reason {
            throw .corrupt(
                Corruption(
                    path: segment.path, offset: 0, firstLost: end.nextSequence, reason: reason,
                    evidence: .sealed))
        }
        if isFirst { try begin(with: segment) }
        end.epoch = max(end.epoch, header.epoch)
    }

    /// Checks where the log begins: its start is deleted only after `log-start` says so.
    private mutating func begin(with segment: SegmentReader) throws(LogError) {
        let header = segment.header
        let isStartUnknown = judgement.findings.contains { $0.path == environment.layout.logStart }
        firstChain = header.chain
        let deleted = believesSegments ? header.base - 1 : start?.sequence ?? 0
        if header.base > deleted + 1, !isStartUnknown {
            throw .corrupt(
                Corruption(
                    path: segment.path, offset: 0, firstLost: deleted + 1,
                    lastLost: header.base - 1,
                    reason: "the log begins with sequence \(header.base)",
                    evidence: .startMissing(deleted: deleted)))
        }
        if !believesSegments, let start, header.base == deleted + 1, header.chain != start.chain {
            throw .corrupt(
                Corruption(
                    path: segment.path, offset: 0, firstLost: header.base,
                    reason: "the segment does not continue the log that was deleted before it",
                    evidence: .startMissing(deleted: deleted)))
        }
        judgement.first = header.base
        end.nextSequence = header.base
        end.chain = header.chain
    }

    /// A segment that is not the last is sealed; its footer says where it ends. A later
    /// reader checks its blocks; they are checked here if opening is about to replay them.
    private mutating func skim(_ segment: SegmentReader) throws(LogError) {
        if let (footer, _) = try segment.footer(), footer.firstSequence <= readFrom {
            end.nextSequence = footer.firstSequence
            end.chain = footer.chain
            end.lastTime = footer.time / 1000
            return
        }
        // The seek table is derived. Without it, the blocks themselves show whether everything is there.
        let scan = try SegmentScan(segment)
        end.nextSequence = scan.nextSequence
        end.chain = scan.chain
        end.lastTime = scan.lastTime
        guard scan.isSealed else { throw .corrupt(Self.unsealed(scan)) }
    }

    private static func unsealed(_ scan: SegmentScan) -> Corruption {
        Corruption(
            path: scan.segment.path, offset: scan.end, firstLost: scan.nextSequence,
            reason: scan.fault ?? "the footer is missing", evidence: .sealed)
    }

    private mutating func scanLast(
        _ segment: SegmentReader, after previous: SegmentReader?
    ) throws(LogError) {
        let scan = try SegmentScan(segment)
        last = scan
        end.nextSequence = scan.nextSequence
        end.chain = scan.chain
        if scan.blocks.isEmpty {
            if let previous { end.preamble = try preamble(after: previous) }
        } else {
            end.lastTime = scan.lastTime
            end.preamble = scan.preamble
        }
    }

    /// The schemas as of the end of a sealed segment.
    private func preamble(after segment: SegmentReader) throws(LogError) -> Preamble {
        let scan = try SegmentScan(segment)
        guard scan.isSealed else { throw .corrupt(Self.unsealed(scan)) }
        return scan.preamble
    }

    /// The schemas at the end of the part that can still be read.
    func schemasBeforeDamage() throws(LogError) -> Preamble {
        let bases = try LogReader.segmentBases(environment)
        guard let base = bases.last(where: { $0 < end.nextSequence }) else { return Preamble() }
        return try SegmentScan(try open(base, isLast: false)).preamble
    }
}
