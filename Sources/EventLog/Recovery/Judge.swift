// Collects the evidence in a log's files, and plans the steps that are needed to go on writing.
//
// Blocks are read in order to the first one that fails any check; staging's commits with the next
// consecutive sequences continue them. So nothing of a damaged block is lost as long as staging still holds it.
// Let `lost` be the first sequence that neither holds.
//
// The log is corrupt if there is any evidence that `lost` was durable, or that a file is missing which no crash
// removes (``Evidence``, E1 to E7). Then it is only read. Otherwise it is torn: nothing shows that the rest had
// been durable. No guess is made from content.
//
// Two files show how the log was left; one of them is always there (LogEdge.swift, StagingFormat.swift):
//
//   staging    clean-end            the log
//   no         no                   is new, if it holds nothing; else its end is unknown (E7)
//   no         yes                  was closed: it must end where clean-end says (E6, E7)
//   no good    yes                  the same
//   no good    no                   its end is unknown (E7)
//   yes        no                   was not closed
//   yes        of the same writer   was closed; staging was about to be removed
//   yes        of an earlier one    was not closed; clean-end was about to be removed

/// Determines the state of a log. It only reads, and changes nothing.
struct Judge {
    let environment: LogEnvironment
    /// Segments that reach this sequence are read to their end, because the caller is about to replay them.
    let readFrom: UInt64
    /// Whether only the segments themselves say where the log begins and ends.
    let believesSegments: Bool
    var judgement = Judgement()
    /// The end of the log, with the commits that were taken from staging.
    var end: LogEnd
    /// The end of the segments alone.
    var segmentsEnd: LogEnd
    var last: SegmentScan?
    /// The last file, if it never got a whole header, so that it holds nothing.
    var stillborn: (path: String, base: UInt64, byteCount: Int)?
    /// Segments that a merge has put into another one and not yet removed.
    var leftovers: [UInt64] = []
    var temporaries: [String] = []
    var staging: StagingImage?
    /// Whether there is a staging file that cannot be used.
    var isStagingUnusable = false
    var staged: [StagingImage.Found] = []
    var strays: [StagingImage.Found] = []
    /// nil if the file is missing or not good.
    var start: LogEdge?
    var cleanEnd: LogEdge?
    var isEmpty = true
    /// The chain value before the log's first record.
    var firstChain: UInt64?
    /// The last sequence that is known to have been durable. If segments show damage by themselves, everything before it
    /// had been synced.
    var proven = UInt64.max

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
            // A reader reads segments only, so commits that only staging holds stay there.
            end = segmentsEnd
            end.preamble = try schemasBeforeDamage()
            staged = []
        }
        try conclude(damage)
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
            takeStaged(image)
        }
    }

    /// Whether nothing shows that there ever was more than an empty store.
    private var isNew: Bool { isEmpty && start == nil && judgement.findings.isEmpty }

    /// Takes the commits that continue the log. Commits come in the order of their sequences, so none behind a gap can fit.
    /// Those are left behind.
    private mutating func takeStaged(_ image: StagingImage) {
        var chain = Chain(end.chain)
        var preamble = end.preamble
        image.forEachCommit { found in
            guard found.commit.firstSequence == end.nextSequence, found.commit.time >= end.lastTime
            else {
                if found.commit.firstSequence >= end.nextSequence { strays.append(found) }
                return
            }
            unsafe chain.append(timeAndRecords: found.commit.timeAndRecords)
            staged.append(found)
            end.nextSequence = found.commit.nextSequence
            end.lastTime = found.commit.time
            // A define record that cannot be parsed was not written by this library, although its checksum is good.
            try? preamble.note(found.commit)
        }
        end.chain = chain.value
        end.preamble = preamble
        // In a file that no store wrote, a commit that fits may come behind one with a higher sequence.
        strays.removeAll { $0.commit.firstSequence < end.nextSequence }
    }
}

extension Judge {
    /// Records where the segments begin and end, so that the next opening judges the log as this judgement did.
    /// Opening then keeps further commits of staging in `aside/`.
    func recordEdges() throws(LogError) {
        let store = environment.storeID
        if judgement.first > 1, let firstChain {
            try LogEdge(
                .start, of: store, at: judgement.first - 1, chain: firstChain, epoch: 0
            ).write(environment)
        }
        let saysMore =
            !strays.isEmpty || judgement.published.map { $0.durable > judgement.end } ?? false
        if judgement.left == .open, !saysMore {
            try LogEdge.remove(.cleanEnd, environment)
        } else {
            try LogEdge(
                .cleanEnd, of: store, at: end.nextSequence - 1, chain: end.chain, epoch: end.epoch
            ).write(environment)
        }
    }
}
