package import EventLog
import WriteBehindCore
import WriteBehindSQLite

/// Reads one segment to its end. It goes on behind damage, so that all damage is found.
package struct SegmentCheck: Sendable {
    package let base: UInt64
    package let path: String
    package private(set) var header: SegmentHeader?
    package private(set) var byteCount = 0
    /// The blocks that are good, with their offsets.
    package private(set) var good: [(header: BlockHeader, offset: Int)] = []
    package private(set) var isSealed = false
    package private(set) var findings: [Finding] = []
    /// The sequence after the segment's last one, lost ones included.
    package private(set) var nextSequence: UInt64
    /// The chain value after that; nil if it is unknown because of damage.
    package private(set) var chain: UInt64?
    private let limit: UInt64
    private let end: Int
    /// False if only headers are checked.
    private let checksContents: Bool
    /// The tables that the segment's preamble names; nil if it cannot be read.
    private(set) var tablesBefore: Catalog?
    /// The tables for checking its records; nil if they are unknown because of damage.
    private var records: RecordCheck?
    /// The tables at its end; nil if they are unknown because of damage.
    var tablesAfter: Catalog? { records?.catalog }
    /// The tables that the last block's records belong to.
    private var tables = TableSet()

    /// - Parameters:
    ///   - limit: the last sequence to read. Later blocks may be half written.
    ///   - end: the offset at which to stop. Later bytes do not belong to the log.
    ///   - contents: false to check only headers.
    package init(
        _ environment: LogEnvironment, base: UInt64, through limit: UInt64 = .max,
        before end: Int = .max, contents: Bool = true
    ) throws(LogError) {
        checksContents = contents
        self.base = base
        self.limit = limit
        self.end = end
        path = environment.layout.segment(base)
        nextSequence = base
        switch try SegmentReader.open(path, on: environment.disk) {
        case .badHeader(let fault, let count):
            if fault.isNewer { throw .unsupported(path: path, fault) }
            byteCount = count
            note(at: 0, "the segment's header is damaged: \(fault)", through: nil)
        case .opened(let segment):
            header = segment.header
            byteCount = try segment.byteCount()
            chain = segment.header.chain
            if segment.header.storeID != environment.storeID || segment.header.base != base
                || segment.header.kind != .segment
            {
                note(at: 0, "the segment belongs elsewhere", through: nil)
            } else {
                try walk(segment)
            }
        }
    }

    /// A segment, or the cut-off end of one, read by itself. It may belong to any store.
    package init(_ file: SegmentReader) throws(LogError) {
        base = file.header.base
        (limit, end, checksContents) = (.max, .max, true)
        path = file.path
        nextSequence = file.header.base
        header = file.header
        byteCount = try file.byteCount()
        chain = file.header.chain
        try walk(file)
    }

    package var recordCount: UInt64 { good.reduce(0) { $0 + UInt64($1.header.count) } }

    private mutating func note(
        at offset: Int, _ reason: String, through last: UInt64?, _ tables: LostTables = .unknown
    ) {
        let lost = last.flatMap { $0 >= nextSequence ? nextSequence...$0 : nil }
        findings.append(
            Finding(
                severity: .corrupt, path: path, offset: offset, lost: lost, tables: tables,
                reason: reason))
    }

    private mutating func walk(_ segment: SegmentReader) throws(LogError) {
        var loader = BlockLoader()
        var offset = SegmentHeader.byteCount
        while offset < min(byteCount, end), nextSequence <= limit {
            switch try segment.item(at: offset, fileByteCount: byteCount) {
            case .block(let block):
                try take(block, at: offset, of: segment, &loader)
                offset += BlockHeader.byteCount + Int(block.packedLength)
            case .footer(let footer):
                return try end(footer, at: offset, of: segment)
            case .end: return
            case .damaged(let reason):
                guard
                    let next = try segment.nextHeader(from: offset + 1, notBefore: nextSequence)
                else {
                    return note(at: offset, reason, through: nil)
                }
                note(at: offset, reason, through: next.header.firstSequence - 1)
                nextSequence = next.header.firstSequence
                chain = nil
                records = nil
                offset = next.offset
            }
        }
    }

    private mutating func take(
        _ block: BlockHeader, at offset: Int, of segment: SegmentReader,
        _ loader: inout BlockLoader
    ) throws(LogError) {
        if block.firstSequence != nextSequence {
            note(
                at: offset,
                "a block with sequence \(block.firstSequence) is in the place of \(nextSequence)",
                through: block.firstSequence > nextSequence ? block.firstSequence - 1 : nil)
            guard block.firstSequence > nextSequence else { return }
            nextSequence = block.firstSequence
            chain = nil
            records = nil
        }
        if checksContents, let fault = try fault(of: block, at: offset, segment, &loader) {
            note(at: offset, fault, through: block.nextSequence - 1, LostTables(of: block))
            records = nil
        } else {
            if checksContents, !block.tables.isEmpty, block.tables != tables {
                warn(at: offset, "the block's header names other tables than its records")
            }
            good.append((block, offset))
        }
        nextSequence = block.nextSequence
        chain = block.chain
    }

    private mutating func fault(
        of block: BlockHeader, at offset: Int, _ segment: SegmentReader, _ loader: inout BlockLoader
    ) throws(LogError) -> String? {
        let isFirst = offset == SegmentHeader.byteCount && header?.kind == .segment
        return try loader.load(block, at: offset, of: segment, chainBefore: chain)
            ?? malformed(block, loader.payload.span, isFirst: isFirst)
    }

    /// The fault of the block's records; nil if there is none.
    private mutating func malformed(
        _ block: BlockHeader, _ payload: Span<UInt8>, isFirst: Bool
    ) -> String? {
        tables = TableSet()
        do throws(MalformedRecord) {
            var commits = try CommitCursor(block, payload)
            if isFirst {
                guard let preamble = commits.preamble else {
                    return "the segment's first block has no preamble"
                }
                let check = try RecordCheck(preamble: payload.extracting(preamble))
                (tablesBefore, records) = (check.catalog, check)
            }
            while let commit = try commits.next(payload) {
                if records == nil {
                    try parse(commit, payload)
                } else {
                    try records?.check(commit, in: payload)
                }
            }
            if let known = records?.tables { tables = known }
            records?.tables = TableSet()
            return nil
        } catch {
            return "the block holds no valid records: \(error.reason)"
        }
    }

    /// Checks records whose tables are unknown.
    private mutating func parse(
        _ commit: Commit, _ payload: Span<UInt8>
    ) throws(MalformedRecord) {
        var reader = ByteReader(commit.records)
        var count: UInt32 = 0
        while !reader.isAtEnd {
            tables.insert(try reader.record(payload).table)
            count += 1
        }
        guard count == commit.count else {
            throw MalformedRecord(
                offset: commit.records.lowerBound,
                reason: "commit \(commit.firstSequence) holds \(count) records, not \(commit.count)"
            )
        }
    }

    /// The fault of commits that staging holds behind this segment; nil if there is none, or if it is unknown because of
    /// damage.
    func fault(ofStaged commits: [LogInspection.StagedCommit]) -> String? {
        do throws(MalformedRecord) {
            var check = records
            for staged in commits { try check?.check(staged.commit, in: staged.records.span) }
            return nil
        } catch {
            return "staging holds no valid records: \(error.reason)"
        }
    }

    private mutating func end(
        _ footer: BlockHeader, at offset: Int, of segment: SegmentReader
    ) throws(LogError) {
        isSealed = true
        if footer.firstSequence != nextSequence || chain != nil && footer.chain != chain {
            note(
                at: offset, "the footer does not match the blocks before it",
                through: footer.firstSequence - 1)
            nextSequence = max(nextSequence, footer.firstSequence)
        }
        chain = footer.chain
        if let table = try segment.seekTable(footer, at: offset) {
            // Readers trust a complete seek table, so a wrong one keeps them from finding blocks.
            // A cut-off end has other offsets than its segment.
            if findings.isEmpty, header?.kind == .segment,
                table.blockOffsets != good.map(\.offset)
            {
                note(at: offset, "the seek table does not match the blocks", through: nil)
            }
        } else {
            warn(at: offset, "the seek table is damaged; readers do without it")
        }
        if offset + BlockHeader.byteCount + Int(footer.packedLength) < byteCount {
            warn(at: offset, "bytes follow the seek table")
        }
    }

    private mutating func warn(at offset: Int, _ reason: String) {
        findings.append(
            Finding(severity: .warning, path: path, offset: offset, lost: nil, reason: reason))
    }
}
