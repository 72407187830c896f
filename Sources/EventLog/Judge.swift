// What a log's files say, and what it would take to go on writing.
//
// Blocks are read in order to the first one that fails any check; staging's frames with the next
// consecutive sequences continue them. So what a damaged block held, and staging still holds, is not lost.
// Let `lost` be the first sequence that neither holds.
//
// Corrupt, when there is any evidence that `lost` was durable, or that a file is missing which no crash
// removes (``Evidence``, E1 to E7): the log is then only read. Torn otherwise: nothing shows that what
// follows had been durable. No guess is made from content.
//
// How the log was left, by two files of which one is always there (LogEdge.swift, StagingFormat.swift):
//
//   staging    clean-end            the log
//   no         no                   is new, if it holds nothing; else its end is unknown (E7)
//   no         yes                  was closed: it must end where clean-end says (E6, E7)
//   no good    yes                  the same
//   no good    no                   its end is unknown (E7)
//   yes        no                   was not closed
//   yes        of the same writer   was closed; staging was about to be removed
//   yes        of an earlier one    was not closed; clean-end was about to be removed

/// Finds out how a log stands. Reads, and changes nothing.
struct Judge {
    let environment: LogEnvironment
    /// From here on, all segments are read wholly: somebody is about to replay them.
    private let readFrom: UInt64
    /// Whether nothing but the segments themselves says where the log begins and ends.
    private let believesSegments: Bool
    private(set) var judgement = Judgement()
    /// Where the log ends with what was taken from staging.
    private(set) var end: LogEnd
    /// Where the segments alone end.
    private(set) var segmentsEnd: LogEnd
    private(set) var last: SegmentScan?
    /// A last file that never got a whole header, and so holds nothing.
    private(set) var stillborn: (path: String, base: UInt64, byteCount: Int)?
    /// Segments that a merge has put into another one and not yet removed.
    private(set) var leftovers: [UInt64] = []
    private(set) var temporaries: [String] = []
    private(set) var staging: StagingImage?
    /// The staging file is there, but nothing can be taken from it.
    private(set) var isStagingUnusable = false
    private(set) var frames: [StagingImage.Found] = []
    private(set) var strays: [StagingImage.Found] = []
    /// nil where the file is not there or no good.
    private var start: LogEdge?
    private var cleanEnd: LogEdge?
    private var isEmpty = true
    /// The chain value before the log's first record.
    private var firstChain: UInt64?

    init(
        _ environment: LogEnvironment, witnesses: [Witness], readFrom: UInt64 = .max,
        believesSegments: Bool = false
    ) throws(LogError) {
        self.environment = environment
        self.believesSegments = believesSegments
        self.readFrom = readFrom
        end = LogEnd(startOf: environment.storeID)
        segmentsEnd = end
        var damage: Corruption?
        do throws(LogError) {
            temporaries = try StoreLayout.temporaries(environment)
            try readEdges()
            try readSegments()
            segmentsEnd = end
            try readStaging()
            damage = try evidence(witnesses)
        } catch {
            guard case .corrupt(let corruption) = error else { throw error }
            damage = corruption
            segmentsEnd = end
        }
        if damage != nil {
            // A reader reads segments: what only staging holds stays there.
            end = segmentsEnd
            end.preamble = try schemasBeforeDamage()
            frames = []
        }
        conclude(damage)
    }

    // MARK: reading

    private mutating func readEdges() throws(LogError) {
        let layout = environment.layout
        switch try LogEdge.read(.start, environment) {
        case .absent: break
        case .edge(let edge): start = edge
        case .unusable(let fault):
            warn(
                layout.logStart,
                "it cannot be used (\(fault)), so nothing says where the log begins")
        }
        switch try LogEdge.read(.cleanEnd, environment) {
        case .absent: break
        case .edge(let edge):
            cleanEnd = edge
            end.epoch = max(end.epoch, edge.epoch)
        case .unusable(let fault): warn(layout.cleanEnd, "it cannot be used (\(fault))")
        }
    }

    private mutating func warn(_ path: String, _ reason: String) {
        judgement.findings.append(
            Finding(severity: .warning, path: path, offset: nil, lost: nil, reason: reason))
    }

    private mutating func readSegments() throws(LogError) {
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

    /// Whether a crash kept the last file from ever becoming a segment: it has no whole header, and
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
                "a snapshot stands where a segment belongs"
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

    /// Log is deleted at its start only after log-start says so.
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

    /// A segment that is not the last is sealed; its footer says where it ends. Its blocks are checked by
    /// whoever reads them, or here if that is going to be somebody who opens the store.
    private mutating func skim(_ segment: SegmentReader) throws(LogError) {
        if let (footer, _) = try segment.footer(), footer.firstSequence <= readFrom {
            end.nextSequence = footer.firstSequence
            end.chain = footer.chain
            end.lastTime = footer.time / 1000
            return
        }
        // The seek table is derived: without it the blocks themselves say whether all is there.
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

    private mutating func readStaging() throws(LogError) {
        let path = environment.layout.staging
        switch try StagingImage.read(environment) {
        case .absent:
            judgement.left = cleanEnd != nil ? .closed : isNew ? .new : .unknown
        case .unusable(let fault):
            if fault.isNewer { throw .unsupported(path: path, fault) }
            isStagingUnusable = true
            // clean-end is removed, and that synced, before anything is staged.
            judgement.left = cleanEnd != nil ? .closed : .unknown
            warn(path, "it cannot be used: \(fault)")
        case .image(let image):
            staging = image
            judgement.published = image.published
            let isClosed = cleanEnd.map { $0.epoch >= image.header.epoch } ?? false
            judgement.left = isClosed ? .closed : .open
            if image.header.epoch < end.epoch, !isClosed {
                judgement.left = .unknown
                warn(path, "it is older than the log: a writer after it has gone on")
            }
            end.epoch = max(end.epoch, image.header.epoch)
            if image.header.isFromCopy { warn(path, "its first page is damaged; the copy is good") }
            takeFrames(image)
        }
    }

    /// Whether nothing shows that there ever was more than an empty store.
    private var isNew: Bool { isEmpty && start == nil && judgement.findings.isEmpty }

    /// Takes the frames that continue the log. All others beyond its end stay behind. Frames come in
    /// the order of their sequences, so behind a gap nothing can fit.
    private mutating func takeFrames(_ image: StagingImage) {
        var chain = Chain(end.chain)
        var preamble = end.preamble
        image.forEachFrame { found in
            guard found.frame.firstSequence == end.nextSequence, found.frame.time >= end.lastTime
            else {
                if found.frame.firstSequence >= end.nextSequence { strays.append(found) }
                return
            }
            unsafe chain.append(timeAndRecords: found.frame.timeAndRecords)
            frames.append(found)
            end.nextSequence = found.frame.nextSequence
            end.lastTime = found.frame.time
            // A define that does not parse was never written by us; its checksum says that we did.
            try? preamble.note(found.frame)
        }
        end.chain = chain.value
        end.preamble = preamble
    }

    /// The schemas of what can still be read.
    private func schemasBeforeDamage() throws(LogError) -> Preamble {
        let bases = try LogReader.segmentBases(environment)
        guard let base = bases.last(where: { $0 < end.nextSequence }) else { return Preamble() }
        return try SegmentScan(try open(base, isLast: false)).preamble
    }
}

// MARK: judging

extension Judge {
    private func evidence(_ witnesses: [Witness]) throws(LogError) -> Corruption? {
        let lost = end.nextSequence
        let path = last?.segment.path ?? stillborn?.path ?? environment.layout.log
        func corruption(_ evidence: Evidence) -> Corruption {
            Corruption(
                path: path, offset: last?.end ?? 0, firstLost: lost,
                reason: last?.fault ?? "the log ends early", evidence: evidence)
        }
        // A segment is made only when the one before it has been synced and sealed.
        if let stillborn, stillborn.base > lost { return corruption(.sealed) }
        if let last, last.fault != nil {
            if let (footer, _) = try last.segment.footer(), footer.firstSequence > lost {
                return corruption(.sealed)
            }
            if let witness = try last.witness(of: lost) { return corruption(witness) }
        }
        if believesSegments { return nil }
        if let staging, judgement.left != .closed {
            // Headers count whose records are damaged: each has a checksum of its own.
            for found in strays + staging.damagedFrames {
                if let synced = found.frame.synced, synced >= lost {
                    return corruption(
                        .laterWitness(path: staging.path, offset: found.offset, synced: synced))
                }
            }
            if let published = staging.published, published.synced >= lost {
                return corruption(.stagingSays(synced: published.synced))
            }
        }
        for witness in witnesses where witness.sequence >= lost {
            return corruption(.appliedBy(name: witness.name, sequence: witness.sequence))
        }
        if let start, start.sequence >= lost {
            return corruption(.startMissing(deleted: start.sequence))
        }
        if let cleanEnd, cleanEnd.sequence >= lost {
            return corruption(.closedAt(cleanEnd.sequence))
        }
        return evidenceOfMissingEnd()
    }

    /// What only the absence of something shows that a crash does not remove.
    private func evidenceOfMissingEnd() -> Corruption? {
        let layout = environment.layout
        func unknown(_ path: String, _ reason: String) -> Corruption {
            let buffer = last.map { Int($0.segment.header.other) } ?? 0
            return Corruption(
                path: path, offset: 0, firstLost: end.nextSequence, reason: reason,
                evidence: .endUnknown(bufferByteCount: buffer))
        }
        switch judgement.left {
        case .new, .open: return nil
        case .closed:
            guard let cleanEnd else { return nil }
            if cleanEnd.sequence < end.nextSequence - 1 {
                return unknown(
                    layout.cleanEnd,
                    "it says that the store was closed after sequence \(cleanEnd.sequence), and the log "
                        + "goes on")
            }
            guard cleanEnd.chain == end.chain else {
                return Corruption(
                    path: last?.segment.path ?? layout.log, offset: 0, firstLost: end.nextSequence,
                    reason: "the log ends in another history than the one that was closed",
                    evidence: .closedAt(cleanEnd.sequence))
            }
            return nil
        case .unknown:
            // A damaged file that should say it is named; a missing one is named as missing.
            if let finding = judgement.findings.first(where: {
                $0.path == layout.staging || $0.path == layout.cleanEnd
            }) {
                return unknown(finding.path, finding.reason)
            }
            return unknown(layout.staging, "it is gone, and the store was not closed")
        }
    }

    private mutating func conclude(_ damage: Corruption?) {
        judgement.damage = damage
        judgement.written = segmentsEnd.nextSequence - 1
        judgement.end = end.nextSequence - 1
        findTorn(isDamaged: damage != nil)
        if let damage {
            judgement.findings.removeAll { $0.path == damage.path && $0.severity == .warning }
            judgement.findings.append(Finding(damage))
        }
        plan()
    }

    private mutating func findTorn(isDamaged: Bool) {
        guard !isDamaged else { return }
        let healed = frames.isEmpty ? "" : "; staging holds what follows"
        if let last, let fault = last.fault, last.end < last.fileByteCount {
            judgement.findings.append(
                Finding(
                    severity: frames.isEmpty ? .torn : .warning, path: last.segment.path,
                    offset: last.end, lost: nil, reason: fault + healed))
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
        // What segments hold as well is not missed.
        if let first = strays.first, let last = strays.last {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: staging.path, offset: first.offset,
                    lost: end.nextSequence...last.frame.nextSequence - 1,
                    reason: "\(strays.count) staged commits follow a gap"))
        }
        for found in staging.damagedFrames where found.frame.firstSequence >= end.nextSequence {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: staging.path, offset: found.offset,
                    lost: found.frame.firstSequence...found.frame.nextSequence - 1,
                    reason: "the records of a staged commit do not match their checksum"))
        }
        for offset in staging.damagedSlots {
            judgement.findings.append(
                Finding(
                    severity: .torn, path: staging.path, offset: offset, lost: nil,
                    reason: "a slot's header and its copy are damaged, and hide what it holds"))
        }
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
        if let first = strays.first, let last = strays.last {
            steps.append(
                .cutStaged(
                    commits: strays.count,
                    sequences: first.frame.firstSequence...last.frame.nextSequence - 1))
        }
        if !frames.isEmpty {
            steps.append(.takeStaged(commits: frames.count, through: end.nextSequence - 1))
        }
        if isStagingUnusable {
            steps.append(.keepStaging(path: environment.layout.staging))
        }
        if needsRewriting, let last { steps.append(.rewrite(path: last.segment.path)) }
        judgement.steps = steps
    }

    /// Whether the end has to be made durable anew: page cache is not trusted after an unclean end.
    var needsRewriting: Bool {
        judgement.left == .open || stillborn != nil || !frames.isEmpty
            || !strays.isEmpty || last.map { !$0.isSealed || $0.fault != nil } ?? false
    }
}

extension Judge {
    /// Makes the judgement that believed the segments hold for whoever opens the log: records where it begins and
    /// ends now. What staging holds beside that is kept in `quarantine/` by opening.
    func recordEdges() throws(LogError) {
        let store = environment.storeID
        if judgement.first > 1, let firstChain {
            try LogEdge(
                .start, of: store, at: judgement.first - 1, chain: firstChain, epoch: 0
            ).write(environment)
        }
        let saysMore =
            !strays.isEmpty || judgement.published.map { $0.synced > judgement.end } ?? false
        if judgement.left == .open, !saysMore {
            try LogEdge.remove(.cleanEnd, environment)
        } else {
            try LogEdge(
                .cleanEnd, of: store, at: end.nextSequence - 1, chain: end.chain, epoch: end.epoch
            ).write(environment)
        }
    }
}
