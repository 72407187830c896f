// Recovery at open.
//
// Blocks are read in order to the first one that fails any check; staging's frames with the next
// consecutive sequences continue them. Let `lost` be the first sequence that neither holds.
//
// Corrupt, when there is any evidence that `lost` was durable (``Evidence``, E1 to E4): the log is
// then only read. Torn otherwise: what follows was never acknowledged as durable. No guess is made
// from content. Known limit: rot in the last durable block, with nothing after it, looks torn.
//
// Nothing is repaired in place, and page cache is not trusted after an unclean end: the last segment
// is written anew (its good blocks, then staging's frames, footer), synced, verified and renamed over
// the old one. What is cut off is kept in `quarantine/`. Only then are sequence numbers assigned, after
// a fresh staging file with a new salt has replaced the old one.
//
// Each step leaves a state that recovery, run again, turns into the same result:
//
//   state on disk                         what running again does
//   nothing done                          all of it
//   quarantine copy written               writes another copy under a free name
//   temporary segment written             removes it, writes it again
//   leftovers of a merge removed in part  removes the others (SegmentMerge.swift)
//   last segment replaced                 finds it sealed; staging's frames are in it; writes it anew
//   staging replaced                      finds no frames

/// Finds out how a log ended and makes it ready to be continued.
struct Recovery {
    let environment: LogEnvironment
    private let options: LogOptions
    /// From here on, all segments are read wholly: somebody is about to replay them.
    private let readFrom: UInt64
    private(set) var report = RecoveryReport()
    /// Where the log ends with what was taken from staging.
    private(set) var end: LogEnd
    /// Where the segments alone end.
    private(set) var segmentsEnd: LogEnd
    private(set) var last: SegmentScan?
    /// A last file that never got a whole header, and so holds nothing.
    private var stillborn: (path: String, base: UInt64)?
    /// Segments that a merge has put into another one and not yet removed.
    private var leftovers: [UInt64] = []
    private var staging: StagingImage?
    /// The staging file is there, but nothing can be taken from it.
    private var stagingIsUnusable = false
    private(set) var frames: [StagingImage.Found] = []
    private var strays: [StagingImage.Found] = []

    /// Reads and judges; changes nothing. Check `report.corruption` before going on.
    init(
        _ environment: LogEnvironment, options: LogOptions, witnesses: [Witness],
        readFrom: UInt64 = .max
    ) throws(LogError) {
        self.environment = environment
        self.options = options
        self.readFrom = readFrom
        end = LogEnd(startOf: environment.storeID)
        segmentsEnd = end
        do throws(LogError) {
            try readSegments()
            segmentsEnd = end
            try readStaging()
            report.corruption = try evidence(witnesses)
        } catch {
            guard case .corrupt(let corruption) = error else { throw error }
            report.corruption = corruption
            segmentsEnd = end
        }
        if report.corruption != nil {
            // A reader reads segments: what only staging holds stays there.
            end = segmentsEnd
            end.preamble = try schemasBeforeDamage()
            frames = []
        }
        report.end = end.nextSequence - 1
        report.tornBytes = last.map { $0.fileByteCount - $0.end } ?? 0
        if let fault = last?.fault { report.tornReason = fault }
        report.commitsFromStaging = frames.count
    }

    // MARK: reading

    private mutating func readSegments() throws(LogError) {
        var bases = try LogReader.segmentBases(environment)
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
        stillborn = (path, base)
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

    /// A segment continues the one before it. The first may start anywhere: older ones may be deleted.
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
        if isFirst {
            end.nextSequence = header.base
            end.chain = header.chain
        }
        end.epoch = header.epoch
    }

    /// A segment that is not the last is sealed; its footer says where it ends. Its blocks are checked by
    /// whoever reads them, or here if that is going to be somebody who opens the store.
    private mutating func skim(_ segment: SegmentReader) throws(LogError) {
        if let (footer, _) = try segment.footer(), footer.firstSequence <= readFrom {
            end.nextSequence = footer.firstSequence
            end.chain = footer.chain
            end.lastTime = footer.time / 1000
        } else {
            // The seek table is derived: without it the blocks themselves say whether all is there.
            let scan = try SegmentScan(segment)
            end.nextSequence = scan.nextSequence
            end.chain = scan.chain
            end.lastTime = scan.lastTime
            guard scan.isSealed else {
                throw .corrupt(
                    Corruption(
                        path: segment.path, offset: scan.end, firstLost: scan.nextSequence,
                        reason: scan.fault ?? "the footer is missing", evidence: .sealed))
            }
        }
        end.lastBase = segment.header.base
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
            end.lastBase = segment.header.base
        }
    }

    /// The schemas as of the end of a sealed segment.
    private func preamble(after segment: SegmentReader) throws(LogError) -> Preamble {
        let scan = try SegmentScan(segment)
        guard scan.isSealed else {
            throw .corrupt(
                Corruption(
                    path: segment.path, offset: scan.end, firstLost: scan.nextSequence,
                    reason: scan.fault ?? "the footer is missing", evidence: .sealed))
        }
        return scan.preamble
    }

    private mutating func readStaging() throws(LogError) {
        switch try StagingImage.read(environment) {
        case .absent:
            break
        case .unusable(let fault):
            report.wasUnclean = true
            if fault.isNewer {
                throw .unsupported(path: environment.layout.staging, fault)
            }
            stagingIsUnusable = true
            report.tornReason = "staging cannot be used: \(fault)"
        case .image(let image):
            report.wasUnclean = true
            staging = image
            takeFrames(image)
        }
    }

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

    // MARK: judging

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
        for stray in strays {
            if let synced = stray.frame.synced, synced >= lost, let staging {
                return corruption(
                    .laterWitness(path: staging.path, offset: stray.offset, synced: synced))
            }
        }
        for witness in witnesses where witness.sequence >= lost {
            return corruption(.appliedBy(name: witness.name, sequence: witness.sequence))
        }
        return nil
    }
}

// MARK: repairing

extension Recovery {
    /// Makes the log whole and durable. Nothing of it is repaired in place.
    mutating func repair() throws(LogError) {
        assert(report.corruption == nil)
        try removeTemporaries()
        if !leftovers.isEmpty { try SegmentMerge.remove(leftovers, environment) }
        if let last, !last.isSealed || last.fault != nil { report.wasUnclean = true }
        guard report.wasUnclean || stillborn != nil else { return }
        report.wasUnclean = true
        try keepWhatIsCutOff()
        if let stillborn {
            try onDisk { () throws(SystemError) in try environment.disk.remove(stillborn.path) }
        }
        try SegmentRewrite(environment, options: options)
            .replace(last, appending: frames, segmentsEnd: segmentsEnd, end: end)
        if let first = frames.first, last?.blocks.isEmpty ?? true {
            end.lastBase = first.frame.firstSequence
        }
        // The names of what was removed, created or replaced, and of the segments before them.
        try onDisk { () throws(SystemError) in
            try environment.disk.synchronizeDirectory(environment.layout.log)
        }
    }

    private func removeTemporaries() throws(LogError) {
        try onDisk { () throws(SystemError) in
            for name in try environment.disk.list(environment.layout.log)
            where StoreLayout.isTemporary(name) {
                try environment.disk.remove(environment.layout.log + "/" + name)
            }
        }
    }

    private mutating func keepWhatIsCutOff() throws(LogError) {
        if let last, report.tornBytes > 0 {
            try keep("segment-tail") { (write) throws(LogError) in
                var offset = last.end
                while offset < last.fileByteCount {
                    let bytes = try last.segment.read(1 << 20, at: offset)
                    guard !bytes.isEmpty else { return }
                    try write(bytes)
                    offset += bytes.count
                }
            }
        }
        if let staging, !strays.isEmpty {
            let strays = self.strays
            try keep("staging-frames") { (write) throws(LogError) in
                for stray in strays { try write(staging.copy(of: stray)) }
            }
        }
        if let stillborn { try keepFile(stillborn.path, as: "segment-header") }
        if stagingIsUnusable {
            try keepFile(environment.layout.staging, as: "staging")
        }
    }

    private mutating func keepFile(_ path: String, as what: String) throws(LogError) {
        let file = try onDisk { () throws(SystemError) in try environment.disk.open(path, .read) }
        try keep(what) { (write) throws(LogError) in
            var offset = 0
            while true {
                let bytes = try onDisk { () throws(SystemError) in
                    try file.bytes(1 << 20, at: offset)
                }
                guard !bytes.isEmpty else { return }
                try write(bytes)
                offset += bytes.count
            }
        }
    }

    /// Writes a file into `quarantine/` and syncs it, with its name.
    private mutating func keep(
        _ what: String,
        _ fill: (_ write: ([UInt8]) throws(LogError) -> Void) throws(LogError) -> Void
    ) throws(LogError) {
        let (disk, layout) = (environment.disk, environment.layout)
        let sequence = end.nextSequence
        let path = try onDisk { () throws(SystemError) in
            try layout.cutOff(what, at: sequence, on: disk)
        }
        let file = try onDisk { () throws(SystemError) in
            try disk.open(path, .createExclusively)
        }
        var offset = 0
        try fill { (bytes) throws(LogError) in
            try onDisk { () throws(SystemError) in try file.write(bytes.span, at: offset) }
            offset += bytes.count
        }
        try onDisk { () throws(SystemError) in
            try file.synchronize()
            try disk.synchronizeDirectory(layout.quarantine)
        }
        report.cutOff.append(path)
    }
}
