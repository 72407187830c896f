package import EventLog
package import WriteBehindCore
import WriteBehindSQLite

/// Reads records backward, newest first: segment by segment, block by block.
package struct ReverseWalk {
    private let environment: LogEnvironment
    private let through: UInt64
    /// Everything from this sequence on has been read.
    package private(set) var reached: UInt64

    /// - Parameter through: the last sequence that may be read.
    package init(_ environment: LogEnvironment, through: UInt64) {
        self.environment = environment
        self.through = through
        reached = through + 1
    }

    /// Calls `body` for each wanted record, with the tables of its segment, until it returns false.
    ///
    /// - Parameter looking: called after each block, so that matches can be printed as they are found.
    /// - Throws: ``LogError/corrupt(_:)`` at a damaged block.
    package mutating func read(
        _ filter: RecordFilter, looking: () -> Void,
        _ body: (LoggedRecord, Catalog) throws -> Bool
    ) throws {
        for base in try LogReader.segmentBases(environment).reversed() where base <= through {
            let segment = try LogReader.open(base, environment)
            guard try walk(segment, filter, looking, body) else { return }
            reached = base
        }
    }

    private mutating func walk(
        _ segment: SegmentReader, _ filter: RecordFilter, _ looking: () -> Void,
        _ body: (LoggedRecord, Catalog) throws -> Bool
    ) throws -> Bool {
        // The records of a segment that was merged into this one and not removed yet were already read.
        let headers = try segment.headers().filter { $0.header.firstSequence < reached }
        try checkEnd(of: segment, headers.last)
        // Tables only ever gain columns, so those at the segment's end explain all of its records.
        let catalog = try CatalogLookup(environment).catalog(of: segment, before: .max)
        let matcher = RecordMatcher(filter, catalog)
        var loader = BlockLoader()
        for (index, found) in headers.enumerated().reversed() {
            guard !filter.isBefore(found.header) else { return false }
            guard filter.admits(found.header) else {
                reached = found.header.firstSequence
                continue
            }
            let chain = index == 0 ? segment.header.chain : headers[index - 1].header.chain
            if let fault = try loader.load(
                found.header, at: found.offset, of: segment, chainBefore: chain)
            {
                throw LogError.corrupt(
                    Corruption(
                        path: segment.path, offset: found.offset,
                        firstLost: found.header.firstSequence, reason: fault,
                        evidence: .published(through: through)))
            }
            for record in try records(found.header, loader.payload, matcher).reversed() {
                guard try body(record, catalog) else { return false }
            }
            reached = found.header.firstSequence
            looking()
        }
        return true
    }

    /// Headers are read from the start to the first damaged one. This check makes sure that a damaged one does not hide the
    /// records behind it.
    private func checkEnd(
        of segment: SegmentReader, _ last: (header: BlockHeader, offset: Int)?
    ) throws(LogError) {
        let next = last?.header.nextSequence ?? segment.header.base
        guard next < reached else { return }
        let offset =
            last.map { $0.offset + BlockHeader.byteCount + Int($0.header.packedLength) }
            ?? SegmentHeader.byteCount
        let item = try segment.item(at: offset, fileByteCount: try segment.byteCount())
        let reason =
            if case .damaged(let reason) = item { reason } else { "the segment ends early" }
        throw .corrupt(
            Corruption(
                path: segment.path, offset: offset, firstLost: next, reason: reason,
                evidence: .published(through: through)))
    }

    private func records(
        _ block: BlockHeader, _ payload: [UInt8], _ matcher: RecordMatcher
    ) throws -> [LoggedRecord] {
        var records: [LoggedRecord] = []
        guard matcher.mayHold(payload.span) else { return records }
        var commits = try CommitCursor(block, payload.span)
        while let commit = try commits.next(payload.span) {
            try forEachRecord(of: commit, in: payload.span, matcher) { record in
                if record.sequence <= through { records.append(record) }
                return true
            }
        }
        return records
    }
}
