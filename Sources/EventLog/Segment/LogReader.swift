/// Reads the log forward, block by block, over a live log or one at rest, without any lock.
///
/// Its caller bounds it by a sequence that is known to be synced in segments. So if bytes below that bound fail a check,
/// they are damaged: it throws ``LogError/corrupt(_:)``, which names file, offset and sequence.
package final class LogReader {
    private let environment: LogEnvironment
    private var segment: SegmentReader?
    private var offset = 0
    private var loader = BlockLoader()

    /// The chain value before ``nextSequence``.
    package private(set) var chainAfter: UInt64 = 0
    /// The header of the current block.
    package private(set) var block: BlockHeader?
    /// The chain value before the current block.
    package private(set) var chainBefore: UInt64 = 0
    /// The sequence that the next block starts with.
    package private(set) var nextSequence: UInt64

    /// Places a reader so that its first block is the one that holds `sequence`. If the log ends
    /// before it, the first block is the one that will start with it.
    ///
    /// - Throws: ``LogError/deleted(sequence:oldest:)`` if the log starts later.
    package init(_ environment: LogEnvironment, from sequence: UInt64) throws(LogError) {
        self.environment = environment
        nextSequence = sequence
        guard let segment = try openSegment(holding: sequence) else {
            // An empty log: the first segment is yet to come.
            chainAfter = Chain(startOf: environment.storeID).value
            return
        }
        try start(in: segment, at: sequence)
    }

    /// Opens the last segment that starts at or before `sequence`; nil for the start of an empty log.
    private func openSegment(holding sequence: UInt64) throws(LogError) -> SegmentReader? {
        var missing: UInt64?
        while true {
            var bases = try Self.segmentBases(environment)
            if let last = bases.last, last <= sequence, try isBeingMade(last) { bases.removeLast() }
            guard let base = bases.last(where: { $0 <= sequence }) else {
                guard sequence == 1, bases.isEmpty else {
                    throw .deleted(sequence: sequence, oldest: bases.first)
                }
                return nil
            }
            do throws(LogError) {
                return try open(base)
            } catch {
                // It was deleted, or merged into another one, since the names were listed.
                guard case .deleted = error, missing != base else { throw error }
                missing = base
            }
        }
    }

    private func start(in segment: SegmentReader, at sequence: UInt64) throws(LogError) {
        self.segment = segment
        nextSequence = segment.header.base
        chainAfter = segment.header.chain
        offset = SegmentHeader.byteCount
        try seek(to: sequence, in: segment)
    }

    /// The payload of the current block. ``commits()`` and their records refer to its bytes.
    package var payload: [UInt8] { loader.payload }

    /// Hands out the payload of the current block, and takes memory for the next one.
    package func exchangePayload(_ memory: inout [UInt8]) { loader.exchangePayload(&memory) }

    /// A walk over the current block's commits. There must be one.
    package func commits() throws(LogError) -> CommitCursor {
        guard let block else { preconditionFailure("next(through:) must have returned true") }
        do throws(MalformedRecord) {
            return try CommitCursor(block, loader.payload.span)
        } catch {
            throw .corrupt(corruption(error.reason, readable: block.nextSequence - 1))
        }
    }

    /// The bases of all segments, ascending.
    package static func segmentBases(_ environment: LogEnvironment) throws(LogError) -> [UInt64] {
        try onDisk { () throws(SystemError) in
            // If a process was killed while it made the store, the directory may not exist yet.
            guard try environment.disk.exists(environment.layout.log) else { return [] }
            return try environment.disk.list(environment.layout.log)
                .compactMap(StoreLayout.sequence(ofFileNamed:)).sorted()
        }
    }

    /// Moves to the next block; false when the log is readable only up to here.
    ///
    /// - Parameters:
    ///   - readable: the last sequence that segments are known to hold, synced.
    ///   - isWanted: decides by its header whether a block is unpacked; other blocks are stepped over.
    package func next(
        through readable: UInt64, where isWanted: (BlockHeader) -> Bool = { _ in true }
    ) throws(LogError) -> Bool {
        var footerPassed: UInt64?
        while nextSequence <= readable {
            let segment = try currentSegment(readable: readable)
            switch try segment.item(at: offset, fileByteCount: try segment.byteCount()) {
            case .block(let header):
                guard header.firstSequence == nextSequence else {
                    throw .corrupt(
                        corruption(
                            "a block with sequence \(header.firstSequence) is here",
                            readable: readable))
                }
                guard isWanted(header) else {
                    advance(over: header)
                    continue
                }
                if let fault = try loader.load(
                    header, at: offset, of: segment, chainBefore: chainAfter)
                {
                    throw .corrupt(corruption(fault, readable: readable))
                }
                advance(over: header)
                block = header
                return true
            case .footer(let footer):
                guard footer.firstSequence == nextSequence, footer.chain == chainAfter else {
                    throw .corrupt(
                        corruption("the footer ends another history", readable: readable))
                }
                // The reader met the same footer again: no segment continues from here, although more should be readable.
                guard footerPassed != nextSequence else {
                    throw .deleted(
                        sequence: nextSequence, oldest: try Self.segmentBases(environment).first)
                }
                footerPassed = nextSequence
                self.segment = nil
            case .end:
                throw .corrupt(corruption("the segment ends early", readable: readable))
            case .damaged(let reason):
                throw .corrupt(corruption(reason, readable: readable))
            }
        }
        return false
    }

    /// The chain value after `sequence`, from the blocks, or from the header of the segment that starts
    /// behind it; nil if no commit ends there.
    package static func chain(
        at sequence: UInt64, _ environment: LogEnvironment
    ) throws(LogError) -> UInt64? {
        guard sequence > 0 else { return Chain(startOf: environment.storeID).value }
        guard sequence <= Frame.sequenceLimit else { return nil }
        if let oldest = try segmentBases(environment).first, oldest == sequence + 1 {
            return try LogReader(environment, from: oldest).chainAfter
        }
        let reader = try LogReader(environment, from: sequence)
        guard try reader.next(through: sequence) else { return nil }
        var chain = Chain(reader.chainBefore)
        var commits = try reader.commits()
        while let commit = try? commits.next(reader.payload.span) {
            chain.append(time: commit.time, records: reader.payload.span.extracting(commit.records))
            if commit.lastSequence == sequence { return chain.value }
        }
        return nil
    }

    /// Whether a live log's last segment has a name and no header yet; until then the log ends before it.
    private func isBeingMade(_ base: UInt64) throws(LogError) -> Bool {
        do throws(LogError) {
            let path = environment.layout.segment(base)
            let opened = try SegmentReader.open(path, on: environment.disk)
            guard case .badHeader(.truncated, _) = opened else { return false }
            return true
        } catch {
            guard case .system(let cause) = error, cause.isMissingFile else { throw error }
            return false
        }
    }

    private func advance(over header: BlockHeader) {
        chainBefore = chainAfter
        chainAfter = header.chain
        nextSequence = header.nextSequence
        offset += BlockHeader.byteCount + Int(header.packedLength)
    }

    private func currentSegment(readable: UInt64) throws(LogError) -> SegmentReader {
        if let segment { return segment }
        let (wanted, chain) = (nextSequence, chainAfter)
        // The segment that starts here, or the one into which it was merged meanwhile.
        guard let segment = try openSegment(holding: wanted) else {
            throw .deleted(sequence: wanted, oldest: nil)
        }
        try start(in: segment, at: wanted)
        let (found, foundChain) = (nextSequence, chainAfter)
        (nextSequence, chainAfter) = (wanted, chain)
        guard found == wanted else {
            self.segment = nil
            throw .deleted(sequence: wanted, oldest: try Self.segmentBases(environment).first)
        }
        guard foundChain == chain else {
            throw .corrupt(corruption("the segment continues another history", readable: readable))
        }
        return segment
    }

    private func open(_ base: UInt64) throws(LogError) -> SegmentReader {
        try Self.open(base, environment)
    }

    /// The segment that begins with `base`. Throws ``LogError/deleted(sequence:oldest:)`` if it does not exist any more.
    package static func open(
        _ base: UInt64, _ environment: LogEnvironment
    ) throws(LogError) -> SegmentReader {
        let path = environment.layout.segment(base)
        do throws(LogError) {
            switch try SegmentReader.open(path, on: environment.disk) {
            case .opened(let segment):
                guard segment.header.storeID == environment.storeID, segment.header.base == base,
                    segment.header.kind == .segment
                else {
                    throw LogError.corrupt(
                        Corruption(
                            path: path, offset: 0, firstLost: base,
                            reason: "the segment belongs elsewhere", evidence: .headerLost))
                }
                return segment
            case .badHeader(let fault, _) where fault.isNewer:
                throw LogError.unsupported(path: path, fault)
            case .badHeader(let fault, _):
                throw LogError.corrupt(
                    Corruption(
                        path: path, offset: 0, firstLost: base,
                        reason: "the segment's header is damaged: \(fault)", evidence: .headerLost))
            }
        } catch {
            guard case .system(let cause) = error, cause.isMissingFile else { throw error }
            throw .deleted(sequence: base, oldest: try segmentBases(environment).first)
        }
    }

    /// Steps over blocks by their headers, or by the seek table, up to the one that holds `sequence`.
    private func seek(to sequence: UInt64, in segment: SegmentReader) throws(LogError) {
        let count = try segment.byteCount()
        if let (footer, at) = try segment.footer(),
            let table = try segment.seekTable(footer, at: at)
        {
            try bisect(table.blockOffsets, sequence, in: segment, count)
        }
        while nextSequence < sequence {
            guard case .block(let header) = try segment.item(at: offset, fileByteCount: count),
                header.nextSequence <= sequence
            else { return }
            advance(over: header)
        }
    }

    /// Jumps to the last block that starts at or below `sequence`. It also reads the block before it, for the chain.
    private func bisect(
        _ offsets: [Int], _ sequence: UInt64, in segment: SegmentReader, _ count: Int
    ) throws(LogError) {
        var low = 0
        var high = offsets.count
        var previous: (header: BlockHeader, offset: Int)?
        while low < high {
            let middle = (low + high) / 2
            guard
                case .block(let header) = try segment.item(
                    at: offsets[middle], fileByteCount: count)
            else { return }
            if header.nextSequence <= sequence {
                previous = (header, offsets[middle])
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard let previous else { return }
        offset = previous.offset
        advance(over: previous.header)
    }

    private func corruption(_ reason: String, readable: UInt64) -> Corruption {
        Corruption(
            path: segment?.path ?? environment.layout.segment(nextSequence), offset: offset,
            firstLost: nextSequence, reason: reason, evidence: .published(through: readable))
    }
}
