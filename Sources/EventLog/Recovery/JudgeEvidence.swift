// The evidence that the first lost sequence had been durable.

extension Judge {
    func evidence(_ witnesses: [Witness]) throws(LogError) -> Corruption? {
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
            // A header counts even if its records are damaged: it has a checksum of its own.
            for found in strays + staging.damagedCommits {
                if let durable = found.commit.durable, durable >= lost {
                    return corruption(
                        .laterWitness(path: staging.path, offset: found.offset, durable: durable))
                }
            }
            if let published = staging.published, published.durable >= lost {
                return corruption(.stagingSays(durable: published.durable))
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

    /// Evidence that is the absence of a file which no crash removes.
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
}

extension SegmentScan {
    /// E2: what was written later and knew that a sequence had been synced.
    func witness(of lost: UInt64) throws(LogError) -> Evidence? {
        var evidence: Evidence?
        try forEachHeaderBehind { header, offset in
            guard let durable = header.durable, durable >= lost else { return true }
            evidence = .laterWitness(path: segment.path, offset: offset, durable: durable)
            return false
        }
        return evidence
    }

    /// The facts in headers behind the fault, of readable blocks or not, about the records from `start` on; nil if there
    /// are none.
    func lossTold(from start: UInt64) throws(LogError) -> Loss? {
        var next = start
        var tables: LostTables?
        try forEachHeaderBehind { header, _ in
            guard header.nextSequence > next else { return true }
            var told = header.kind == .block ? LostTables(of: header) : .unknown
            // The header of the block before it is lost, or it begins among what is not.
            if header.firstSequence > next { told = told.union(.unknown) }
            if header.firstSequence < next { told = told.ofAPart }
            tables = tables?.union(told) ?? told
            next = header.nextSequence
            return true
        }
        return tables.map { Loss(start...next - 1, $0) }
    }

    /// Searches for valid headers from the fault on, at every byte, until the callback says to stop.
    private func forEachHeaderBehind(
        _ body: (_ header: BlockHeader, _ offset: Int) -> Bool
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
                guard body(header, start + offset) else { return }
            }
            start += chunk
        }
    }
}
