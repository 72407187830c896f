// The evidence that the first lost sequence had been durable.

/// The evidence of how far the log had been durable. The most direct evidence is added first.
struct Testimony {
    /// The first sequence that is missing.
    let lost: UInt64
    /// The last sequence that any evidence shows to have been durable, whether it is there or not.
    private(set) var durable: UInt64 = 0
    /// The first evidence that the lost sequence had been durable.
    private(set) var contradiction: Evidence?

    init(lost: UInt64) { self.lost = lost }

    mutating func hear(_ durable: UInt64, _ evidence: @autoclosure () -> Evidence) {
        self.durable = max(self.durable, durable)
        if contradiction == nil, durable >= lost { contradiction = evidence() }
    }
}

extension Judge {
    mutating func evidence(_ witnesses: [Witness]) throws(LogError) -> Corruption? {
        let lost = end.nextSequence
        var heard = Testimony(lost: lost)
        try hearSegments(&heard)
        if !believesSegments {
            hearStaging(&heard)
            for witness in witnesses {
                heard.hear(
                    witness.sequence, .appliedBy(name: witness.name, sequence: witness.sequence))
            }
            if let start { heard.hear(start.sequence, .startMissing(deleted: start.sequence)) }
            if let cleanEnd { heard.hear(cleanEnd.sequence, .closedAt(cleanEnd.sequence)) }
        }
        proven = heard.durable
        if let evidence = heard.contradiction {
            return Corruption(
                path: last?.segment.path ?? stillborn?.path ?? environment.layout.log,
                offset: last?.end ?? 0, firstLost: lost,
                reason: last?.fault ?? "the log ends early", evidence: evidence)
        }
        return believesSegments ? nil : evidenceOfMissingEnd()
    }

    private func hearSegments(_ heard: inout Testimony) throws(LogError) {
        // A segment is created only after the one before it was synced and sealed.
        if let stillborn { heard.hear(stillborn.base - 1, .sealed) }
        guard let last else { return }
        heard.hear(last.segment.header.base - 1, .sealed)
        // A footer is written only after the blocks before it were synced.
        if last.isSealed {
            heard.hear(last.nextSequence - 1, .sealed)
        } else if last.fault != nil, let (footer, _) = try last.segment.footer() {
            heard.hear(footer.firstSequence - 1, .sealed)
        }
        try last.forEachHeader { header, offset in
            guard let durable = header.durable else { return }
            heard.hear(
                durable, .laterWitness(path: last.segment.path, offset: offset, durable: durable))
        }
    }

    private func hearStaging(_ heard: inout Testimony) {
        guard let staging, judgement.left != .closed else { return }
        // Headers before damaged records count, too, because each header has its own checksum.
        for found in staged + strays + staging.damagedCommits {
            guard let durable = found.commit.durable else { continue }
            heard.hear(
                durable, .laterWitness(path: staging.path, offset: found.offset, durable: durable))
        }
        if let published = staging.published {
            heard.hear(published.durable, .stagingSays(durable: published.durable))
        }
    }

    /// The absence of a file that no crash removes is evidence.
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
            // The finding names the file that should show the end, as damaged or as missing.
            if let finding = judgement.findings.first(where: {
                $0.path == layout.staging || $0.path == layout.cleanEnd
            }) {
                return unknown(finding.path, finding.reason)
            }
            return unknown(layout.staging, "it is gone, and the store was not closed")
        }
    }
}

extension SegmentScan {
    /// E2: all headers, those behind the fault included. A later header may show that an earlier sequence had been synced.
    func forEachHeader(
        _ body: (_ header: BlockHeader, _ offset: Int) -> Void
    ) throws(LogError) {
        for block in blocks { body(block.header, block.offset) }
        if fault != nil { try forEachHeaderBehind(body) }
    }

    /// What headers behind the fault say about the records from `start` on, whether their blocks are readable or not; nil if
    /// there are no such headers.
    func lossTold(from start: UInt64) throws(LogError) -> Loss? {
        var next = start
        var tables: LostTables?
        try forEachHeaderBehind { header, _ in
            guard header.nextSequence > next else { return }
            var told = header.kind == .block ? LostTables(of: header) : .unknown
            // Either the header of the block before this one is lost, or this block begins before `start`.
            if header.firstSequence > next { told = told.union(.unknown) }
            if header.firstSequence < next {
                told = told.part(header.nextSequence - next, of: UInt64(header.count))
            }
            tables = tables?.union(told) ?? told
            next = header.nextSequence
        }
        return tables.map { Loss(start...next - 1, $0) }
    }

    /// Searches for valid headers from the fault on, at every byte.
    private func forEachHeaderBehind(
        _ body: (_ header: BlockHeader, _ offset: Int) -> Void
    ) throws(LogError) {
        let chunk = 1 << 20
        var start = end
        while start < fileByteCount {
            let bytes = try segment.read(chunk + BlockHeader.byteCount, at: start)
            var offset = 0
            while offset < chunk, offset + BlockHeader.byteCount <= bytes.count {
                defer { offset += 1 }
                guard bytes[offset] == 0x57, bytes[offset + 1] == 0x2A else { continue }
                let here = bytes.span.extracting(offset..<offset + BlockHeader.byteCount)
                guard let header = try? BlockHeader(decoding: here, salt: segment.header.salt)
                else { continue }
                body(header, start + offset)
            }
            start += chunk
        }
    }
}
